"""Parts of files that can be read independently: row groups of Parquet, byte ranges of CSV and JSON Lines.

A range has the number of its first row, so that a rejected row is reported with its number in the file.

Why byte ranges of text are found here: pyarrow.dataset does not split a CSV file, Beam's ReadFromText splits inside
quoted values, and DuckDB, which reports rejected rows with their line, does not read through Beam's file systems.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from .formats import ROW_BYTES, SourceFile

# Target size of a range in bytes (for Parquet, before compression): some hundred thousand rows.
RANGE_BYTES = 16 << 20

_CR, _LF = b"\r\n"


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
        return file.open()
    most = 2 * RANGE_BYTES + ROW_BYTES
    with file.open() as content:
        content.seek(part.start)
        text = content.read(most + 1 if part.stop is None else min(most + 1, part.stop - part.start))
    if len(text) > most:
        raise pa.ArrowInvalid(f"after row {part.first_row}, a row is longer than {ROW_BYTES:,} bytes")
    return io.BytesIO(text)


def line_ranges(file: SourceFile, range_bytes: int) -> list[FileRange]:
    """Returns the ranges of a file of which each line is a row, in order; each is a whole number of rows.

    The file is read once to find the line ends. Compressed text can only be read from its start: it is one range.

    Args:
        file: The file.
        range_bytes: The target size of a range.
    """
    whole = FileRange(file.path)
    if file.compression:
        return [whole]
    ranges: list[FileRange] = []
    at, start, first_row, before = 0, 0, 1, b"\n\n"
    with file.open() as text:
        block = text.read(range_bytes)
        while block:
            following = text.read(range_bytes)
            ends, rows = _line_ends(before, block)
            if rows and following:
                stop = at + int(ends[-1]) + 1
                ranges.append(replace(whole, start=start, stop=stop, first_row=first_row))
                start, first_row = stop, first_row + rows
            at, before, block = at + len(block), (before + block)[-2:], following
    return [*ranges, replace(whole, start=start, first_row=first_row)]


def _line_ends(before: bytes, block: bytes) -> tuple[np.ndarray, int]:
    """Returns the positions of line ends in a block, and the number of lines that are not blank.

    `before` are the two bytes before the block.
    """
    data = np.frombuffer(before + block, np.uint8)
    ends = np.flatnonzero(data[len(before) :] == _LF) + len(before)
    is_blank = (data[ends - 1] == _LF) | ((data[ends - 1] == _CR) & (data[ends - 2] == _LF))
    return ends - len(before), int(len(ends) - is_blank.sum())
