"""The files that rows come from: which they are, what format they have, and how they are opened."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
from collections.abc import Sequence
from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from ..transforms.errors import UserError
from ..transforms.spec import Source

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


def total_bytes(files: Sequence[str]) -> int:
    """Returns the size of the files as they are stored."""
    matches = FileSystems.match(list(files))
    return sum(metadata.size_in_bytes for match in matches for metadata in match.metadata_list)


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
    """Returns the column names of a CSV file, from its first row or from the spec; None if it has no rows."""
    with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="") as text:
        first_rows = (row for row in csv.reader(text, delimiter=csv_delimiter(path, source)) if row)
        header = next(first_rows, None) if source.header else source.columns
        return header if next(first_rows, None) else None
