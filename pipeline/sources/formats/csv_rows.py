"""Finds the rows of CSV text, and faulty quotes, for which pyarrow would silently read several rows as one.

A row extends over several lines only if its quotes are closed, it has the right number of columns, no inner line is a
row by itself, and the first and the last line are not both rows by themselves. Otherwise, its first line is rejected
and the next line starts a row. So an open quote never swallows other rows.

Lines with regular quotes, nearly all lines of most files, are recognised with NumPy; only the others are read one by
one. pyarrow parses the values in any case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..batches import Reason
from ..source_file import ROW_BYTES, SourceFile
from ..streams.chunks import file_of
from ..streams.delimiters import DelimiterCode

_LF, _CR = b"\n\r"
_LINE = re.compile(rb"[^\n\r]+")


class Rows(NamedTuple):
    """The rows of a text.

    Attributes:
        stop: The position after the last complete row.
        starts: The start of each row, int64. Blank lines are not rows.
        faults: Why rows are rejected, by their index in `starts`. Each of these rows is one line.
        lines_are_rows: Whether no row has several lines or a fault.
    """

    stop: int
    starts: np.ndarray
    faults: dict[int, str]
    lines_are_rows: bool


class _Walk(NamedTuple):
    """The end of a row: the position of its line end or, if its quotes are faulty, of the first byte not read."""

    end: int
    fault: Reason | None


@dataclass(frozen=True)
class Dialect:
    """The syntax of CSV text. Delimiter, quote and escape are one byte each; quote and escape may be empty.

    `width` is the number of columns, 0 if it is not yet known. `code` is that of a delimiter of several bytes: the text
    is then the output of `coded`.
    """

    delimiter: bytes
    quote: bytes
    escape: bytes
    double_quote: bool
    width: int = 0
    code: DelimiterCode | None = None

    @classmethod
    def of(cls, file: SourceFile, width: int = 0) -> Dialect:
        """Returns the dialect of a file."""
        source = file.source
        quote = b"" if source.quote == "none" else source.quote.encode()
        delimiter, escape = file.delimiter.encode(), (source.escape or "").encode()
        code = DelimiterCode.of(delimiter, quote + escape)
        return cls(code.codes.delimiter if code else delimiter, quote, escape, source.double_quote, width, code)

    def coded(self, content: Any) -> Any:
        """Returns a stream of a file's bytes, with one byte for each delimiter."""
        return file_of(self.code.encoded(content), content) if self.code else content

    def decoded(self, text: bytes) -> bytes:
        """Returns a part of such a stream as it is in the file."""
        return self.code.decode(text) if self.code else text

    def may_have_codes(self, text: bytes) -> bool:
        """Returns whether values of a text may differ from those in the file: see `decoded`."""
        return self.code is not None and (self.code.codes.stuffing in text or not self.is_plain(text))

    def is_plain(self, text: bytes) -> bool:
        """Returns whether a text has neither quotes nor escapes: its lines are its rows."""
        return not any(byte and byte in text for byte in (self.quote, self.escape))

    def first_row(self, text: bytes) -> tuple[int, int, Reason | None]:
        """Returns start and end of the first row that is not blank, and its fault."""
        plain, _ = self._without_escapes(text)
        line = _LINE.search(text)
        start = line.start() if line else len(text)
        found = self._walk(plain, start, len(plain))
        return start, *found

    def rows(self, text: bytes, *, at_end: bool, check_width: bool = False) -> Rows:
        """Returns the rows of a text that begins with a row.

        Args:
            text: The text.
            at_end: Whether the file ends with the text.
            check_width: Whether rows with a wrong number of columns are faults, too. That is slow.
        """
        plain, lines = self._without_escapes(text)
        data = np.frombuffer(lines, np.uint8)
        is_end = data == _LF
        is_end |= data == _CR
        ends = np.flatnonzero(is_end)
        starts = np.append(0, ends + 1)
        stop = len(text) if at_end else int(starts[-1])
        starts, ends = (starts, np.append(ends, len(text))) if at_end else (starts[:-1], ends)
        is_row = ends > starts
        irregular = is_row & self._irregular(data, starts, ends, np.frombuffer(plain, np.uint8))
        faults: dict[int, str] = {}
        following = 0  # The line after the last row that was read value by value.
        for line in np.flatnonzero(irregular).tolist():
            if line < following:
                continue
            start, line_end = int(starts[line]), int(ends[line])
            end, fault = self._row(plain, lines, start, line_end, at_end=at_end)
            if end is None:
                stop, is_row = start, is_row[:line]
                break
            if end > line_end:
                following = int(np.searchsorted(starts, end, "right"))
                is_row[line + 1 : following] = False
            elif fault:
                faults[line] = fault + self._next_step(fault, text[start:line_end])
        rows = np.flatnonzero(is_row)
        if check_width:
            for line in rows.tolist():
                width = self.width_of(plain, int(starts[line]), self._walk(plain, int(starts[line]), len(plain)).end)
                if line not in faults and width != self.width:
                    faults[line] = Reason.WRONG_WIDTH.format(expected=self.width, found=width)
        by_index = {int(np.searchsorted(rows, line)): fault for line, fault in faults.items()}
        return Rows(stop, starts[rows], by_index, not faults and not following)

    def _irregular(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray, plain: np.ndarray) -> np.ndarray:
        """Returns, for each line, whether it may be other than one row whose quotes all start or end a value."""
        of_text = ends[:-1] if len(ends) and ends[-1] == len(data) else ends
        irregular = np.zeros(len(ends), bool)
        irregular[: len(of_text)] = data[of_text] != plain[of_text]
        if not self.quote or not len(ends):
            return irregular
        quotes = np.flatnonzero(data[: ends[-1]] == self.quote[0])
        numbers = np.diff(np.searchsorted(quotes, starts), append=len(quotes))
        is_odd = numbers % 2 == 1
        if is_odd.any():
            irregular |= is_odd
            quotes = quotes[np.repeat(~is_odd, numbers)]
        opening, closing = quotes[0::2], quotes[1::2]
        for quote, neighbour in ((opening, opening - 1), (closing, closing + 1)):
            # A quote at the start or the end of the text counts as irregular.
            is_good = self._is_around_quotes[data.take(neighbour, mode="clip")] & (neighbour >= 0)
            irregular[np.searchsorted(starts, quote[~is_good], "right") - 1] = True
        return irregular

    def _row(
        self, plain: bytes, lines: bytes, start: int, line_end: int, *, at_end: bool
    ) -> tuple[int | None, str | None]:
        """Returns the end of the row at `start`, None if the text ends before it, and why its first line is rejected.

        The result does not depend on what follows the row in the text, so ranges have the rows of the complete file.
        """
        limit = max(line_end, min(start + ROW_BYTES, len(plain)))
        end, fault = self._walk(plain, start, limit)
        if (end == limit or fault is Reason.UNCLOSED_QUOTE) and limit == len(plain) and not at_end:
            return None, None
        if end <= line_end and fault is not Reason.UNCLOSED_QUOTE:
            return line_end, fault
        is_whole = not fault and (end < limit or end == len(plain))
        width = self.width_of(plain, start, end)
        if self._walk(plain, start, line_end).fault:
            is_row = is_whole and width == self.width and self._is_one_row(plain, lines, start, line_end, end)
            return (end, None) if is_row else (line_end, Reason.UNCLOSED_QUOTE)
        if not is_whole or width != self.width:
            return line_end, Reason.WRONG_WIDTH.format(expected=self.width, found=width)
        return end, None

    def _is_one_row(self, plain: bytes, lines: bytes, start: int, line_end: int, end: int) -> bool:
        """Returns whether a text of several lines is one row, by the rule at the top of this file."""
        *inner, last = [match.span() for match in _LINE.finditer(lines, line_end, end)] or [(end, end)]
        if any(self._is_row(plain, *line) for line in inner):
            return False
        opened = self._walk(plain, start, line_end).end
        of_first_line = self.width_of(plain, start, opened) + plain.count(self.delimiter, opened, line_end)
        return of_first_line != self.width or not self._is_row(plain, *last)

    def _is_row(self, plain: bytes, start: int, end: int) -> bool:
        return not self._walk(plain, start, end).fault and self.width_of(plain, start, end) == self.width

    def _walk(self, plain: bytes, start: int, stop: int) -> _Walk:
        """Reads the row at `start`, not beyond `stop`."""
        found = self._patterns[0].match(plain, start, stop)
        assert found is not None  # The pattern also matches the empty text.
        end = found.end()
        if end == stop or plain[end] in (_LF, _CR):
            return _Walk(end, None)
        is_value_start = end == start or plain.startswith(self.delimiter, end - 1)
        return _Walk(end, Reason.UNCLOSED_QUOTE if is_value_start else Reason.TEXT_AFTER_QUOTE)

    def width_of(self, plain: bytes, start: int, end: int) -> int:
        """Returns the number of columns between `start` and `end`."""
        width, at = 1, start
        while found := self._patterns[1].match(plain, at, end):
            width, at = width + 1, found.end()
        return width

    def _without_escapes(self, text: bytes) -> tuple[bytes, bytes]:
        """Returns the text with a filler for each escape and the byte after it, without and with escaped line ends."""
        if not self.escape or self.escape not in text:
            return text, text
        plain = np.frombuffer(text, np.uint8).copy()
        escapes = np.flatnonzero(plain == self.escape[0])
        # Every second one of consecutive escapes is escaped itself.
        order = np.arange(len(escapes))
        run = np.maximum.accumulate(np.where(np.diff(escapes, prepend=-2) > 1, order, 0))
        escapes = escapes[(order - run) % 2 == 0]
        escaped = escapes[escapes + 1 < len(plain)] + 1
        line_ends = escaped[np.isin(plain[escaped], (_LF, _CR))]
        lines = plain.copy()
        for changed in (plain, lines):
            changed[escapes] = changed[escaped] = self._filler
        lines[line_ends] = _LF
        return plain.tobytes(), lines.tobytes()

    def _next_step(self, fault: str, line: bytes) -> str:
        if fault not in (Reason.UNCLOSED_QUOTE, Reason.TEXT_AFTER_QUOTE):
            return ""
        if not self.escape and b"\\" + self.quote in line:
            return "; if a backslash precedes quotes that are text, set `source: {escape: '\\'}`"
        return "; if quotes are text in this file, set `source: {quote: none}`"

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
        """The pattern of as many values of a row as can be read, and that of one value with the delimiter after it."""
        delimiter, quote = re.escape(self.delimiter), re.escape(self.quote)
        unquoted = rb"[^%b\n\r]*+" % delimiter
        if not quote:
            value = unquoted
        else:
            pairs = rb"(?:%b%b[^%b]*+)*+" % (quote, quote, quote) if self.double_quote else b""
            value = rb"(?>%b[^%b]*+%b%b|(?!%b)%b|)" % (quote, quote, pairs, quote, quote, unquoted)
        return re.compile(rb"(?>%b%b)*+%b" % (value, delimiter, value)), re.compile(value + delimiter)

    @cached_property
    def _is_around_quotes(self) -> np.ndarray:
        found = np.zeros(256, bool)
        found[list(self.delimiter + b"\n\r" + (self.quote if self.double_quote else b""))] = True
        return found

    @cached_property
    def _filler(self) -> int:
        return next(byte for byte in b"abcd" if byte not in self.delimiter + self.quote + self.escape)
