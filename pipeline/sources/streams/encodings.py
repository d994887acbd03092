"""Decodes text of any encoding to UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from .chunks import BLOCK_BYTES

_BOM = "\ufeff"


def is_utf8_name(encoding: str) -> bool:
    """Returns whether an encoding is UTF-8: its text is read as it is, and invalid bytes may be part of values."""
    return codecs.lookup(encoding).name == "utf-8"


def in_utf8(content: IO[bytes], encoding: str) -> Iterator[bytes]:
    """Yields a text in UTF-8, without a byte order mark.

    Raises:
        pa.ArrowInvalid: a byte is not valid in the encoding; the message names the line and the position in the file.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    size, line, at_start, block = 0, 1, True, b"-"
    while block:
        block = content.read(BLOCK_BYTES)
        size += len(block)
        try:
            text = decoder.decode(block, final=not block)
            if text and at_start:
                text, at_start = text.removeprefix(_BOM), False
            plain = text.encode()
        except UnicodeError as error:
            raise pa.ArrowInvalid(_message(error, encoding, size, line)) from None
        line += plain.count(b"\n")
        yield plain


def _message(error: UnicodeError, encoding: str, size: int, line: int) -> str:
    """Returns the error of a block; `size` is the position of its end, `line` the number of its first line."""
    place, found = f"after line {line:,}", str(error)
    if isinstance(error, UnicodeDecodeError):
        line += error.object[: error.start].decode(encoding, "replace").count("\n")
        place = f"line {line:,} (byte {size - len(error.object) + error.start:,} of the text, from 0)"
        found = f"{error.object[error.start : error.end]!r}, {error.reason}"
    return f"{place}: expected {encoding}; found {found}. Correct `source: {{encoding: …}}`, or the file"
