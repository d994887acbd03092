"""Readers: CSV, JSON Lines, Parquet and TFRecord files to Arrow RecordBatches, through pyarrow's own readers.

Text is read as bytes and never guessed at: `007` stays `007`, whatever stands in the other rows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from apache_beam.io.filesystem import BeamIOError

from ..transforms.errors import UserError
from ..transforms.spec import Source
from .file_ranges import FileRange, file_ranges
from .source_files import csv_delimiter, csv_header, file_format, opened

BATCH_ROWS = 16_384
_BLOCK_BYTES = 4 << 20

# Parquet is decoded this many rows at a time: half the time that 8,192 take.
_DECODED_ROWS = 2 * BATCH_ROWS


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used. `row` counts the data rows of `source` from 1."""

    source: str
    row: int
    field: str
    reason: str
    raw: dict[str, Any]


@dataclass(frozen=True)
class SourceBatch:
    """Rows of one file as they stand there; `rows` holds the number of each, int64, from 1."""

    source: str
    rows: np.ndarray
    data: pa.RecordBatch
    rejected: list[Rejected] = field(default_factory=list)


@contextlib.contextmanager
def _named(path: str, source: Source) -> Iterator[None]:
    """Tells the user which file it was that could not be read, and as what."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: cannot be read as {file_format(path, source)}: {error}") from None
    except (OSError, BeamIOError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def readable_ranges(path: str, source: Source) -> list[FileRange]:
    """Returns the ranges of a file, for `read_range`.

    Raises:
        UserError: the file is not what its format promises.
    """
    with _named(path, source):
        return file_ranges(path, source)


def read_range(part: FileRange, source: Source, columns: Sequence[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a range in batches of at most 16,384, with (at least) the named columns.

    Raises:
        UserError: the file lacks a column, or is not what its format promises.
    """
    read = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet, "tfrecord": _read_tfrecord}
    with _named(part.path, source):
        yield from _read_ahead(read[file_format(part.path, source)](part, source, list(columns)))


def _read_ahead(batches: Iterator[SourceBatch]) -> Iterator[SourceBatch]:
    """Yields the same, each read by another thread while the one before it is worked on."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = thread.submit(next, batches, None)
            yield batch


def read_batches(path: str, source: Source, columns: Sequence[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a whole file, as `read_range` does."""
    for part in readable_ranges(path, source):
        yield from read_range(part, source, columns)


def column_names(path: str, source: Source) -> list[str]:
    """Returns the columns that a file has; of JSON Lines and TFRecords those that its first rows have.

    Raises:
        UserError: the file is not what its format promises.
    """
    kind = file_format(path, source)
    with _named(path, source):
        if kind == "csv":
            return csv_header(path, source) or []
        if kind == "parquet":
            with opened(path, decompress=False) as file:
                return list(pa.parquet.read_schema(file).names)
        if kind == "jsonl":
            with opened(path) as file:
                return list(pa.json.open_json(file, pa.json.ReadOptions(block_size=_BLOCK_BYTES)).schema.names)
        import tensorflow as tf
        from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

        records = tf.data.TFRecordDataset(path, "GZIP" if path.endswith(".gz") else None)
        first = [record for record in records.take(BATCH_ROWS).as_numpy_iterator()]
        return list(ExamplesToRecordBatchDecoder().DecodeBatch(first).schema.names)


