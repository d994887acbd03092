"""Readers: CSV, JSON Lines, Parquet and TFRecord files to Arrow RecordBatches, through pyarrow's own readers.

Paths may be globs, on any file system that Beam knows. Text is read as bytes and never guessed at:
`007` stays `007`, whatever stands in the other rows.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from ..transforms.errors import UserError
from ..transforms.spec import Source

BATCH_ROWS = 8192
_CSV_BLOCK_BYTES = 4 << 20

_EXTENSIONS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
}


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


def find_files(patterns: Sequence[str]) -> list[str]:
    """Returns the files that the patterns match, sorted, each once.

    Raises:
        UserError: if a pattern matches no file.
    """
    files: set[str] = set()
    for pattern in patterns:
        try:
            matches = FileSystems.match([pattern])[0].metadata_list
        except BeamIOError as error:
            raise UserError(f"{pattern}: cannot be listed ({error})") from None
        if not matches:
            raise UserError(f"{pattern}: no such file; check the path, or quote the pattern for the shell")
        files |= {match.path for match in matches}
    return sorted(files)


def file_format(path: str, source: Source) -> str:
    """Returns "csv", "jsonl", "parquet" or "tfrecord": as the spec says, or by the file's extension."""
    if source.format != "auto":
        return source.format
    name = path.lower().removesuffix(".gz").removesuffix(".bz2")
    for extension, kind in _EXTENSIONS.items():
        if name.endswith(extension):
            return kind
    raise UserError(
        f"{path}: the format cannot be told from the name; set `source: {{format: csv}}` "
        f"(or jsonl, parquet, tfrecord) in the spec"
    )


