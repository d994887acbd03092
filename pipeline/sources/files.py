"""The files that rows come from: which they are, what format they have, and how they are opened."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from ...transforms.errors import SourceChanged, SourceError
from ...transforms.spec import Source

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


# The first row of a CSV file must end within so many bytes, and so must each row: what pyarrow reads at a time.
ROW_BYTES = 4 << 20


@dataclass(frozen=True, order=True)
class FileStamp:
    """What a file was when the work began: its size in bytes, and when it was last written, in seconds since 1970."""

    path: str
    size: int
    modified: float


def find_files(patterns: Sequence[str]) -> list[FileStamp]:
    """Returns the files that the patterns match as they are now, sorted by their paths, each once.

    A pattern is listed once, however many files it matches: one by one, ten thousand objects take minutes to ask for.

    Raises:
        SourceError: if a pattern matches no file.
    """
    files: dict[str, FileStamp] = {}
    for pattern in patterns:
        try:
            found = _listed(pattern)
        except BeamIOError as error:
            raise SourceError(f"{pattern}: cannot be listed ({error})") from None
        if not found:
            raise SourceError(f"{pattern}: no such file; check the path, or quote the pattern for the shell")
        files |= found
    return sorted(files.values())


def _listed(pattern: str) -> dict[str, FileStamp]:
    return {
        found.path: FileStamp(found.path, found.size_in_bytes, found.last_updated_in_seconds)
        for found in FileSystems.match([pattern])[0].metadata_list
    }


@contextlib.contextmanager
def unchanged(file: FileStamp) -> Iterator[None]:
    """Holds a file against what it was, before and after what is done with it.

    Raises:
        SourceChanged: it is another, or gone. Also in place of a SourceError, of which that is the cause.
    """
    _check_same(file, _stamp(file.path))
    try:
        yield
    except SourceError:
        _check_same(file, _stamp(file.path))
        raise
    _check_same(file, _stamp(file.path))


def check_unchanged(files: Sequence[FileStamp], patterns: Sequence[str]) -> None:
    """Raises SourceChanged if one of the files, which `find_files` found for the patterns, is another now, or gone."""
    now = {path: found for pattern in patterns for path, found in _listed(pattern).items()}
    for file in files:
        _check_same(file, now.get(file.path))


def _stamp(path: str) -> FileStamp | None:
    """Returns what a file is, None if it is not there; its name may hold what has a meaning in patterns."""
    system = FileSystems.get_filesystem(path)
    try:
        found = system.metadata(path)
    except BeamIOError:
        if system.exists(path):
            raise
        return None
    return FileStamp(path, found.size_in_bytes, found.last_updated_in_seconds)


def _check_same(then: FileStamp, now: FileStamp | None) -> None:
    if now is None:
        raise SourceChanged(f"{then.path}: was there when the work began, and is gone; run again when it is")
    if now != then:
        raise SourceChanged(
            f"{then.path}: has been written to since the work began ({then.size:,} bytes then, {now.size:,} now), "
            "so its two readings differ; run again when it is left alone, on a copy if need be"
        )


def file_format(path: str, source: Source) -> str:
    """Returns "csv", "jsonl", "parquet" or "tfrecord": as the spec says, or by the file's extension."""
    if source.format != "auto":
        return source.format
    name = path.lower().removesuffix(".gz").removesuffix(".bz2")
    for extension, kind in _EXTENSIONS.items():
        if name.endswith(extension):
            return kind
    raise SourceError(
        f"{path}: the format cannot be told from the name; set `source: {{format: csv}}` "
        f"(or jsonl, parquet, tfrecord) in the spec"
    )


def is_compressed(path: str) -> bool:
    """Returns whether the file's text is compressed, by its extension."""
    return path.endswith((".gz", ".bz2"))


def opened(path: str, decompress: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Returns the file's bytes, decompressed by its extension."""
    if "://" in path:
        kind = CompressionTypes.AUTO if decompress else CompressionTypes.UNCOMPRESSED
        return contextlib.closing(FileSystems.open(path, compression_type=kind))
    if decompress and path.endswith(".gz"):
        return gzip.open(path, "rb")
    if decompress and path.endswith(".bz2"):
        return bz2.open(path, "rb")
    return open(path, "rb")


def csv_delimiter(path: str, source: Source) -> str:
    """Returns the character between values: as the spec says, or by the file's extension."""
    return source.delimiter or ("\t" if path.removesuffix(".gz").removesuffix(".bz2").endswith(".tsv") else ",")


def csv_header(path: str, source: Source) -> list[str] | None:
    """Returns the column names of a CSV file, from its first row or from the spec; None if it has no rows.

    Raises:
        SourceError: the first two rows are longer than rows may be.
    """
    with opened(path) as file:
        start = file.read(2 * ROW_BYTES)
    text = io.StringIO(start.decode("utf-8-sig", errors="replace"), newline="")
    rows = (row for row in csv.reader(text, delimiter=csv_delimiter(path, source)) if row)
    needed, header = (2, None) if source.header else (1, source.columns)
    found = 0
    try:
        for row in itertools.islice(rows, needed):
            header = header or row
            found += 1
    except csv.Error as error:
        if header is None:
            raise SourceError(
                f"{path}: cannot be read as csv: {error} in the first row; "
                "check `source: {delimiter: …}` and the quotes"
            ) from None
        found += 1  # A long value is no fault of a row of data.
    if found < needed and len(start) == 2 * ROW_BYTES:
        raise SourceError(f"{path}: cannot be read as csv: the first row is longer than {ROW_BYTES:,} bytes")
    return header if found >= needed else None
