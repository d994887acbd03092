"""Replaces a delimiter of several bytes by one byte, for parsers whose delimiter is one byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from .chunks import BLOCK_BYTES

_CONTROL = bytes(range(0x1F, 0x0D, -1))


class _Codes(NamedTuple):
    """Four bytes: that of the delimiter, and the three with which the first two are written if the text has them."""

    delimiter: bytes
    stuffing: bytes
    of_delimiter: bytes
    of_stuffing: bytes


@dataclass(frozen=True)
class DelimiterCode:
    """A reversible code, in which a delimiter is one byte.

    Delimiters are replaced also inside quoted values; `decode` restores values after parsing. Control bytes that are in
    the text are written as two bytes, so that every text has its own code.
    """

    delimiter: bytes
    codes: _Codes

    @classmethod
    def of(cls, delimiter: bytes, special: bytes) -> DelimiterCode | None:
        """Returns the code of a delimiter, None if it is one byte; `special` are the other bytes of CSV syntax."""
        if len(delimiter) == 1:
            return None
        free = [bytes([byte]) for byte in _CONTROL if byte not in delimiter + special]
        return cls(delimiter, _Codes(*free[:4]))

    def encode(self, text: bytes) -> bytes:
        """Returns the code of a complete text, such as a value."""
        return self._stuffed(text).replace(self.delimiter, self.codes.delimiter)

    def _stuffed(self, text: bytes) -> bytes:
        """Returns the text with the control bytes that it has as two bytes; its delimiters are unchanged."""
        codes = self.codes
        text = text.replace(codes.stuffing, codes.stuffing + codes.of_stuffing)
        return text.replace(codes.delimiter, codes.stuffing + codes.of_delimiter)

    def encoded(self, content: IO[bytes], block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yields the code of a file."""
        rest = b""
        while block := content.read(block_bytes):
            text = (rest + self._stuffed(block)).replace(self.delimiter, self.codes.delimiter)
            # The longest start of a delimiter at the end of the block: the next block may have the rest.
            kept = next(n for n in range(len(self.delimiter) - 1, -1, -1) if text.endswith(self.delimiter[:n]))
            rest, text = text[len(text) - kept :], text[: len(text) - kept]
            yield text
        yield rest

    def decode(self, text: bytes) -> bytes:
        """Returns the text of a code."""
        for code, replaced in self._decoding:
            text = text.replace(code, replaced)
        return text

    def decode_column(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """Returns the texts of a column of codes, binary."""
        for code, replaced in self._decoding:
            values = pc.replace_substring(values, code, replaced)
        return values

    @property
    def _decoding(self) -> tuple[tuple[bytes, bytes], ...]:
        codes = self.codes
        return (
            (codes.delimiter, self.delimiter),
            (codes.stuffing + codes.of_delimiter, codes.delimiter),
            (codes.stuffing + codes.of_stuffing, codes.stuffing),
        )
