"""Decompresses files. Damaged or truncated data is an error, also in the second of several streams in one file."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Literal

import pyarrow as pa

from .chunks import blocks_of

Compression = Literal["gzip", "bzip2", "zstd", "xz", "lz4", "zip"]

# Compressions by the extension of a file's name, in lower case.
EXTENSIONS: dict[str, Compression] = {
    ".gz": "gzip",
    ".bz2": "bzip2",
    ".zst": "zstd",
    ".xz": "xz",
    ".lz4": "lz4",
    ".zip": "zip",
}

# Python's bz2 and lzma modules ignore a damaged stream after the first one; Arrow reports it.
_OF_ARROW = {"bzip2": "bz2", "zstd": "zstd", "lz4": "lz4"}

# RuntimeError: a zip archive is encrypted. NotImplementedError: it uses an unknown method.
_DAMAGED = (EOFError, OSError, RuntimeError, NotImplementedError, lzma.LZMAError, zipfile.BadZipFile, zlib.error)
_MOST_NAMES = 5


def decompressed(content: IO[bytes], compression: Compression) -> Iterator[bytes]:
    """Yields the decompressed bytes of a file; none if it has 0 bytes.

    Raises:
        pa.ArrowInvalid: the data is damaged or truncated, or a zip archive does not have exactly one file.
        OSError: the file cannot be read.
    """
    try:
        if compression == "gzip":
            yield from blocks_of(gzip.GzipFile(fileobj=content))  # type: ignore[arg-type]
        elif compression == "xz":
            yield from _xz(content)
        elif compression == "zip":
            yield from _zip(content)
        else:
            yield from blocks_of(pa.CompressedInputStream(pa.PythonFile(content, "r"), _OF_ARROW[compression]))
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise pa.ArrowInvalid(
            f"expected complete {compression} data; found data that is damaged, truncated or not {compression} "
            f"({error}). Copy the file again, or correct `source: {{compression: …}}`"
        ) from None


def _xz(content: IO[bytes]) -> Iterator[bytes]:
    decompressor, is_begun = lzma.LZMADecompressor(lzma.FORMAT_XZ), False
    for block in blocks_of(content):
        while block:
            if decompressor.eof:
                block = block.lstrip(b"\0")  # Streams may be padded.
                decompressor, is_begun = lzma.LZMADecompressor(lzma.FORMAT_XZ), False
            if block:
                is_begun = True
                yield decompressor.decompress(block)
                block = decompressor.unused_data
    if is_begun and not decompressor.eof:
        raise EOFError("it ends before the end of the stream")


def _zip(content: IO[bytes]) -> Iterator[bytes]:
    if not content.seek(0, io.SEEK_END):
        return
    with zipfile.ZipFile(content) as archive:
        # macOS adds a folder with attributes of the files.
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if len(names) != 1:
            shown = ", ".join(map(repr, names[:_MOST_NAMES])) + (", …" if len(names) > _MOST_NAMES else "")
            raise pa.ArrowInvalid(
                f"expected a zip archive with exactly one file; found {len(names)}"
                f"{f' ({shown})' if names else ''}. Extract the archive, and pass the files in it"
            )
        with archive.open(names[0]) as member:
            yield from blocks_of(member)
