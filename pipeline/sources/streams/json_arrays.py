"""Turns one JSON array into JSON Lines. Each element becomes one line, byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from .chunks import BLOCK_BYTES, blocks_of

# Only the ends of elements are needed, so numbers are not converted.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SPACE = re.compile(r"[ \t\n\r]*")
_BOM = "ï»¿"  # That of UTF-8, read as Latin-1.


class _Text:
    """The part of a text that is in memory, as Latin-1, and the position in it.

    Latin-1, because JSON's syntax is ASCII, and all other bytes remain as they are: the reader of lines rejects a row
    with invalid UTF-8.
    """

    def __init__(self, content: IO[bytes]) -> None:
        self._blocks = blocks_of(content)
        self.text, self.at = next(self._blocks, b"").decode("latin-1").removeprefix(_BOM), 0

    def read_more(self) -> bool:
        """Reads a block and forgets what is before the position; returns whether there was one."""
        block = next(self._blocks, b"")
        self.text, self.at = self.text[self.at :] + block.decode("latin-1"), 0
        return bool(block)

    def next_sign(self, at: int) -> str:
        """Returns the first character from `at` on that is not white space, and moves there; "" at the end."""
        self.at = at
        while (end := self._after_space(self.at)) == len(self.text):
            self.at = end
            if not self.read_more():
                return ""
        self.at = end
        return self.text[end]

    def element_end(self, row: int, row_bytes: int) -> int:
        """Returns the end of the element at the position, after which there is a comma or bracket."""
        while True:
            message, fault = "expected a comma or ] after it", len(self.text)
            try:
                _, end = _DECODER.raw_decode(self.text, self.at)
                fault = self._after_space(end)
                if self.text[fault : fault + 1] in (",", "]"):
                    return end
            except json.JSONDecodeError as error:
                message = error.msg
                fault = len(self.text) if message.startswith("Unterminated string") else error.pos
            except RecursionError:
                raise pa.ArrowInvalid(f"row {row:,} is nested too deeply") from None
            if len(self.text) - self.at > row_bytes:
                raise pa.ArrowInvalid(f"row {row:,} is longer than {row_bytes:,} bytes, or not valid JSON: {message}")
            text = self.text.rstrip()
            if not self.read_more():
                if fault >= len(text) or not text.endswith("]"):
                    raise pa.ArrowInvalid(f"the array is truncated: it ends inside row {row:,}, or before its last ]")
                raise pa.ArrowInvalid(f"row {row:,} is not valid JSON: {message}")

    def _after_space(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        assert found is not None  # The pattern also matches the empty text.
        return found.end()


def lines_of_array(content: IO[bytes], row_bytes: int) -> Iterator[bytes]:
    """Yields the elements of an array as lines, about 1 MB at a time; nothing if there is only white space.

    Args:
        content: The text of the array, in UTF-8.
        row_bytes: The maximum size of an element in bytes.

    Raises:
        pa.ArrowInvalid: the text is not one JSON array, ends inside it, or has a larger element. The message names the
            row.
    """
    part = _Text(content)
    sign = part.next_sign(0)
    if sign not in ("", "["):
        raise pa.ArrowInvalid(
            f"expected one JSON array, which begins with [; found {part.text[part.at : part.at + 20]!r}. "
            f"If each line is an object, set `source: {{format: jsonl}}`"
        )
    lines, size, row = [], 0, 0
    while sign in ("[", ","):
        if part.next_sign(part.at + 1) == "]" and sign == "[":
            break
        row += 1
        end = part.element_end(row, row_bytes)
        line = part.text[part.at : end].replace("\n", " ").replace("\r", " ").encode("latin-1")
        lines.append(line)
        size += len(line)
        if size >= BLOCK_BYTES:
            yield b"\n".join([*lines, b""])
            lines, size = [], 0
        sign = part.next_sign(end)
    if part.text and part.next_sign(part.at + 1):
        raise pa.ArrowInvalid(f"after row {row:,}, the last one of the array: expected the end of the file; found text")
    yield b"\n".join([*lines, b""])
