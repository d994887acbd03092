"""Parses sampled CSV text under a dialect that is only a candidate, in the way in which the reader of CSV files would.

A row has several lines only if its width is right and no inner line is a row; otherwise its first line is a fault.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple


@dataclass(frozen=True)
class Syntax:
    """What separates and frames values. Quote and escape are one character or empty; doubled quotes mean one."""

    delimiter: str
    quote: str = '"'
    escape: str = ""

    @cached_property
    def value(self) -> re.Pattern[str]:
        """The pattern of one value with the delimiter or line end after it: groups quoted, plain, end."""
        delimiter, quote, escape = map(re.escape, (self.delimiter, self.quote, self.escape))
        escaped = rf"|{escape}." if escape else ""
        plain = (
            rf"(?:[^{delimiter}\n{escape}]{escaped})*+"
            if len(self.delimiter) == 1
            else rf"(?:(?!{delimiter})[^\n{escape}]{escaped})*+"
        )
        if not quote:
            return re.compile(rf"(?P<quoted>(?!))?(?P<plain>{plain})(?P<end>{delimiter}|\n|\Z)", re.DOTALL)
        quoted = rf"{quote}(?P<quoted>(?:[^{quote}{escape}]|{quote}{quote}{escaped})*+){quote}"
        return re.compile(rf"(?>{quoted}|(?!{quote})(?P<plain>{plain}))(?P<end>{delimiter}|\n|\Z)", re.DOTALL)

    def unescaped(self, text: str) -> str:
        """Returns the value of a text between quotes, or of a plain text."""
        return re.sub(re.escape(self.escape) + "(.)", r"\1", text, flags=re.DOTALL) if self.escape else text


class Row(NamedTuple):
    """A row of a text.

    Attributes:
        line: The position of its first line, from 0; blank lines count.
        values: Its values; none if its quotes are faulty.
        quoted: The positions of values in quotes.
        lines: Its number of lines.
    """

    line: int
    values: list[str]
    quoted: frozenset[int] = frozenset()
    lines: int = 1


@dataclass
class Piece:
    """A part of a file, decoded. Line ends are `\\n`.

    Attributes:
        text: Complete lines.
        is_start: Whether the file begins here.
        is_end: Whether the file ends here.
        file: The path of the file.
    """

    text: str
    is_start: bool = True
    is_end: bool = True
    file: str = ""


@dataclass
class Parsed:
    """The rows of all pieces under a syntax; `width` is the most frequent number of columns."""

    syntax: Syntax
    pieces: list[list[Row]]
    width: int
    rows: list[Row] = field(init=False)
    good: list[Row] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = [row for piece in self.pieces for row in piece]
        self.good = [row for row in self.rows if len(row.values) == self.width]

    @property
    def share(self) -> float:
        """The share of rows that have the most frequent width. Rows count by their lines: where a long text is not one
        value, each of its lines is another fault.
        """
        return sum(row.lines for row in self.good) / sum(row.lines for row in self.rows) if self.rows else 0.0


def parse(pieces: Sequence[Piece], syntax: Syntax, most_rows: int = 1 << 60) -> Parsed:
    """Returns the rows of each piece, at most `most_rows` of a piece."""
    found = [_rows(piece, syntax, 0, most_rows) for piece in pieces]
    width = _frequent_width(found)
    if any(row.lines > 1 for rows in found for row in rows):
        found = [_rows(piece, syntax, width, most_rows) for piece in pieces]
        width = _frequent_width(found)
    for piece, rows in zip(pieces, found, strict=True):
        if not piece.is_start:
            # The piece may begin inside a row.
            first_good = next((index for index, row in enumerate(rows) if len(row.values) == width), len(rows))
            del rows[: min(first_good, len(rows) // 2)]
    return Parsed(syntax, found, width)


def _frequent_width(pieces: list[list[Row]]) -> int:
    """Returns the most frequent width; of two, the larger one. Rows of several lines count by their lines."""
    widths: Counter[int] = Counter()
    for rows in pieces:
        for row in rows:
            widths[len(row.values)] += row.lines if row.values else 0
    return max(widths, key=lambda width: (widths[width], width), default=0)


def _rows(piece: Piece, syntax: Syntax, width: int, most_rows: int) -> list[Row]:
    text, at, line = piece.text, 0, 0
    rows: list[Row] = []
    while at < len(text) and len(rows) < most_rows:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        content = text[at:end]
        if not content:
            row = None
        elif (syntax.quote and syntax.quote in content) or (syntax.escape and syntax.escape in content):
            row, stop = _walk(text, at, syntax, line)
            if row is None and stop == len(text) and not piece.is_end:
                break  # A quoted value that continues after the piece.
            lines = text.count("\n", at, stop)
            if row and lines and not _is_one_row(text[at:stop].split("\n"), row, syntax, width):
                row = None
            if row is None:
                row = Row(line, [])
            elif lines:
                row, end, line = row._replace(lines=lines + 1), stop, line + lines
        else:
            row = Row(line, content.split(syntax.delimiter))
        if row:
            rows.append(row)
        at, line = end + 1, line + 1
    return rows


def _walk(text: str, at: int, syntax: Syntax, line: int) -> tuple[Row | None, int]:
    """Returns the row at a position, None if its quotes are faulty, and the position of its end."""
    values: list[str] = []
    quoted: list[int] = []
    match = syntax.value.match
    while found := match(text, at):
        inner, plain, end = found.group("quoted", "plain", "end")
        if inner is not None:
            quoted.append(len(values))
            inner = inner.replace(syntax.quote * 2, syntax.quote)
        values.append(syntax.unescaped(plain if inner is None else inner))
        at = found.end()
        if end != syntax.delimiter:
            return Row(line, values, frozenset(quoted)), at - len(end)
    return None, len(text) if text.find(syntax.quote or "\n", at + 1) < 0 else at


def _is_one_row(lines: list[str], row: Row, syntax: Syntax, width: int) -> bool:
    """Returns whether several lines are one row: it has the right width, and no inner line is a row."""
    if not width:
        return True
    if len(row.values) != width:
        return False

    def is_row(line: str) -> bool:
        found, stop = _walk(line, 0, syntax, 0)
        return found is not None and stop == len(line) and len(found.values) == width

    if any(line and is_row(line) for line in lines[1:-1]):
        return False
    return width == 1 or not (lines[0].count(syntax.delimiter) + 1 == width and is_row(lines[-1]))
