"""Files of the bytes that a generator yields: each step that changes a text on its way to a reader is one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any

BLOCK_BYTES = 1 << 20


class _Chunks(io.RawIOBase):
    def __init__(self, chunks: Iterator[bytes], source: IO[bytes]) -> None:
        super().__init__()
        self._chunks, self._source = chunks, source
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


def file_of(chunks: Iterator[bytes], source: IO[bytes]) -> IO[bytes]:
    """Returns a file of the bytes that `chunks` yields; can only be read from its start, and closes `source`."""
    return io.BufferedReader(_Chunks(chunks, source), BLOCK_BYTES)


def blocks_of(content: IO[bytes]) -> Iterator[bytes]:
    """Yields the bytes of a file, up to 1 MB at a time."""
    while block := content.read(BLOCK_BYTES):
        yield block
