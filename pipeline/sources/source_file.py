"""Determines a file's format from its name and the spec, and opens its bytes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import IO, Any, Literal

from ...transforms.errors import SourceError
from ...transforms.spec import Source
from .streams.chunks import file_of
from .streams.compression import EXTENSIONS, Compression, decompressed
from .streams.encodings import in_utf8, is_utf8_name
from .streams.json_arrays import lines_of_array

Kind = Literal["csv", "json", "jsonl", "libffm", "parquet", "tfrecord"]

# Formats by the extension of a file's name, in lower case.
KINDS: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".ffm": "libffm",
    ".libffm": "libffm",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
}

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

    @property
    def is_text(self) -> bool:
        """Whether the format is text, with an encoding."""
        return self.kind not in ("parquet", "tfrecord")

    @property
    def is_plain(self) -> bool:
        """Whether `open_text` returns the bytes of the file; otherwise, they can only be read from the start."""
        return not self.compression and self.kind != "json" and is_utf8_name(self.source.encoding)

    def open(self) -> contextlib.AbstractContextManager[Any]:
        """Returns the file's bytes, decompressed."""
        return contextlib.closing(self._bytes())

    def open_text(self) -> contextlib.AbstractContextManager[Any]:
        """Returns the file's text in UTF-8; that of a JSON array as JSON Lines.

        Text that is stated to be UTF-8 may begin with a byte order mark and have invalid bytes.
        """
        text = self._bytes()
        if not is_utf8_name(self.source.encoding):
            text = file_of(in_utf8(text, self.source.encoding), text)
        if self.kind == "json":
            text = file_of(lines_of_array(text, ROW_BYTES), text)
        return contextlib.closing(text)

    def open_stored(self) -> contextlib.AbstractContextManager[Any]:
        """Returns the file's bytes as they are stored."""
        return contextlib.closing(self._stored())

    def _stored(self, *, beam_decompresses: bool = False) -> IO[bytes]:
        if "://" not in self.path:
            return open(self.path, "rb")
        from apache_beam.io.filesystem import CompressionTypes  # Takes seconds to import.
        from apache_beam.io.filesystems import FileSystems

        compression = CompressionTypes.AUTO if beam_decompresses else CompressionTypes.UNCOMPRESSED
        return FileSystems.open(self.path, compression_type=compression)

    def _bytes(self) -> IO[bytes]:
        if self.compression:
            stored = self._stored()
            return file_of(decompressed(stored, self.compression), stored)
        # For remote files, Beam detects further compressions by extension.
        return self._stored(beam_decompresses=self.source.compression == "auto" and self.kind != "parquet")


def source_file(path: str, source: Source) -> SourceFile:
    """Returns how to read a file: as the spec says, otherwise by the file's extensions.

    Extensions are not case-sensitive: `clicks.TSV.GZ` is gzipped CSV with tabs.

    Raises:
        SourceError: neither the spec nor the extension gives the format, or it is `detect`.
    """
    check_is_found(source, path)
    name, compression = name_and_compression(path, source)
    kind = next((kind for extension, kind in KINDS.items() if name.endswith(extension)), None)
    if source.format != "auto" and source.format != "detect":
        kind = source.format
    if kind is None:
        raise SourceError(
            f"{path}: the format cannot be determined from the name; set `source: {{format: csv}}` (or another "
            "format), or `source: auto`, in the spec"
        )
    delimiter = source.delimiter or ("\t" if name.endswith(".tsv") else ",")
    return SourceFile(path, source, kind, None if kind == "parquet" else compression, delimiter)


def name_and_compression(path: str, source: Source) -> tuple[str, Compression | None]:
    """Returns a path in lower case without the extension of a compression, and how the file is compressed."""
    name = path.lower()
    extension = next((extension for extension in EXTENSIONS if name.endswith(extension)), "")
    compression = EXTENSIONS.get(extension)
    if source.compression != "auto":
        compression = None if source.compression == "none" else source.compression
    return name.removesuffix(extension), compression


def check_is_found(source: Source, path: str = "source") -> None:
    """Raises SourceError if a source does not state the format of files, but asks to detect it."""
    if source.format == "detect":
        raise SourceError(
            f"{path}: expected a `source` that states the format, or `auto`; found `format: detect`, which only "
            "`transform`, `explain` and `run` replace by what they find in the files"
        )