def _check_columns(path: str, found: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [column for column in wanted if column not in found]
    if missing:
        raise UserError(
            f"{path}: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, found))}. "
            f"Mend the name in the spec (a field reads another column with `column:`)"
        )


def _in_batches(part: FileRange, batches: Iterator[pa.RecordBatch], columns: list[str]) -> Iterator[SourceBatch]:
    first = part.first_row
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            rows = batch.slice(start, BATCH_ROWS)
            yield SourceBatch(part.path, np.arange(first, first + rows.num_rows), _selected(rows, columns))
            first += rows.num_rows


def _selected(batch: pa.RecordBatch, columns: list[str]) -> pa.RecordBatch:
    """Returns the columns of a batch; one that no row of the batch has is full of missing values."""
    names = set(batch.schema.names)
    return pa.RecordBatch.from_arrays(
        [batch[column] if column in names else pa.nulls(batch.num_rows) for column in columns], columns
    )


def _text_of(part: FileRange) -> contextlib.AbstractContextManager[Any]:
    """Returns the bytes of a range of text; a range with an end is of a size to hold."""
    if part.stop is None and part.start == 0:
        return opened(part.path)
    with opened(part.path) as file:
        file.seek(part.start)
        return io.BytesIO(file.read(-1 if part.stop is None else part.stop - part.start))


def _read_csv(part: FileRange, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    skipped: list[Any] = []

    def skip(row: Any) -> str:
        skipped.append(row)
        return "skip"

    _check_columns(part.path, part.header or [], columns)
    rows_of_header = int(source.header and part.start == 0)
    with _text_of(part) as file:
        batches = pa.csv.open_csv(
            file,
            # One thread: rows that are skipped are then told with their number.
            read_options=pa.csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK_BYTES,
                column_names=None if rows_of_header else part.header,
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=csv_delimiter(part.path, source), newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={column: pa.binary() for column in columns},
                include_columns=columns,
                null_values=sorted({"", *source.null_values}),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        yield from _numbered_csv(part, batches, skipped, rows_of_header)


def _numbered_csv(
    part: FileRange, batches: Iterator[pa.RecordBatch], skipped: list[Any], rows_of_header: int
) -> Iterator[SourceBatch]:
    """Gives each row its number in the file, counting the rows that pyarrow skipped as well."""
    next_row = part.first_row

    def told() -> list[Rejected]:
        # pyarrow counts what it has read of this range, the header too, from 1.
        bad = [_wrong_width(part.path, row, part.first_row - 1 + row.number - rows_of_header) for row in skipped]
        skipped.clear()
        return bad

    for batch in batches:
        rejected = told()
        bad = [row.row for row in rejected]
        end = next_row + batch.num_rows + len(bad)
        numbers = np.setdiff1d(np.arange(next_row, end), bad)[: batch.num_rows]
        for start in range(0, max(batch.num_rows, 1), BATCH_ROWS):
            rows = batch.slice(start, BATCH_ROWS)
            yield SourceBatch(part.path, numbers[start : start + BATCH_ROWS], rows, rejected if start == 0 else [])
        next_row = end
    if skipped:
        yield SourceBatch(part.path, np.array([], np.int64), pa.RecordBatch.from_pylist([]), told())


def _wrong_width(path: str, row: Any, number: int) -> Rejected:
    reason = f"expected {row.expected_columns} columns, found {row.actual_columns}"
    return Rejected(path, number, "(row)", reason, {"text": row.text})


def _read_jsonl(part: FileRange, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    with _text_of(part) as file:
        if not file.read(1 << 16).strip():  # No rows, which pyarrow takes for an error.
            return
        file.seek(0)
        batches = pa.json.open_json(file, read_options=pa.json.ReadOptions(block_size=_BLOCK_BYTES))
        if part.start == 0:
            _check_columns(part.path, batches.schema.names, columns)
        yield from _in_batches(part, batches, columns)


def _read_parquet(part: FileRange, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    with opened(part.path, decompress=False) as file:
        parquet = pa.parquet.ParquetFile(file)
        _check_columns(part.path, parquet.schema_arrow.names, columns)
        groups = range(part.start, parquet.num_row_groups if part.stop is None else part.stop)
        batches = parquet.iter_batches(_DECODED_ROWS, row_groups=groups, columns=sorted(set(columns)))
        yield from _in_batches(part, batches, columns)


def _read_tfrecord(part: FileRange, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    # Only this reader needs them; importing TensorFlow takes seconds.
    import tensorflow as tf
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    records = tf.data.TFRecordDataset(part.path, "GZIP" if part.path.endswith(".gz") else None)
    decoder = ExamplesToRecordBatchDecoder()
    first = part.first_row
    try:
        for serialized in records.batch(BATCH_ROWS).as_numpy_iterator():
            batch = decoder.DecodeBatch(serialized.tolist())
            yield from _in_batches(dataclasses.replace(part, first_row=first), iter([batch]), columns)
            first += batch.num_rows
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError, tf.errors.NotFoundError, ValueError) as error:
        message = getattr(error, "message", str(error))
        raise UserError(f"{part.path}: cannot be read as tfrecord after row {first - 1}: {message}") from None
