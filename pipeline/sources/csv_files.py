"""Reads CSV files with pyarrow: header, ranges and rows; rejects rows with another number of columns than the header.

Values are read as bytes, without type inference: `007` stays `007`.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ...transforms.errors import SourceError
from .batches import BATCH_ROWS, Reason, Rejected, SourceBatch, check_columns, no_rows
from .formats import ROW_BYTES, SourceFile
from .ranges import FileRange, open_range, text_ranges


def column_names(file: SourceFile) -> list[str]:
    """Returns the names of the columns; none if the file has no rows."""
    return _header(file) or []


def ranges(file: SourceFile, range_bytes: int) -> list[FileRange]:
    """Returns the ranges of the file, in order; none if the file has no rows."""
    header = _header(file)
    if header is None:
        return []
    whole = FileRange(file.path, header=tuple(header))
    return text_ranges(file, whole, range_bytes, quotes=True, rows_of_header=int(file.source.header))


def read(file: SourceFile, part: FileRange, columns: list[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a range."""
    skipped: list[Any] = []

    def skip(row: Any) -> str:
        skipped.append(row)
        return "skip"

    check_columns(part.path, part.header or [], columns)
    rows_of_header = int(file.source.header and part.start == 0)
    with open_range(file, part) as text:
        batches = pa.csv.open_csv(
            text,
            # pyarrow reports the number of a skipped row only if it reads with one thread.
            read_options=pa.csv.ReadOptions(
                use_threads=False,
                block_size=ROW_BYTES,
                column_names=None if rows_of_header else part.header,
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=file.delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={column: pa.binary() for column in columns},
                include_columns=columns,
                null_values=sorted({"", *file.source.null_values}),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        yield from _numbered_csv(part, batches, skipped, rows_of_header)


def _numbered_csv(
    part: FileRange, batches: Iterator[pa.RecordBatch], skipped: list[Any], rows_of_header: int
) -> Iterator[SourceBatch]:
    """Yields batches with the number of each row in the file; rows that pyarrow skipped are counted and rejected."""
    next_row = part.first_row

    def rejected_rows() -> list[Rejected]:
        # pyarrow counts the rows of this range, including the header, from 1.
        bad = [_wrong_width(part.path, row, part.first_row - 1 + row.number - rows_of_header) for row in skipped]
        skipped.clear()
        return bad

    for batch in batches:
        rejected = rejected_rows()
        bad = [row.row for row in rejected]
        end = next_row + batch.num_rows + len(bad)
        numbers = np.setdiff1d(np.arange(next_row, end), bad)[: batch.num_rows]
        for start in range(0, max(batch.num_rows, 1), BATCH_ROWS):
            rows = batch.slice(start, BATCH_ROWS)
            yield SourceBatch(part.path, numbers[start : start + BATCH_ROWS], rows, rejected if start == 0 else [])
        next_row = end
    if skipped:
        yield SourceBatch(part.path, np.array([], np.int64), no_rows(), rejected_rows())


def _wrong_width(path: str, row: Any, number: int) -> Rejected:
    reason = Reason.WRONG_WIDTH.format(expected=row.expected_columns, found=row.actual_columns)
    return Rejected(path, number, "(row)", reason, {"text": row.text})


def _header(file: SourceFile) -> list[str] | None:
    """Returns the column names of a CSV file, from its first row or from the spec; None if it has no rows.

    Raises:
        SourceError: the first row is longer than the limit, or cannot be parsed.
    """
    source = file.source
    with file.open() as content:
        start = content.read(2 * ROW_BYTES)
    text = io.StringIO(start.decode("utf-8-sig", errors="replace"), newline="")
    rows = (row for row in csv.reader(text, delimiter=file.delimiter) if row)
    needed, header = (2, None) if source.header else (1, source.columns)
    found = 0
    try:
        for row in itertools.islice(rows, needed):
            header = header or row
            found += 1
    except csv.Error as error:
        if header is None:
            raise SourceError(
                f"{file.path}: cannot be read as csv: {error} in the first row; "
                "check `source: {delimiter: …}` and the quotes"
            ) from None
        found += 1  # The csv module limits the length of values; pyarrow does not.
    if found < needed and len(start) == 2 * ROW_BYTES:
        raise SourceError(f"{file.path}: cannot be read as csv: the first row is longer than {ROW_BYTES:,} bytes")
    return header if found >= needed else None
