"""Reads files of all formats into batches of rows, with the number of each row."""

from __future__ import annotations

import contextlib
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Protocol

import pyarrow as pa

from ...transforms.errors import FieldpoolWarning, SourceError
from ...transforms.spec import Source
from .batches import SourceBatch, check_columns
from .content_checks import check_content, check_name, is_empty
from .exploding import columns_to_read, exploded, exploded_columns
from .formats import csv_files, json_lines, libffm_files, parquet_files, tfrecord_files
from .formats.hive_folders import folder_columns, with_columns
from .paths import TEXT, VALUE, Shape, Shapes, members_of, merged, shape_at
from .ranges import RANGE_BYTES, FileRange
from .source_file import ROW_BYTES, Kind, SourceFile, source_file

# Files that are opened in parallel, because opening a remote file takes a while.
_OPENED_AT_ONCE = 16


class _Format(Protocol):
    """The functions of a format's module."""

    def columns_of(self, file: SourceFile) -> dict[str, Shape]: ...

    def ranges(self, file: SourceFile, range_bytes: int) -> list[FileRange]: ...

    def read(self, file: SourceFile, part: FileRange, columns: list[str]) -> Iterator[SourceBatch]: ...


_FORMATS: dict[Kind, _Format] = {
    "csv": csv_files,
    "json": json_lines,
    "jsonl": json_lines,
    "libffm": libffm_files,
    "parquet": parquet_files,
    "tfrecord": tfrecord_files,
}

# Formats in which every file must have all columns, unless it has 0 bytes; in the others, a row may lack a column.
_HAVE_ALL_COLUMNS: set[Kind] = {"csv", "parquet"}


@contextlib.contextmanager
def _named(file: SourceFile) -> Iterator[None]:
    """Turns read errors into SourceErrors that name the file and its format."""
    try:
        yield
    except (pa.ArrowException, EOFError, zlib.error, UnicodeDecodeError) as error:
        if isinstance(error, MemoryError):
            raise
        message = str(error)
        if "straddling" in message:
            message = f"a row is longer than {ROW_BYTES:,} bytes, or a quote is never closed"
        raise SourceError(f"{file.path}: cannot be read as {file.kind}: {message}") from None
    except OSError as error:  # Also Beam's.
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
    """Yields the rows of a range, exploded if the source says so, in batches of at most 16,384 rows.

    They have at least the given columns. Columns that the file lacks may be those of its folders: see `hive_folders`.

    Raises:
        SourceError: the file lacks a column, or is not valid in its format.
    """
    file, explode = source_file(part.path, source), source.explode
    wanted = list(columns) if explode is None else columns_to_read(explode, columns)
    with _named(file):
        for batch in _read_ahead(_with_folders(file, part, wanted)):
            yield from [batch] if explode is None else exploded(batch, explode, columns)


