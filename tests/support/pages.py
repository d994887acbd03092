"""The code blocks of Markdown pages: Python is run, specs are validated, commands of the command line are run."""

from __future__ import annotations

import io
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

from sybil import Document, Example, Region
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer
from sybil.typing import Evaluator

from fieldpool.pipeline.cli import app
from fieldpool.pipeline.spec_file import parse_spec, parse_yaml
from fieldpool.pipeline.terminal.startup import UNTIL_EXIT

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("**/*.md")),
    ROOT / "examples/README.md",
    ROOT / "benchmarks/README.md",
]

# What follows the backticks of a block: a language, and the name of the file that the reader saves it as.
_INFO = re.compile(r'(?P<language>[a-z]*)(?: title="(?P<file>[^"]+)")?$\n', re.MULTILINE)
_BLOCKS = RawFencedCodeBlockLexer(_INFO)


def run_page(path: Path, evaluators: Mapping[str, Evaluator]) -> None:
    """Runs the blocks of a page, in order, in the current folder, by the evaluator of their language."""

    def parser(document: Document) -> Iterator[Region]:
        for region in _BLOCKS(document):
            if region.lexemes["language"] in evaluators:
                region.parsed, region.evaluator = region.lexemes["source"], evaluators[region.lexemes["language"]]
                yield region

    for example in Document.parse(str(path), parser):
        example.evaluate()


def blocks(path: Path, *languages: str) -> list[str]:
    """Returns the blocks of a page in any of the languages; the language of a block without a name is ""."""
    found = _BLOCKS(Document(path.read_text(encoding="utf-8"), str(path)))
    return [str(block.lexemes["source"]) for block in found if block.lexemes["language"] in languages]


def commands_in(block: str) -> list[list[str]]:
    """Returns the commands of a block for a shell as words, without comments; continued lines are one command."""
    lines = block.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def run_python(example: Example) -> str | None:
    """Runs a block of Python, quietly."""
    with redirect_stdout(io.StringIO()):
        return PythonEvaluator()(example)


def check_spec(example: Example) -> None:
    """Validates a spec, and saves it if the page names a file."""
    origin = f"{example.path}:{example.line}"
    parse_spec(parse_yaml(example.parsed, origin), origin)
    if file := example.region.lexemes["file"]:
        Path(file).write_text(example.parsed, encoding="utf-8")


def run_commands(example: Example) -> None:
    """Runs the commands of a block, in this process; keeps the output of the last one."""
    for program, *arguments in commands_in(example.parsed):
        assert program == "fieldpool", f"{example.path}:{example.line}: cannot run {program}"
        example.namespace["printed"] = run_command(arguments)


def run_command(arguments: list[str]) -> str:
    """Runs a command of fieldpool, which must succeed; returns its standard output."""
    printed, argv, code = io.StringIO(), ["fieldpool", *arguments], None
    with redirect_stdout(printed), mock.patch.object(sys, "argv", argv), UNTIL_EXIT:
        try:
            app.main()
        except SystemExit as leaving:
            code = leaving.code
    assert not code, f"{shlex.join(argv)}: exit code {code}\n{printed.getvalue()}"
    return printed.getvalue()


def check_printed(example: Example) -> None:
    """Compares the output that a page shows with that of the command before, except for numbers and column widths.

    A line `…` stands for any number of lines.
    """
    printed = example.namespace["printed"]
    real = iter([_without_numbers(line) for line in printed.splitlines()])
    for line in example.parsed.splitlines():
        found = line == "…" or _without_numbers(line) in real
        assert found, f"{example.path}:{example.line}: not printed, or in another order: {line}\nPrinted:\n{printed}"


def _without_numbers(line: str) -> str:
    line = re.sub(r"\d[\d,.]*", "0", line)
    return re.sub(r"[\s\u2500-\u257f]+", " ", line).strip()  # The lines of tables are U+2500 to U+257F.
