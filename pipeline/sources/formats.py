"""What a file's name and the spec say of its format, worked out once, and how its bytes are opened."""

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

# The first row of a CSV file must end within so many bytes, and so must each row: what pyarrow reads at a time.
ROW_BYTES = 4 << 20


@dataclass(frozen=True)
class SourceFile:
    """A file of rows and how to read it.

    Attributes:
        path: On any file system that Beam knows.
        source: The spec's `source`.
        kind: The format.
        compression: Of the whole file; None for none. Parquet compresses its own pages.
        delimiter: Between the values of a CSV row; without a meaning in other formats.
    """

    path: str
    source: Source
    kind: Kind
    compression: Compression | None
    delimiter: str

    def open(self) -> contextlib.AbstractContextManager[Any]:
        """Returns the file's bytes, decompressed."""
        if "://" in self.path:
            # Of a remote file Beam knows more compressions than ours, by its extension.
            default = CompressionTypes.UNCOMPRESSED if self.kind == "parquet" else CompressionTypes.AUTO
            compression = _BEAM_COMPRESSIONS.get(self.compression or "", default)
            return contextlib.closing(FileSystems.open(self.path, compression_type=compression))
        if self.compression == "gzip":
            return gzip.open(self.path, "rb")
        return bz2.open(self.path, "rb") if self.compression == "bzip2" else open(self.path, "rb")


def source_file(path: str, source: Source) -> SourceFile:
    """Returns how to read a file: as the spec says, and where it says nothing, as the file's extensions do.

    Extensions count in any case: `clicks.TSV.GZ` is gzipped CSV with tabs.

    Raises:
        SourceError: neither says what the format is.
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
            f"{path}: the format cannot be told from the name; set `source: {{format: csv}}` "
            f"(or jsonl, parquet, tfrecord) in the spec"
        )
    delimiter = source.delimiter or ("\t" if name.endswith(".tsv") else ",")
    return SourceFile(path, source, kind, None if kind == "parquet" else compression, delimiter)