def _with_folders(file: SourceFile, part: FileRange, wanted: list[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a range with the columns of the file and of its folders."""
    read = _FORMATS[file.kind].read
    of_folders = {name: value for name, value in folder_columns(file.path).items() if name in wanted}
    if not of_folders:
        yield from read(file, part, wanted)
        return
    if file.kind in _HAVE_ALL_COLUMNS:
        of_file = _FORMATS[file.kind].columns_of(file) if part.header is None else dict.fromkeys(part.header, TEXT)
        of_folders = _lacking(of_file, of_folders)
        # Without any column, the number of rows would not be known.
        any_column = (name for name, shape in of_file.items() if not shape.unreadable)
        wanted = [name for name in wanted if name not in of_folders] or list(islice(any_column, 1))
    for batch in read(file, part, wanted):
        yield from with_columns(batch, of_folders)


def _lacking(of_file: Shapes, of_folders: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """Returns the columns of folders that a file does not have itself."""
    return {name: value for name, value in of_folders.items() if shape_at(name, of_file) is None}


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


def check_input(
    files: Sequence[str],
    source: Source,
    columns: Sequence[str],
    *,
    is_optional: bool = False,
    others: Sequence[str] = (),
) -> list[str]:
    """Checks files before any work starts, and returns the sorted names of their columns.

    They include the paths in `columns` and `others` that a file has.

    Each CSV or Parquet file must have all requested columns, unless it has 0 bytes. Rows and files of other formats may
    lack a column; it must be in the first rows of at least one file. The first rows of the first file that has rows are
    read as well.

    Args:
        files: Paths, without wildcards.
        source: Their format.
        columns: The columns to read.
        is_optional: For a column that no file of these formats has, warn with a FieldpoolWarning instead of
            raising SourceError.
        others: Columns to look for, which all files may lack.

    Raises:
        SourceError: no file has rows, a column is missing or cannot be read, or a file is not valid in its format.
    """
    by_file = _columns_by_file(files, source)
    shapes = _merged(by_file.values())
    for path, of_file in by_file.items():
        if of_file and source_file(path, source).kind in _HAVE_ALL_COLUMNS:
            absent = [name for name in columns if shape_at(name, of_file) is None]
            having = [other for other in by_file if absent and shape_at(absent[0], by_file[other]) is not None]
            check_columns(path, list(of_file), columns, next(iter(having), None), of_file)
    _check_first_rows(files, source, columns)
    missing = [name for name in columns if shape_at(name, shapes) is None]
    names = sorted({*shapes, *(name for name in (*columns, *others) if shape_at(name, shapes) is not None)})
    if missing and names:
        name = shown(files)
        if not is_optional:
            check_columns(name, names, columns, shapes=shapes)
        message = (
            f"{name}: no row has {', '.join(map(repr, missing))}, so all values count as missing; "
            f"found {', '.join(map(repr, names))}"
        )
        warnings.warn(message, FieldpoolWarning, stacklevel=3)
    return names


def _check_first_rows(files: Sequence[str], source: Source, columns: Sequence[str]) -> None:
    """Reads the first rows, so that errors in them are reported before any work starts.

    Raises:
        SourceError: no file has rows, or as `read_range`.
    """
    # The first rows may be exploded to nothing, so all ranges may have to be read.
    ranges = None if source.explode else 1
    for path in files:
        for part in file_ranges(path, source)[:ranges]:
            if any(batch.read for batch in read_range(part, source, columns)):
                return
    is_one_empty = len(files) == 1 and is_empty(source_file(files[0], source))
    empty = " (it has 0 bytes: was the download complete?)" if is_one_empty else ""
    elements = f", or none with elements in column {source.explode.column!r} (source.explode)" if source.explode else ""
    raise SourceError(f"{shown(files)}: no rows{elements}; pass files with rows{empty}")


def shown(files: Sequence[str]) -> str:
    """Returns files as errors name them: the first one, and the number of others."""
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def usable_columns(files: Sequence[str], source: Source) -> tuple[list[str], dict[str, str]]:
    """Returns the sorted names of the columns that can be read from all files, and why others cannot be.

    Raises:
        SourceError: as `read_range` does.
    """
    reasons: dict[str, str] = {}
    by_file = _columns_by_file(files, source)
    names = []
    for name, shape in sorted(_merged(by_file.values()).items()):
        members, others = members_of(name, shape)
        names += members or [name]
        if others:
            reasons[name] = f"of its members, only {len(members)} are read, and {others:,} are not"
        elif shape.unreadable and not members:
            reasons[name] = f"the type {shape.unreadable} cannot be read: write its parts as columns"
    for path, of_file in by_file.items():
        if of_file and source_file(path, source).kind in _HAVE_ALL_COLUMNS:
            reasons |= {name: f"{path} has no such column" for name in names if shape_at(name, of_file) is None}
    return [name for name in names if name not in reasons], reasons


def _columns_by_file(files: Sequence[str], source: Source) -> dict[str, dict[str, Shape]]:
    """Returns the columns of each file."""
    with ThreadPoolExecutor(_OPENED_AT_ONCE) as threads:
        return dict(zip(files, threads.map(lambda path: _columns_of(path, source), files), strict=True))


def _merged(by_file: Iterable[Mapping[str, Shape]]) -> dict[str, Shape]:
    """Returns the columns of several files."""
    shapes: dict[str, Shape] = {}
    for of_file in by_file:
        shapes |= {name: merged(shapes.get(name, shape), shape) for name, shape in of_file.items()}
    return shapes


def _columns_of(path: str, source: Source) -> dict[str, Shape]:
    file = check_name(path, source)
    with _named(file):
        check_content(file)
        of_file = _FORMATS[file.kind].columns_of(file)
    if of_file:
        # Values, not texts: no path leads into them. The parts of exploded elements belong to the file.
        of_folders = _lacking(of_file, folder_columns(path)).keys() - (source.explode.groups if source.explode else [])
        of_file |= dict.fromkeys(of_folders, VALUE)
    if source.explode is None:
        return of_file
    return exploded_columns(path, source.explode, of_file, has_all=file.kind in _HAVE_ALL_COLUMNS)
