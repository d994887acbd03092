"""Determines a file's format from its name and the spec, and opens its bytes."""

from __future__ import annotations

import bz2
import contextlib
import gzip
from dataclasses import dataclass
from typing import Any, Literal

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from ...transforms.errors import SourceError
from ...transforms.spec import Source

Kind = Literal["csv", "jsonl", "parquet", "tfrecord"]
Compression = Literal["gzip", "bzip2"]

_KINDS: dict[str, Kind] = {
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
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".bz2": "bzip2"}
_BEAM_COMPRESSIONS = {"gzip": CompressionTypes.GZIP, "bzip2": CompressionTypes.BZIP2}

# Maximum size of one row of text: the block size with which pyarrow reads.
ROW_BYTES = 4 << 20


@dataclass(frozen=True)
class SourceFile:
    """A file of rows and how to read it.

    Attributes:
        path: A path on any file system that Beam supports.
        source: The spec's `source`.
        kind: The format.
        compression: Compression of the complete file, or None. Parquet compresses its own pages.
        delimiter: Separates the values of a CSV row; unused in other formats.
    """

    path: str
    source: Source
    kind: Kind
    compression: Compression | None
    delimiter: str

    def open(self) -> contextlib.AbstractContextManager[Any]:
        """Returns the file's bytes, decompressed."""
        if "://" in self.path:
            # For remote files, Beam detects further compressions by extension.
            default = CompressionTypes.UNCOMPRESSED if self.kind == "parquet" else CompressionTypes.AUTO
            compression = _BEAM_COMPRESSIONS.get(self.compression or "", default)
            return contextlib.closing(FileSystems.open(self.path, compression_type=compression))
        if self.compression == "gzip":
            return gzip.open(self.path, "rb")
        return bz2.open(self.path, "rb") if self.compression == "bzip2" else open(self.path, "rb")


def source_file(path: str, source: Source) -> SourceFile:
    """Returns how to read a file: as the spec says, otherwise by the file's extensions.

    Extensions are not case-sensitive: `clicks.TSV.GZ` is gzipped CSV with tabs.

    Raises:
        SourceError: neither the spec nor the extension gives the format.
    """
    name = path.lower()
    compression: Compression | None = None
    for extension, found in _COMPRESSIONS.items():
        if name.endswith(extension):
            name, compression = name.removesuffix(extension), found
            break
    kind = next((kind for extension, kind in _KINDS.items() if name.endswith(extension)), None)
    if source.format != "auto":
        kind = source.format
    if kind is None:
        raise SourceError(
            f"{path}: the format cannot be determined from the name; set `source: {{format: csv}}` "
            f"(or jsonl, parquet, tfrecord) in the spec"
        )
    delimiter = source.delimiter or ("\t" if name.endswith(".tsv") else ",")
    return SourceFile(path, source, kind, None if kind == "parquet" else compression, delimiter)
