"""Reads samples of files: the start, the middle and the end."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import pyarrow as pa

from ...transforms.errors import SourceError
from ...transforms.spec import Source
from ..sources.content import ENCODINGS, HEAD_BYTES, Content, content_of
from ..sources.source_file import SourceFile
from ..sources.streams.compression import Compression
from .csv_text import Piece
from .encodings import Part, decoded, encoding_of

# The number of bytes of each part. Compressed files can only be read from their start: as much as of three parts.
# A multiple of 4, the bytes of a character in UTF-32.
PART_BYTES = 128 << 10
_MOST_FILES = 3

_TEXTS = {*ENCODINGS, Content.JSON_ARRAY, Content.JSON_LINES, Content.LIBFFM, Content.TEXT}
_TEXTS |= {Content.ARRAYS, Content.SQL, Content.PAIRS}


@dataclass(frozen=True)
class Sample:
    """A sample of a file.

    Attributes:
        path: The path of the file.
        compression: Its compression, or None.
        content: What it holds, decompressed.
        encoding: The encoding of its text; "" if it is not text.
        pieces: Parts of its text; none if it is not text.
        reasons: Why, by entry of `source`.
    """

    path: str
    compression: Compression | None
    content: Content
    encoding: str
    pieces: list[Piece]
    reasons: dict[str, str]

    @property
    def is_ascii(self) -> bool:
        """Whether the sampled text has only ASCII characters."""
        return all(piece.text.isascii() for piece in self.pieces)


def sample_files(files: Sequence[str], given: Source) -> list[Sample]:
    """Returns samples of the first, the middle and the last file. `given` may state compression and encoding.

    Raises:
        SourceError: a file cannot be read.
    """
    indices = sorted({0, len(files) // 2, len(files) - 1}) if len(files) > _MOST_FILES else range(len(files))
    return [_sample(files[index], given) for index in indices]


def _sample(path: str, given: Source) -> Sample:
    reasons: dict[str, str] = {}
    with _errors_of(path):
        with _opened(path, None) as stored:
            head = stored.read(HEAD_BYTES)
            content = content_of(head)
            compression = _compression(content, given)
            parts = [] if compression else _parts(stored)
        if compression:
            if given.compression == "auto":
                reasons["compression"] = "by the first bytes of the file"
            with _opened(path, compression) as decompressed:
                start = decompressed.read(3 * PART_BYTES)
                parts = [Part(start, True, not decompressed.read(1))]
            content = content_of(start[:HEAD_BYTES])
        encoding, pieces = "", []
        if content in _TEXTS:
            encoding, reason = encoding_of(parts, content)
            if "encoding" in given.model_fields_set:
                encoding = given.encoding
            elif encoding != "utf-8" or "not valid" in reason:
                reasons["encoding"] = reason
            pieces = _decoded(path, parts, encoding)
        if pieces and (content in ENCODINGS or "encoding" in given.model_fields_set):
            content = content_of(pieces[0].text[:HEAD_BYTES].encode(errors="replace"))
    return Sample(path, compression, content, encoding, pieces, reasons)


def _decoded(path: str, parts: Sequence[Part], encoding: str) -> list[Piece]:
    """Returns parts of a text, decoded."""
    later = encoding
    if codecs.lookup(encoding).name in ("utf-16", "utf-32"):  # The byte order is at the start of the file.
        later += "-be" if parts[0].content.startswith((b"\xfe\xff", b"\0\0\xfe\xff")) else "-le"
    return [
        Piece(decoded(part, encoding if part.is_start else later), part.is_start, part.is_end, path) for part in parts
    ]


def _compression(content: Content, given: Source) -> Compression | None:
    if given.compression != "auto":
        return None if given.compression == "none" else given.compression
    return content.value if content.is_compressed else None  # type: ignore[return-value]


def _opened(path: str, compression: Compression | None) -> contextlib.AbstractContextManager[IO[bytes]]:
    file = SourceFile(path, Source(compression=compression or "none"), "csv", compression, ",")
    return file.open()


def _parts(stored: IO[bytes]) -> list[Part]:
    """Returns the start, the middle and the end of a file, or all of a small file."""
    size = stored.seek(0, io.SEEK_END)
    if size <= 3 * PART_BYTES:
        stored.seek(0)
        return [Part(stored.read(), True, True)]
    found = []
    for start in (0, (size - PART_BYTES) // 2, size - PART_BYTES):
        aligned = start // 4 * 4
        stored.seek(aligned)
        found.append(Part(stored.read(PART_BYTES + start - aligned), start == 0, start == size - PART_BYTES))
    return found


@contextlib.contextmanager
def _errors_of(path: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None
