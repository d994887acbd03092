"""Parts of files that can be read independently: row groups of Parquet, byte ranges of CSV and JSON Lines.

A range has the number of its first row, so that a rejected row is reported with its number in the file.

Why byte ranges of text are found here: pyarrow.dataset does not split a CSV file, Beam's ReadFromText splits inside
quoted values, and DuckDB, which reports rejected rows with their line, does not read through Beam's file systems.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from .source_file import ROW_BYTES, SourceFile

# Target size of a range in bytes (for Parquet, before compression): some hundred thousand rows.
RANGE_BYTES = 16 << 20

# The byte order mark with which some programs begin a file; it is not a part of the first row.
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, order=True)
class FileRange:
    """A range of `path`: Parquet row groups `[start, stop)`, or bytes `[start, stop)` of other formats.

    `stop` is None for the end of the file.

    `first_row` is the number of the first row, from 1; `header` has the column names of a CSV file. `lines_are_rows` if
    it is known that no CSV row has several lines or faulty quotes.
    """

    path: str
    start: int = 0
    stop: int | None = None
    first_row: int = 1
    header: tuple[str, ...] | None = None
    lines_are_rows: bool = False


def open_range(file: SourceFile, part: FileRange) -> contextlib.AbstractContextManager[Any]:
    """Returns the bytes of a range of text, in memory unless the range is the complete file.

    Raises:
        pa.ArrowInvalid: the range is so large that one of its rows must be too long.
    """
    if part.stop is None and part.start == 0:
        return file.open_text()
    most = 2 * RANGE_BYTES + ROW_BYTES
    with file.open_text() as content:
        content.seek(part.start)
        text = content.read(most + 1 if part.stop is None else min(most + 1, part.stop - part.start))
    if len(text) > most:
        raise pa.ArrowInvalid(f"after row {part.first_row}, a row is longer than {ROW_BYTES:,} bytes")
    return io.BytesIO(text)


def line_blocks(file: Any, block_bytes: int) -> Iterator[bytes]:
    """Yields the lines of a file in blocks of about `block_bytes`.

    Raises:
        pa.ArrowInvalid: a line is longer than a block.
    """
    rest = b""
    while block := file.read(block_bytes):
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
        if len(rest) > block_bytes:
            raise pa.ArrowInvalid(f"a line is longer than {block_bytes:,} bytes")
    if rest:
        yield rest


def line_ranges(file: SourceFile, range_bytes: int) -> list[FileRange]:
    """Returns the ranges of a file of which each line is a row, in order; each is a whole number of rows.

    The file is read once to find the line ends. Text that is not plain is one range: it must be read
    from its start.

    Args:
        file: The file.
        range_bytes: The target size of a range.
    """
    whole = FileRange(file.path)
    if not file.is_plain:
        return [whole]
    ranges: list[FileRange] = []
    at, start, first_row = 0, 0, 1
    begun = False  # Whether the line at the end of the last block is not blank so far.
    with file.open_text() as text:
        block = text.read(range_bytes)
        while block:
            following = text.read(range_bytes)
            lines = [bool(line.strip()) for line in (block if at else block.removeprefix(BOM)).split(b"\n")]
            lines[0], begun = lines[0] or begun, lines[-1] or (len(lines) == 1 and begun)
            rows = sum(lines[:-1])
            if rows and following:
                stop = at + block.rfind(b"\n") + 1
                ranges.append(replace(whole, start=start, stop=stop, first_row=first_row))
                start, first_row = stop, first_row + rows
            at, block = at + len(block), following
    return [*ranges, replace(whole, start=start, first_row=first_row)]
