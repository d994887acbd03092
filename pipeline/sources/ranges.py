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

_QUOTE, _CR, _LF = b'"\r\n'


@dataclass(frozen=True, order=True)
class FileRange:
    """A range of `path`: Parquet row groups `[start, stop)`, or bytes `[start, stop)` of other formats.

    `stop` is None for the end of the file.

    `first_row` is the number of the first row, from 1; `header` has the column names of a CSV file.
    """

    path: str
    start: int = 0
    stop: int | None = None
    first_row: int = 1
    header: tuple[str, ...] | None = None


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


def text_ranges(
    file: SourceFile, whole: FileRange, range_bytes: int, *, quotes: bool = False, rows_of_header: int = 0
) -> list[FileRange]:
    """Returns the ranges of a text file, each a whole number of rows; only `whole` if the file cannot be split.

    The file is read once to find the row ends. Compressed text can only be read from its start.

    Args:
        file: The file.
        whole: The range of the complete file.
        range_bytes: The target size of a range.
        quotes: Whether a quoted value may contain line ends. A file with quotes inside values, or with lone carriage
            returns as line ends, is one range, because its rows can only be found by reading from the start.
        rows_of_header: The number of lines at the start that are not rows.
    """
    if file.compression:
        return [whole]
    delimiter = file.delimiter.encode() if quotes else None
    ranges: list[FileRange] = []
    start, first_row = 0, 1 - rows_of_header
    at, in_quotes, before = 0, False, b"\n\n"
    with file.open() as text:
        block = text.read(range_bytes)
        while block:
            following = text.read(range_bytes)
            found = _row_ends(before, block, following[:1] or b"\n", in_quotes, delimiter)
            if found is None:
                return [whole]
            ends, rows, in_quotes = found
            if rows and following:
                stop = at + int(ends[-1]) + 1
                ranges.append(replace(whole, start=start, stop=stop, first_row=max(first_row, 1)))
                start, first_row = stop, first_row + rows
            at, before, block = at + len(block), (before + block)[-2:], following
    return [*ranges, replace(whole, start=start, first_row=max(first_row, 1))]


def _row_ends(
    before: bytes, block: bytes, after: bytes, in_quotes: bool, delimiter: bytes | None
) -> tuple[np.ndarray, int, bool] | None:
    """Returns the positions of row ends in a block, the number of rows that are not blank, and whether a quote is open.

    None if quotes or line ends are irregular. `before` are the bytes before the block, `after` is the byte after it.
    """
    data = np.frombuffer(before + block + after, np.uint8)
    own = slice(len(before), len(before) + len(block))
    ends = np.flatnonzero(data[own] == _LF) + own.start
    returns = np.flatnonzero(data[own] == _CR) + own.start
    if delimiter is not None:
        if np.any(data[returns + 1] != _LF):
            return None
        quotes = np.flatnonzero(data[own] == _QUOTE) + own.start
        opens = (np.arange(len(quotes)) % 2 == 0) ^ in_quotes
        around = np.array([*delimiter, _QUOTE, _CR, _LF])
        neighbours = data[np.where(opens, quotes - 1, quotes + 1)]
        if not np.isin(neighbours, around).all():
            return None
        ends = ends[(np.searchsorted(quotes, ends) + in_quotes) % 2 == 0]
        in_quotes = bool((len(quotes) + in_quotes) % 2)
    is_blank = (data[ends - 1] == _LF) | ((data[ends - 1] == _CR) & (data[ends - 2] == _LF))
    return ends - own.start, int(len(ends) - is_blank.sum()), in_quotes
