"""Finds the rows of CSV text, and faulty quotes, for which pyarrow would silently read several rows as one.

A row extends over several lines only if its quotes are closed, it has the right number of columns, no inner line is a
row by itself, and the first and the last line are not both rows by themselves. Otherwise, its first line is rejected
and the next line starts a row. So an open quote never swallows other rows.

Lines with regular quotes, nearly all lines of most files, are recognised with NumPy; only the others are read one by
one. pyarrow parses the values in any case.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..batches import Reason
from ..source_file import ROW_BYTES
from .csv_dialect import CR, LF, LINE, Dialect


class Rows(NamedTuple):
    """The rows of a text.

    Attributes:
        stop: The position after the last complete row.
        starts: The start of each row, int64. Blank lines are not rows.
        faults: Why rows are rejected, by their index in `starts`. Each of these rows is one line.
        comments: Start and end of each line that is a comment.
        lines_are_rows: Whether each line is a row without a fault.
    """

    stop: int
    starts: np.ndarray
    faults: dict[int, str]
    comments: list[tuple[int, int]]
    lines_are_rows: bool


def rows_of(dialect: Dialect, text: bytes, *, at_end: bool, check_width: bool = False) -> Rows:
    """Returns the rows of a text that begins with a row.

    Args:
        text: The text.
        at_end: Whether the file ends with the text.
        check_width: Whether rows with a wrong number of columns are faults, too. That is slow.
    """
    plain, lines = dialect.without_escapes(text)
    data = np.frombuffer(lines, np.uint8)
    is_end = data == LF
    is_end |= data == CR
    ends = np.flatnonzero(is_end)
    starts = np.append(0, ends + 1)
    stop = len(text) if at_end else int(starts[-1])
    starts, ends = (starts, np.append(ends, len(text))) if at_end else (starts[:-1], ends)
    is_row = ends > starts
    is_comment = _comments(dialect, text, starts, is_row)
    is_row &= ~is_comment
    irregular = is_row & _irregular(dialect, data, starts, ends, np.frombuffer(plain, np.uint8))
    faults: dict[int, str] = {}
    following = 0  # The line after the last row that was read value by value.
    for line in np.flatnonzero(irregular).tolist():
        if line < following:
            continue
        start, line_end = int(starts[line]), int(ends[line])
        end, fault = _row(dialect, plain, lines, start, line_end, at_end=at_end)
        if end is None:
            stop, is_row, is_comment = start, is_row[:line], is_comment[:line]
            break
        if end > line_end:
            following = int(np.searchsorted(starts, end, "right"))
            is_row[line + 1 : following] = is_comment[line + 1 : following] = False
        elif fault:
            faults[line] = fault + _next_step(dialect, fault, text[start:line_end])
    rows = np.flatnonzero(is_row)
    if check_width:
        for line in rows.tolist():
            width = dialect.width_of(plain, int(starts[line]), dialect.walk(plain, int(starts[line]), len(plain)).end)
            if line not in faults and width != dialect.width:
                faults[line] = Reason.WRONG_WIDTH.format(expected=dialect.width, found=width)
    by_index = {int(np.searchsorted(rows, line)): fault for line, fault in faults.items()}
    comments = list(zip(*(found[np.flatnonzero(is_comment)].tolist() for found in (starts, ends)), strict=True))
    return Rows(stop, starts[rows], by_index, comments, not faults and not following and not comments)


def _comments(dialect: Dialect, text: bytes, starts: np.ndarray, is_line: np.ndarray) -> np.ndarray:
    """Returns, for each line, whether it is a comment, if it is not inside an open quote."""
    found = np.zeros(len(starts), bool)
    if dialect.comment and dialect.comment in text:
        lines = np.flatnonzero(is_line)
        found[lines] = [dialect.is_comment(text, start) for start in starts[lines].tolist()]
    return found


def _irregular(
    dialect: Dialect, data: np.ndarray, starts: np.ndarray, ends: np.ndarray, plain: np.ndarray
) -> np.ndarray:
    """Returns, for each line, whether it may be other than one row whose quotes all start or end a value."""
    of_text = ends[:-1] if len(ends) and ends[-1] == len(data) else ends
    irregular = np.zeros(len(ends), bool)
    irregular[: len(of_text)] = data[of_text] != plain[of_text]
    if not dialect.quote or not len(ends):
        return irregular
    quotes = np.flatnonzero(data[: ends[-1]] == dialect.quote[0])
    numbers = np.diff(np.searchsorted(quotes, starts), append=len(quotes))
    is_odd = numbers % 2 == 1
    if is_odd.any():
        irregular |= is_odd
        quotes = quotes[np.repeat(~is_odd, numbers)]
    opening, closing = quotes[0::2], quotes[1::2]
    for quote, neighbour in ((opening, opening - 1), (closing, closing + 1)):
        # A quote at the start or the end of the text counts as irregular.
        is_good = dialect.is_around_quotes[data.take(neighbour, mode="clip")] & (neighbour >= 0)
        irregular[np.searchsorted(starts, quote[~is_good], "right") - 1] = True
    return irregular


def _row(
    dialect: Dialect, plain: bytes, lines: bytes, start: int, line_end: int, *, at_end: bool
) -> tuple[int | None, str | None]:
    """Returns the end of the row at `start`, None if the text ends before it, and why its first line is rejected.

    The result does not depend on what follows the row in the text, so ranges have the rows of the complete file.
    """
    limit = max(line_end, min(start + ROW_BYTES, len(plain)))
    end, fault = dialect.walk(plain, start, limit)
    if (end == limit or fault is Reason.UNCLOSED_QUOTE) and limit == len(plain) and not at_end:
        return None, None
    if end <= line_end and fault is not Reason.UNCLOSED_QUOTE:
        return line_end, fault
    is_whole = not fault and (end < limit or end == len(plain))
    width = dialect.width_of(plain, start, end)
    if dialect.walk(plain, start, line_end).fault:
        is_row = is_whole and width == dialect.width and _is_one_row(dialect, plain, lines, start, line_end, end)
        return (end, None) if is_row else (line_end, Reason.UNCLOSED_QUOTE)
    if not is_whole or width != dialect.width:
        return line_end, Reason.WRONG_WIDTH.format(expected=dialect.width, found=width)
    return end, None


def _is_one_row(dialect: Dialect, plain: bytes, lines: bytes, start: int, line_end: int, end: int) -> bool:
    """Returns whether a text of several lines is one row, by the rule at the top of this file."""
    *inner, last = [match.span() for match in LINE.finditer(lines, line_end, end)] or [(end, end)]
    if any(dialect.is_row(plain, *line) for line in inner):
        return False
    opened = dialect.walk(plain, start, line_end).end
    of_first_line = dialect.width_of(plain, start, opened) + plain.count(dialect.delimiter, opened, line_end)
    return of_first_line != dialect.width or not dialect.is_row(plain, *last)


def _next_step(dialect: Dialect, fault: str, line: bytes) -> str:
    if fault not in (Reason.UNCLOSED_QUOTE, Reason.TEXT_AFTER_QUOTE):
        return ""
    if not dialect.escape and b"\\" + dialect.quote in line:
        return "; if a backslash precedes quotes that are text, set `source: {escape: '\\'}`"
    return "; if quotes are text in this file, set `source: {quote: none}`"
