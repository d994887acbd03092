"""The streams of a command: results go to standard output, all else to standard error."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

# Codes that style text on a terminal, and control characters except tabs and line ends.
_CONTROL_CODES = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# The number of files that `shortened` keeps.
_FEW = 3


def say(text: str) -> None:
    """Prints a line; a terminal wraps it, so that paths and commands can be copied."""
    out.print(text, markup=False, soft_wrap=True)


def say_next(*arguments: str) -> None:
    """Prints the command that usually follows, with its arguments quoted for the shell."""
    say(f"Next: {shlex.join(['fieldpool', *arguments])}")


def shortened(data: Sequence[str]) -> Sequence[str]:
    """Returns the arguments that name source files, for `say_next`; a placeholder if there are many."""
    return data if len(data) <= _FEW else ["DATA..."]


def show(renderables: Iterable[RenderableType]) -> None:
    """Prints tables and lines, one below the other."""
    for renderable in renderables:
        out.print(renderable)


def error(text: str) -> None:
    """Prints an error, with its label in red."""
    err.print(Text.assemble(("error: ", "bold red"), _printable(text)), soft_wrap=True)


def warning(text: str) -> None:
    """Prints a warning as one line, with its label in yellow."""
    err.print(Text.assemble(("warning: ", "bold yellow"), _printable(" ".join(text.split()))), soft_wrap=True)


def _printable(text: str) -> str:
    """Returns a text without control codes, which messages of libraries and values of rows may contain."""
    return _CONTROL_CODES.sub("", text)


def show_plan(lines: dict[str, str]) -> None:
    """Prints the plan of a remote job: a line for each entry."""
    table = Table.grid(padding=(0, 2))
    for title, text in lines.items():
        table.add_row(Text(title, style="bold"), Text(text, overflow="fold"))
    err.print(table)