def read_batches(path: str, source: Source, columns: Sequence[str]) -> Iterator[SourceBatch]:
    """Yields the rows of `path` in batches of at most 8192, with (at least) the named columns.

    Raises:
        UserError: the file lacks a column, or is not what its format promises.
    """
    read = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet, "tfrecord": _read_tfrecord}
    kind = file_format(path, source)
    try:
        yield from read[kind](path, source, list(columns))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: cannot be read as {kind}: {error}") from None
    except (OSError, BeamIOError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


class ReadBatches(beam.PTransform):
    """Reads files: `pipeline | ReadBatches(files, source, columns)` gives a PCollection of SourceBatch."""

    def __init__(self, files: Sequence[str], source: Source, columns: Sequence[str]) -> None:
        super().__init__()
        self._files, self._source, self._columns = list(files), source, list(columns)

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Returns the batches of all files."""
        # No reshuffle: one bundle reads the files in order, so that a local run is the same each time.
        return (
            pipeline
            | "Files" >> beam.Create(self._files, reshuffle=False)
            | "ReadFile" >> beam.FlatMap(read_batches, self._source, self._columns)
        )


def _opened(path: str) -> contextlib.AbstractContextManager[Any]:
    """Returns the file's bytes, decompressed by its extension."""
    if "://" in path:
        return contextlib.closing(FileSystems.open(path, compression_type=CompressionTypes.AUTO))
    if path.endswith(".gz"):
        return gzip.open(path, "rb")
    if path.endswith(".bz2"):
        return bz2.open(path, "rb")
    return open(path, "rb")


def _check_columns(path: str, found: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [column for column in wanted if column not in found]
    if missing:
        raise UserError(
            f"{path}: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, found))}. "
            f"Mend the name in the spec (a field reads another column with `column:`)"
        )


def _in_batches(path: str, batches: Iterator[pa.RecordBatch], columns: list[str] | None) -> Iterator[SourceBatch]:
    first = 1
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            part = batch.slice(start, BATCH_ROWS)
            rows = np.arange(first + start, first + start + part.num_rows)
            yield SourceBatch(path, rows, part.select(columns) if columns else part)
        first += batch.num_rows


def _read_csv(path: str, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    delimiter = source.delimiter or ("\t" if path.removesuffix(".gz").endswith(".tsv") else ",")
    skipped: list[Any] = []

    def skip(row: Any) -> str:
        skipped.append(row)
        return "skip"

    parse = pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip)
    with _opened(path) as file:
        if not file.read(1):
            return
        file.seek(0)
        header = source.columns if not source.header else _csv_header(file, parse)
        _check_columns(path, header or [], columns)
        batches = pa.csv.open_csv(
            file,
            # One thread: rows that are skipped are then told with their number.
            read_options=pa.csv.ReadOptions(
                use_threads=False,
                block_size=_CSV_BLOCK_BYTES,
                column_names=header,
                skip_rows_after_names=1 if source.header else 0,
            ),
            parse_options=parse,
            convert_options=pa.csv.ConvertOptions(
                column_types={column: pa.binary() for column in columns},
                include_columns=columns,
                null_values=sorted({"", *source.null_values}),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        yield from _numbered_csv(path, batches, skipped, header_rows=int(source.header))


def _csv_header(file: IO[bytes], parse: pa.csv.ParseOptions) -> list[str]:
    """Returns the column names of the first line, and rewinds."""
    one_row = pa.csv.ReadOptions(use_threads=False, autogenerate_column_names=True, block_size=_CSV_BLOCK_BYTES)
    names = pa.csv.open_csv(
        file,
        read_options=one_row,
        parse_options=pa.csv.ParseOptions(
            delimiter=parse.delimiter, newlines_in_values=True, invalid_row_handler=lambda row: "skip"
        ),
        convert_options=pa.csv.ConvertOptions(auto_dict_encode=False, column_types={}),
    )
    first = names.read_next_batch().slice(0, 1)
    file.seek(0)
    return [str(column[0].as_py()) for column in first.columns]


def _numbered_csv(
    path: str, batches: Iterator[pa.RecordBatch], skipped: list[Any], *, header_rows: int
) -> Iterator[SourceBatch]:
    """Gives each row its number in the file, counting the rows that pyarrow skipped as well."""
    done = told = 0
    for batch in batches:
        bad = [row.number - header_rows for row in skipped[told:]]
        numbers = np.setdiff1d(np.arange(done + 1, done + batch.num_rows + len(bad) + 1), bad)[: batch.num_rows]
        rejected = [_wrong_width(path, row, row.number - header_rows) for row in skipped[told:]]
        told = len(skipped)
        for start in range(0, max(batch.num_rows, 1), BATCH_ROWS):
            part = batch.slice(start, BATCH_ROWS)
            yield SourceBatch(path, numbers[start : start + BATCH_ROWS], part, rejected if start == 0 else [])
        done += batch.num_rows + len(bad)
    if told < len(skipped):
        rejected = [_wrong_width(path, row, row.number - header_rows) for row in skipped[told:]]
        yield SourceBatch(path, np.array([], np.int64), pa.RecordBatch.from_pylist([]), rejected)


def _wrong_width(path: str, row: Any, number: int) -> Rejected:
    reason = f"expected {row.expected_columns} columns, found {row.actual_columns}"
    return Rejected(path, number, "(row)", reason, {"text": row.text})


def _read_jsonl(path: str, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    with _opened(path) as file:
        batches = pa.json.open_json(file, read_options=pa.json.ReadOptions(block_size=_CSV_BLOCK_BYTES))
        _check_columns(path, batches.schema.names, columns)
        yield from _in_batches(path, batches, columns)


def _read_parquet(path: str, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    with (
        contextlib.closing(FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED))
        if ("://" in path)
        else open(path, "rb") as file
    ):
        parquet = pa.parquet.ParquetFile(file)
        _check_columns(path, parquet.schema_arrow.names, columns)
        batches = parquet.iter_batches(batch_size=BATCH_ROWS, columns=sorted(set(columns)))
        yield from _in_batches(path, batches, None)


def _read_tfrecord(path: str, source: Source, columns: list[str]) -> Iterator[SourceBatch]:
    # Only this reader needs them; importing TensorFlow takes seconds.
    import tensorflow as tf
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    records = tf.data.TFRecordDataset(path, "GZIP" if path.endswith(".gz") else None)
    decoder = ExamplesToRecordBatchDecoder()
    first = 1
    try:
        for serialized in records.batch(BATCH_ROWS).as_numpy_iterator():
            batch = decoder.DecodeBatch(serialized.tolist())
            # A feature that no row of the batch has is absent from it: a column of missing values.
            arrays = [batch[column] if column in batch.schema.names else pa.nulls(batch.num_rows) for column in columns]
            rows = np.arange(first, first + batch.num_rows)
            yield SourceBatch(path, rows, pa.RecordBatch.from_arrays(arrays, columns))
            first += batch.num_rows
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError, tf.errors.NotFoundError, ValueError) as error:
        message = getattr(error, "message", str(error))
        raise UserError(f"{path}: cannot be read as tfrecord after row {first - 1}: {message}") from None
