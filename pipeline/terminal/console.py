"""The streams of a command: results go to standard output, all else to standard error."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Prints a line."""
    out.print(text, markup=False)


def show(renderables: Iterable[RenderableType]) -> None:
    """Prints tables and lines, one below the other."""
    for renderable in renderables:
        out.print(renderable)


def error(text: str) -> None:
    """Prints an error, its first line in red."""
    err.print(Text.assemble(("error: ", "bold red"), text), soft_wrap=True)


def show_plan(lines: dict[str, str]) -> None:
    """Prints what a remote job is going to do."""
    table = Table.grid(padding=(0, 2))
    for title, text in lines.items():
        table.add_row(Text(title, style="bold"), Text(text, overflow="fold"))
    err.print(table)
