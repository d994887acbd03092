"""The code blocks of Markdown pages: Python is run, specs are validated, commands are run or parsed."""

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
from typer.main import get_command

from fieldpool.pipeline.cli import app
from fieldpool.pipeline.spec_file import parse_spec, parse_yaml
from fieldpool.pipeline.terminal.startup import UNTIL_EXIT

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *sorted((ROOT / "docs").glob("**/*.md")),
    ROOT / "examples/README.md",
    ROOT / "benchmarks/README.md",
]
COMMANDS = get_command(app.app).commands  # type: ignore[attr-defined]

# What follows the backticks of a block: a language, and the name of the file that the reader saves it as.
_INFO = re.compile(r'(?P<language>[a-z]*)(?: title="(?P<file>[^"]+)")?$\n', re.MULTILINE)
_BLOCKS = RawFencedCodeBlockLexer(_INFO)


def run_page(path: Path, evaluators: Mapping[str, Evaluator]) -> None:
    """Runs the blocks of a page, in the current folder, by an evaluator for each language."""

    def parser(document: Document) -> Iterator[Region]:
        for region in _BLOCKS(document):
            if region.lexemes["language"] in evaluators:
                region.parsed, region.evaluator = region.lexemes["source"], evaluators[region.lexemes["language"]]
                yield region

    document = Document.parse(str(path), parser)
    for example in document:
        example.evaluate()


def blocks(path: Path, *languages: str) -> list[str]:
    """Returns the blocks of a page in any of the languages."""
    found = _BLOCKS(Document(path.read_text(encoding="utf-8"), str(path)))
    return [str(block.lexemes["source"]) for block in found if block.lexemes["language"] in languages]


def commands(block: str) -> list[str]:
    """Returns the commands of a block for a shell: lines without comments, continued ones joined."""
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))]


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
    """Runs the commands of a block, in this process; keeps what the last one prints."""
    for command in commands(example.parsed):
        program, *arguments = shlex.split(command)
        assert program == "fieldpool", f"{example.path}:{example.line}: cannot run {command!r}"
        example.namespace["printed"] = run_command(arguments)


def run_command(arguments: list[str]) -> str:
    """Runs a command of fieldpool; returns what it prints."""
    printed, argv, code = io.StringIO(), ["fieldpool", *arguments], None
    with redirect_stdout(printed), mock.patch.object(sys, "argv", argv), UNTIL_EXIT:
        try:
            app.main()
        except SystemExit as leaving:
            code = leaving.code
    assert not code, f"{shlex.join(argv)}: exit code {code}\n{printed.getvalue()}"
    return printed.getvalue()


def check_printed(example: Example) -> None:
    """Compares the output that a page shows with the real one, except for numbers and the width of tables.

    A line `…` stands for any number of lines.
    """
    if "printed" not in example.namespace:
        return
    real = iter([_without_numbers(line) for line in example.namespace["printed"].splitlines()])
    for line in example.parsed.splitlines():
        if line != "…" and _without_numbers(line) not in real:
            where, printed = f"{example.path}:{example.line}", example.namespace["printed"]
            raise AssertionError(f"{where}: not printed, or not in this order: {line}\nPrinted:\n{printed}")


def _without_numbers(line: str) -> str:
    line = re.sub(r"\d[\d,.]*", "0", line)
    return re.sub(r"[\s─━┄┌┐└┘├┤┬┴┼┏┓┗┛┡┩┳╇╈│┃]+", " ", line).strip()


def parse_command(command: str) -> None:
    """Checks that a command of fieldpool exists as it is written, options and number of arguments; runs nothing.

    Raises:
        click.ClickException: It does not.
    """
    _, name, *arguments = shlex.split(command)
    COMMANDS[name].make_context(f"fieldpool {name}", arguments)
