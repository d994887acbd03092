"""The syntax of CSV text: delimiter, quote, escape and comments; lines before the rows; the values of a row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ..batches import Reason
from ..ranges import BOM
from ..source_file import SourceFile
from ..streams.chunks import file_of
from ..streams.delimiters import DelimiterCode

LF, CR = b"\n\r"
LINE = re.compile(rb"[^\n\r]+")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class _Walk(NamedTuple):
    """The end of a row: the position of its line end or, if its quotes are faulty, of the first byte not read."""

    end: int
    fault: Reason | None


@dataclass(frozen=True)
class Dialect:
    """The syntax of CSV text. Delimiter, quote and escape are one byte each; quote and escape may be empty.

    Attributes:
        comment: The start of a line that is a comment; may be empty.
        skipped_lines: The number of lines before the header or the first row.
        header: Whether the first row is a header.
        width: The number of columns, 0 if it is not yet known.
        code: The code of a delimiter of several bytes. The text is then the output of `coded`.
    """

    delimiter: bytes
    quote: bytes
    escape: bytes
    double_quote: bool
    comment: bytes = b""
    skipped_lines: int = 0
    header: bool = True
    width: int = 0
    code: DelimiterCode | None = None

    @classmethod
    def of(cls, file: SourceFile, width: int = 0) -> Dialect:
        """Returns the dialect of a file."""
        source = file.source
        quote = b"" if source.quote == "none" else source.quote.encode()
        delimiter, escape = file.delimiter.encode(), (source.escape or "").encode()
        code = DelimiterCode.of(delimiter, quote + escape)
        comment = (source.comment or "").encode()
        return cls(
            delimiter=code.codes.delimiter if code else delimiter,
            quote=quote,
            escape=escape,
            double_quote=source.double_quote,
            comment=code.encode(comment) if code else comment,
            skipped_lines=source.skip_rows,
            header=source.header,
            width=width,
            code=code,
        )

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
        """Returns whether a text has neither quotes, escapes nor comments: its lines are its rows."""
        return not any(special and special in text for special in (self.quote, self.escape, self.comment))

    def after_skipped(self, text: bytes) -> int | None:
        """Returns the position after the byte order mark and the skipped lines of a file; None if it is not in it."""
        start = len(BOM) if text.startswith(BOM) else 0
        if not self.skipped_lines:
            return start
        line_end = next(islice(_LINE_END.finditer(text, start), self.skipped_lines - 1, None), None)
        return line_end and line_end.end()

    def start_of_rows(self, text: bytes, *, at_end: bool) -> int | None:
        """Returns the position in a file after skipped lines and header; None if the text is too short to find it."""
        start = self.after_skipped(text) if at_end or len(text) >= len(BOM) else None
        if start is None or not self.header:
            return len(text) if start is None and at_end else start
        _, stop, fault = self.first_row(text[start:])
        return start + stop if at_end or (start + stop < len(text) and not fault) else None

    def first_row(self, text: bytes) -> tuple[int, int, Reason | None]:
        """Returns start and end of the first row that is neither blank nor a comment, and its fault."""
        plain, _ = self.without_escapes(text)
        starts = (line.start() for line in LINE.finditer(text))
        start = next((start for start in starts if not self.is_comment(text, start)), len(text))
        found = self.walk(plain, start, len(plain))
        return start, *found

    def is_comment(self, text: bytes, start: int) -> bool:
        """Returns whether the line at `start`, which is not inside an open quote, is a comment."""
        return bool(self.comment) and text.startswith(self.comment, start)

    def is_row(self, plain: bytes, start: int, end: int) -> bool:
        """Returns whether the line from `start` to `end` is a row by itself."""
        has_fault = self.is_comment(plain, start) or self.walk(plain, start, end).fault
        return not has_fault and self.width_of(plain, start, end) == self.width

    def walk(self, plain: bytes, start: int, stop: int) -> _Walk:
        """Reads the row at `start`, not beyond `stop`."""
        found = self._patterns[0].match(plain, start, stop)
        assert found is not None  # The pattern also matches the empty text.
        end = found.end()
        if end == stop or plain[end] in (LF, CR):
            return _Walk(end, None)
        is_value_start = end == start or plain.startswith(self.delimiter, end - 1)
        return _Walk(end, Reason.UNCLOSED_QUOTE if is_value_start else Reason.TEXT_AFTER_QUOTE)

    def width_of(self, plain: bytes, start: int, end: int) -> int:
        """Returns the number of columns between `start` and `end`."""
        width, at = 1, start
        while found := self._patterns[1].match(plain, at, end):
            width, at = width + 1, found.end()
        return width

    def with_escapes_of(self, words: Iterable[bytes], text: bytes) -> bytes:
        """Returns rows in which the values that are one of the words keep their escapes when they are parsed.

        With the escape `\\`, `\\N` would become `N`, and no longer be the word for a missing value.
        """
        for word in words:
            if self.escape and self.escape in word and word in text:
                text = self._with_escapes_of(word, text)
        return text

    def _with_escapes_of(self, word: bytes, text: bytes) -> bytes:
        escape, quote, word = re.escape(self.escape), re.escape(self.quote), re.escape(word)
        end = rb"[%b\n\r]" % re.escape(self.delimiter)
        cell = rb"(?:%b%b%b|%b)(?=%b|\Z)" % (quote, word, quote, word, end)
        value = rb"(?:%b(?s:.)|(?!%b)[^%b])*+" % (escape, end, escape)
        if quote:
            value = rb"(?>(?:%b(?:[^%b%b]|%b(?s:.))*+%b)++|%b)" % (quote, escape, quote, escape, quote, value)
        cells = re.compile(rb"(?>(?!%b)%b%b)*+(%b)" % (cell, value, end, cell))
        parts, at = [], 0
        while found := cells.match(text, at):
            parts += [text[at : found.start(1)], found[1].replace(self.escape, 2 * self.escape)]
            at = found.end()
        return b"".join([*parts, text[at:]])

    def without_escapes(self, text: bytes) -> tuple[bytes, bytes]:
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
        line_ends = escaped[np.isin(plain[escaped], (LF, CR))]
        lines = plain.copy()
        for changed in (plain, lines):
            changed[escapes] = changed[escaped] = self._filler
        lines[line_ends] = LF
        return plain.tobytes(), lines.tobytes()

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
    def is_around_quotes(self) -> np.ndarray:
        """Whether a byte may be before an opening or after a closing quote, bool `[256]`."""
        found = np.zeros(256, bool)
        found[list(self.delimiter + b"\n\r" + (self.quote if self.double_quote else b""))] = True
        return found

    @cached_property
    def _filler(self) -> int:
        return next(byte for byte in b"abcd" if byte not in self.delimiter + self.quote + self.escape)
