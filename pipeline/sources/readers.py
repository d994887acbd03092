"""Reads files of all formats into batches of rows, with the number of each row."""

from __future__ import annotations

import contextlib
import gzip
import warnings
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError

from ...transforms.errors import FieldpoolWarning, SourceError
from ...transforms.spec import Source
from . import csv_files, json_lines, parquet_files, tfrecord_files
from .batches import SourceBatch, check_columns
from .formats import ROW_BYTES, Kind, SourceFile, source_file
from .ranges import RANGE_BYTES, FileRange

# Files that are opened in parallel, because opening a remote file takes a while.
_OPENED_AT_ONCE = 16


class _Format(Protocol):
    """The functions of a format's module."""

    def column_names(self, file: SourceFile) -> list[str]: ...

    def ranges(self, file: SourceFile, range_bytes: int) -> list[FileRange]: ...

    def read(self, file: SourceFile, part: FileRange, columns: list[str]) -> Iterator[SourceBatch]: ...


_FORMATS: dict[Kind, _Format] = {
    "csv": csv_files,
    "jsonl": json_lines,
    "parquet": parquet_files,
    "tfrecord": tfrecord_files,
}


@contextlib.contextmanager
def _named(file: SourceFile) -> Iterator[None]:
    """Turns read errors into SourceErrors that name the file and its format."""
    try:
        yield
    except (pa.ArrowException, EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        if isinstance(error, MemoryError):
            raise
        message = str(error)
        if "straddling" in message:
            message = f"a row is longer than {ROW_BYTES:,} bytes, or a quote is never closed"
        raise SourceError(f"{file.path}: cannot be read as {file.kind}: {message}") from None
    except (OSError, BeamIOError) as error:
        raise SourceError(f"{file.path}: cannot be read: {error}") from None


def file_ranges(path: str, source: Source, range_bytes: int = RANGE_BYTES) -> list[FileRange]:
    """Returns the ranges of a file, in order, for `read_range`; an empty CSV file has none.

    Raises:
        SourceError: the file is not valid in its format.
    """
    file = source_file(path, source)
    with _named(file):
        return _FORMATS[file.kind].ranges(file, range_bytes)


def read_range(part: FileRange, source: Source, columns: Sequence[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a range in batches of at most 16,384 rows, with at least the given columns.

    Raises:
        SourceError: the file lacks a column, or is not valid in its format.
    """
    file = source_file(part.path, source)
    with _named(file):
        yield from _read_ahead(_FORMATS[file.kind].read(file, part, list(columns)))


def _read_ahead(batches: Iterator[SourceBatch]) -> Iterator[SourceBatch]:
    """Yields the same batches; another thread reads the next batch while the caller works on the current one."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = thread.submit(next, batches, None)
            yield batch


def read_batches(path: str, source: Source, columns: Sequence[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a complete file, as `read_range` does."""
    for part in file_ranges(path, source):
        yield from read_range(part, source, columns)


def check_readable(path: str, source: Source, columns: Sequence[str]) -> None:
    """Reads the first rows of a file, so that errors in it are reported before any work starts.

    Raises:
        SourceError: as `read_range`.
    """
    file = source_file(path, source)
    with _named(file):
        for part in _FORMATS[file.kind].ranges(file, RANGE_BYTES)[:1]:
            next(_FORMATS[file.kind].read(file, part, list(columns)), None)


def check_all_columns(
    files: Sequence[str], source: Source, columns: Sequence[str], *, is_optional: bool = False
) -> None:
    """Checks that each column is in at least one file: rows and files of JSON Lines and TFRecords may lack a column.

    Only the first rows of these files are read, and only as many files as it takes to find all columns.

    Args:
        files: Paths, without wildcards.
        source: Their format.
        columns: The names to look for.
        is_optional: Warn, with a FieldpoolWarning, instead of raising SourceError.

    Raises:
        SourceError: no file has one of the columns, or a file is not valid in its format.
    """
    found: set[str] = set()
    for path in files:
        found.update(_column_names(path, source))
        if found.issuperset(columns):
            return
    if not found:
        return  # There are no rows.
    name = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    if not is_optional:
        check_columns(name, sorted(found), columns)
    missing = ", ".join(repr(column) for column in columns if column not in found)
    names = ", ".join(map(repr, sorted(found)))
    message = f"{name}: no row has {missing}, so all values count as missing; found {names}"
    warnings.warn(message, FieldpoolWarning, stacklevel=3)


def all_columns(files: Sequence[str], source: Source) -> list[str]:
    """Returns the sorted names of all columns of the files; for JSON Lines and TFRecords, those in the first rows.

    Raises:
        SourceError: as `read_range` does.
    """
    with ThreadPoolExecutor(_OPENED_AT_ONCE) as threads:
        return sorted(
            {name for names in threads.map(lambda path: _column_names(path, source), files) for name in names}
        )


def _column_names(path: str, source: Source) -> list[str]:
    file = source_file(path, source)
    with _named(file):
        return _FORMATS[file.kind].column_names(file)
