"""Recognises what a file holds by its first bytes."""

from __future__ import annotations

import re
from enum import StrEnum

# The number of bytes that are enough to recognise any content.
HEAD_BYTES = 64 << 10


class Content(StrEnum):
    """What a file holds, in the words of errors. The first six are the values of `source.compression`."""

    GZIP = "gzip"
    BZIP2 = "bzip2"
    ZSTD = "zstd"
    XZ = "xz"
    LZ4 = "lz4"
    ZIP = "zip"
    UTF16 = "UTF-16 text"
    UTF32 = "UTF-32 text"
    EMPTY = "an empty file"
    TEXT = "text"

    @property
    def is_compressed(self) -> bool:
        """Whether this is a value of `source.compression`."""
        return self in _COMPRESSIONS


_COMPRESSIONS = {Content.GZIP, Content.BZIP2, Content.ZSTD, Content.XZ, Content.LZ4, Content.ZIP}

# bzip2's has the block size, and then the first block or the end.
_MAGIC = {
    Content.GZIP: rb"\x1f\x8b\x08",
    Content.BZIP2: rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",
    Content.ZSTD: rb"\x28\xb5\x2f\xfd",
    Content.XZ: rb"\xfd7zXZ\x00",
    Content.LZ4: rb"\x04\x22\x4d\x18",
    Content.ZIP: rb"PK(\x03\x04|\x05\x06)",
    Content.UTF32: rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff",
    # Text has characters such as spaces and line ends, of which one byte is 0.
    Content.UTF16: rb"(?s)(\xff\xfe|\xfe\xff).*\x00",
}


def content_of(head: bytes) -> Content:
    """Returns what a file holds whose first bytes, up to HEAD_BYTES, are `head`."""
    if not head:
        return Content.EMPTY
    return next((content for content, magic in _MAGIC.items() if re.match(magic, head)), Content.TEXT)
