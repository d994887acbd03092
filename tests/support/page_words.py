"""What Markdown pages name in their text: commands and options of the command line, code, headings."""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path
from typing import Any

import typer
from pages import blocks, commands_in
from typer.main import get_command

from fieldpool.pipeline.cli.app import app
from fieldpool.pipeline.cli.beam_options import CommandWithBeamOptions

PROGRAM = get_command(app)
COMMANDS = PROGRAM.commands  # type: ignore[attr-defined]


def text_of(path: Path) -> str:
    """Returns the text of a page without its blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def code_spans(path: Path) -> list[str]:
    """Returns what stands between single backticks in the text, on one line each."""
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text_of(path))]


def commands_of(path: Path) -> list[list[str]]:
    """Returns the commands of fieldpool that a page has in blocks, in its text and in a table of commands, as words."""
    in_blocks = [words for block in blocks(path, "sh") for words in commands_in(block)]
    spans = [shlex.split(span) for span in code_spans(path) if span.startswith("fieldpool ")]
    table = text_of(path).partition("| command | what it does |")[2].partition("\n\n")[0]
    rows = [["fieldpool", *shlex.split(row)] for row in re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)]
    return [words for words in [*in_blocks, *spans, *rows] if words[0] == "fieldpool" and words[1] != "make"]


def check_command(words: list[str]) -> None:
    """Checks that a command exists as it is written; runs nothing.

    Only the options are checked if parts are left out (`…`), or if there is only the name of the command.

    Raises:
        Exception: There is no such command, or it has other options or arguments.
    """
    _, name, *arguments = words
    if name.startswith("--"):
        assert name in options_of(PROGRAM), f"{shlex.join(words)}: no such option"
        return
    command = COMMANDS[name]
    if arguments and "…" not in arguments:
        command.make_context(f"fieldpool {name}", arguments)
    else:
        unknown = {word for word in arguments if word.startswith("--")} - options_of(command)
        assert not unknown, f"{shlex.join(words)}: no such options: {unknown}"


def options_of(command: Any) -> set[str]:
    """Returns the options of a command, Beam's included, or of the program itself."""
    parameters = command.get_params(typer.Context(command))
    own = {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}
    return own | (_beam_options() if isinstance(command, CommandWithBeamOptions) else set())


@functools.cache
def _beam_options() -> set[str]:
    from fieldpool.pipeline.cli.beam_options import _beam_parser

    return set(_beam_parser()._option_string_actions)


def anchors(path: Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
