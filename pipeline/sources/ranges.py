"""Parts of files that can be read apart: row groups of Parquet, byte ranges of CSV and JSON Lines.

A part knows the number of its first row, so that a rejected row is told with its number in the file. Compressed text
and TFRecords have no places to begin at but the first: each such file is one part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.parquet

from ...transforms.spec import Source
from .files import csv_delimiter, csv_header, file_format, is_compressed, opened

# Aim for the bytes of a range (of Parquet, before compression): some hundred thousand rows.
RANGE_BYTES = 16 << 20

_QUOTE, _CR, _LF = b'"\r\n'


@dataclass(frozen=True, order=True)
class FileRange:
    """Rows of `path`: of row groups `[start, stop)` of Parquet, else of bytes `[start, stop)`; None: to the end.

    `first_row` is the number of the first, from 1; `header` has the column names of a CSV file.
    """

    path: str
    start: int = 0
    stop: int | None = None
    first_row: int = 1
    header: tuple[str, ...] | None = None


def file_ranges(path: str, source: Source, range_bytes: int = RANGE_BYTES) -> list[FileRange]:
    """Returns the ranges that make up a file, in order; an empty CSV file has none.

    Text is read once to find where rows end. A CSV file whose quotes do not stand around whole values, or that ends
    lines with lone carriage returns, is one range: only a reader that begins at its first row can tell its rows.

    Raises:
        OSError: or another error of the format: the file cannot be read.
    """
    kind = file_format(path, source)
    if kind == "parquet":
        return list(_row_groups(path, range_bytes))
    if kind == "tfrecord":
        return [FileRange(path)]
    whole = FileRange(path)
    if kind == "csv":
        header = csv_header(path, source)
        if header is None:
            return []
        whole = replace(whole, header=tuple(header))
    if is_compressed(path):
        return [whole]
    rows_of_header = int(kind == "csv" and source.header)
    delimiter = csv_delimiter(path, source).encode() if kind == "csv" else None
    return _text_ranges(whole, delimiter, rows_of_header, range_bytes) or [whole]


def _row_groups(path: str, range_bytes: int) -> Iterator[FileRange]:
    with opened(path, decompress=False) as file:
        metadata = pyarrow.parquet.ParquetFile(file).metadata
    start, rows, first_row, size = 0, 0, 1, 0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        rows, size = rows + group.num_rows, size + group.total_byte_size
        if size >= range_bytes or index + 1 == metadata.num_row_groups:
            yield FileRange(path, start, index + 1, first_row)
            start, rows, first_row, size = index + 1, 0, first_row + rows, 0


def _text_ranges(whole: FileRange, delimiter: bytes | None, rows_of_header: int, range_bytes: int) -> list[FileRange]:
    """Returns the ranges, each a whole number of rows; none if the file cannot be split."""
    ranges: list[FileRange] = []
    start, first_row = 0, 1 - rows_of_header
    at, in_quotes, before = 0, False, b"\n\n"
    with opened(whole.path) as file:
        block = file.read(range_bytes)
        while block:
            following = file.read(range_bytes)
            found = _row_ends(before, block, following[:1] or b"\n", in_quotes, delimiter)
            if found is None:
                return []
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
    """Returns where rows end in a block, how many do that are not blank, and whether a quoted value goes on.

    None if quotes or line ends are not regular. `before` are the bytes before the block, `after` the one behind it.
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
