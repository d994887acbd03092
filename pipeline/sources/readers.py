"""Readers: CSV, JSON Lines, Parquet and TFRecord files to Arrow RecordBatches, through pyarrow's own readers.

Text is read as bytes and never guessed at: `007` stays `007`, whatever stands in the other rows.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from apache_beam.io.filesystem import BeamIOError

from ...transforms.errors import SourceError
from ...transforms.spec import Source
from .batches import BATCH_ROWS, Rejected, SourceBatch, no_rows, selected
from .files import ROW_BYTES, csv_delimiter, csv_header, file_format, opened
from .json_lines import json_blocks, parse_json
from .ranges import RANGE_BYTES, FileRange, file_ranges
from .tfrecord_files import read_records

__all__ = ["BATCH_ROWS", "Rejected", "SourceBatch", "all_columns", "read_batches", "read_range", "readable_ranges"]

# Parquet is decoded this many rows at a time: half the time that 8,192 take.
_DECODED_ROWS = 2 * BATCH_ROWS

# The largest record of a TFRecord file, and about how many bytes of them are held at a time.
_RECORD_BYTES = 16 << 20
_HELD_BYTES = 64 << 20

# Files on a distant disk take a while to open.
_OPENED_AT_ONCE = 16


@contextlib.contextmanager
def _named(path: str, source: Source) -> Iterator[None]:
    """Tells the user which file it was that could not be read, and as what."""
    try:
        yield
    except (pa.ArrowException, EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        if isinstance(error, MemoryError):
            raise
        message = str(error)
        if "straddling" in message:
            message = f"a row is longer than {ROW_BYTES:,} bytes, or a quote is never closed"
        raise SourceError(f"{path}: cannot be read as {file_format(path, source)}: {message}") from None
    except (OSError, BeamIOError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None


def readable_ranges(path: str, source: Source) -> list[FileRange]:
    """Returns the ranges of a file, for `read_range`.

    Raises:
        SourceError: the file is not what its format promises.
    """
    with _named(path, source):
        return file_ranges(path, source)


def read_range(part: FileRange, source: Source, columns: Sequence[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a range in batches of at most 16,384, with (at least) the named columns.

    Raises:
        SourceError: the file lacks a column, or is not what its format promises.
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


def all_columns(files: Sequence[str], source: Source) -> list[str]:
    """Returns the names of all columns of the files, sorted: of JSON Lines and TFRecords those of the first rows.

    Raises:
        SourceError: as `read_range` does.
    """
    with ThreadPoolExecutor(_OPENED_AT_ONCE) as threads:
        return sorted(
            {name for names in threads.map(lambda path: _column_names(path, source), files) for name in names}
        )


def _column_names(path: str, source: Source) -> list[str]:
    kind = file_format(path, source)
    with _named(path, source), opened(path, decompress=kind != "parquet") as file:
        if kind == "csv":
            return csv_header(path, source) or []
        if kind == "parquet":
            return pa.parquet.ParquetFile(file).schema_arrow.names
        if kind == "jsonl":
            return list(parse_json(next(json_blocks(file, ROW_BYTES), b""), path, 1, [])[2])
        from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

        for records in read_records(file, _RECORD_BYTES, BATCH_ROWS, _HELD_BYTES):
            try:
                return ExamplesToRecordBatchDecoder().DecodeBatch(records).schema.names
            except ValueError:
                break  # Records that are no tf.Example are rejected one by one as they are read.
        return []


def _check_columns(path: str, found: Sequence[str], wanted: Sequence[str]) -> None:
    twice = [column for column in wanted if list(found).count(column) > 1]
    if twice:
        raise SourceError(f"{path}: has several columns named {twice[0]!r}; rename all but one")
    missing = [column for column in wanted if column not in found]
    if missing:
        raise SourceError(
            f"{path}: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, found))}. "
            f"Mend the name in the spec (a field reads another column with `column:`)"
        )


def _in_batches(part: FileRange, batches: Iterator[pa.RecordBatch], columns: list[str]) -> Iterator[SourceBatch]:
    first = part.first_row
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            rows = batch.slice(start, BATCH_ROWS)
            yield SourceBatch(part.path, np.arange(first, first + rows.num_rows), selected(rows, columns))
            first += rows.num_rows


def _text_of(part: FileRange) -> contextlib.AbstractContextManager[Any]:
    """Returns the bytes of a range of text, held in memory unless it is the whole file.

    Raises:
        pa.ArrowInvalid: a row is so long that the range is larger than ranges of rows are.
    """
    if part.stop is None and part.start == 0:
        return opened(part.path)
    most = 2 * RANGE_BYTES + ROW_BYTES
    with opened(part.path) as file:
        file.seek(part.start)
        text = file.read(most + 1 if part.stop is None else min(most + 1, part.stop - part.start))
    if len(text) > most:
        raise pa.ArrowInvalid(f"after row {part.first_row}, a row is longer than {ROW_BYTES:,} bytes")
    return io.BytesIO(text)


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
                block_size=ROW_BYTES,
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
        yield SourceBatch(part.path, np.array([], np.int64), no_rows(), told())


def _wrong_width(path: str, row: Any, number: int) -> Rejected:
    reason = f"expected {row.expected_columns} columns, found {row.actual_columns}"
    return Rejected(path, number, "(row)", reason, {"text": row.text})


def _read_jsonl(part: FileRange, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    next_row = part.first_row
    with _text_of(part) as file:
        for block in json_blocks(file, ROW_BYTES):
            batches, rows, names = parse_json(block, part.path, next_row, columns)
            if part.start == 0 and next_row == 1 and names:
                _check_columns(part.path, sorted(names), columns)
            next_row += rows
            yield from batches


def _read_parquet(part: FileRange, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    with opened(part.path, decompress=False) as file:
        parquet = pa.parquet.ParquetFile(file)
        _check_columns(part.path, parquet.schema_arrow.names, columns)
        groups = range(part.start, parquet.num_row_groups if part.stop is None else part.stop)
        batches = parquet.iter_batches(_DECODED_ROWS, row_groups=groups, columns=sorted(set(columns)))
        rows = 0
        for batch in _in_batches(part, batches, columns):
            rows += batch.data.num_rows
            yield batch
        promised = sum(parquet.metadata.row_group(group).num_rows for group in groups)
        if rows != promised:
            raise pa.ArrowInvalid(f"its footer promises {promised:,} rows here, and {rows:,} are there")


def _read_tfrecord(part: FileRange, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    # Only this reader needs it; importing TensorFlow takes seconds.
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    decoder = ExamplesToRecordBatchDecoder()
    first = part.first_row
    with opened(part.path) as file:
        for records in read_records(file, _RECORD_BYTES, BATCH_ROWS, _HELD_BYTES):
            numbers = np.arange(first, first + len(records))
            first += len(records)
            try:
                yield SourceBatch(part.path, numbers, selected(decoder.DecodeBatch(records), columns))
            except ValueError:
                yield from _one_by_one(part.path, numbers, records, columns)


def _one_by_one(path: str, numbers: np.ndarray, records: list[bytes], columns: list[str]) -> Iterator[SourceBatch]:
    """Yields each record of a batch that cannot be decoded as a whole, rejected if it is no tf.Example."""
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    decoder = ExamplesToRecordBatchDecoder()
    for number, record in zip(numbers.tolist(), records, strict=True):
        rows = np.array([number])
        try:
            yield SourceBatch(path, rows, selected(decoder.DecodeBatch([record]), columns))
        except ValueError as error:
            reason = f"no tf.Example: {str(error)[:200]}"
            bad = Rejected(path, number, "(row)", reason, {"text": record[:1000].decode("utf-8", "backslashreplace")})
            yield SourceBatch(path, rows[:0], no_rows(), [bad])
