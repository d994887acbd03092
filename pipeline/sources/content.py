"""Recognises what a file holds by its first bytes."""

from __future__ import annotations

import codecs
import json
import re
import struct
from enum import StrEnum

import google_crc32c

# The number of bytes that are enough to recognise any content.
HEAD_BYTES = 64 << 10

# Lines that are looked at.
_LINES = 200


class Content(StrEnum):
    """What a file holds, in the words of errors. The first six are the values of `source.compression`."""

    GZIP = "gzip"
    BZIP2 = "bzip2"
    ZSTD = "zstd"
    XZ = "xz"
    LZ4 = "lz4"
    ZIP = "zip"
    PARQUET = "Parquet"
    TFRECORD = "TFRecords"
    AVRO = "Avro"
    ORC = "ORC"
    ARROW = "Arrow IPC (Feather)"
    OFFICE = "an Excel workbook or another Office document"
    TAR = "a tar archive"
    UTF16 = "UTF-16 text"
    UTF16_LE = "UTF-16-LE text without a byte order mark"
    UTF16_BE = "UTF-16-BE text without a byte order mark"
    UTF32 = "UTF-32 text"
    BINARY = "binary data"
    HTML = "an HTML or XML page"
    LFS = "a pointer of Git LFS"
    JSON_ARRAY = "a JSON array"
    JSON_LINES = "JSON Lines"
    JSON_OBJECTS = "JSON objects of several lines"
    PYTHON = "lines of Python literals"
    ARRAYS = "lines of JSON arrays"
    SQL = "SQL statements"
    PAIRS = "lines of key=value pairs"
    LIBFFM = "libffm"
    TEXT = "text"
    EMPTY = "an empty file"

    @property
    def is_compressed(self) -> bool:
        """Whether this is a value of `source.compression`."""
        return self in _COMPRESSIONS


_COMPRESSIONS = {Content.GZIP, Content.BZIP2, Content.ZSTD, Content.XZ, Content.LZ4, Content.ZIP}

# The value of `source.format` for each content that can be read, except text, which may be CSV.
FORMATS = {
    Content.PARQUET: "parquet",
    Content.TFRECORD: "tfrecord",
    Content.JSON_LINES: "jsonl",
    Content.JSON_ARRAY: "json",
    Content.LIBFFM: "libffm",
}
# The value of `source.encoding` for text that is recognised by its first bytes.
ENCODINGS = {
    Content.UTF16: "utf-16",
    Content.UTF16_LE: "utf-16-le",
    Content.UTF16_BE: "utf-16-be",
    Content.UTF32: "utf-32",
}

# The patterns at the start of files of bytes, in the order in which they are tried.
_MAGIC = {
    Content.GZIP: rb"\x1f\x8b\x08",
    Content.BZIP2: rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",  # The size of its blocks; then the first block, or the end.
    Content.ZSTD: rb"\x28\xb5\x2f\xfd",
    Content.XZ: rb"\xfd7zXZ\x00",
    Content.LZ4: rb"\x04\x22\x4d\x18",
    Content.OFFICE: rb"(?s)PK\x03\x04.{26}(\[Content_Types\]\.xml|_rels/|docProps/|xl/)|\xd0\xcf\x11\xe0\xa1\xb1",
    Content.ZIP: rb"PK(\x03\x04|\x05\x06)",
    Content.PARQUET: rb"PAR[1E][^\n]{0,16}[\x00-\x08\x0e-\x1f]",  # `PAR1` and `FEA1` may also be the names of columns.
    Content.AVRO: rb"Obj\x01",
    Content.ORC: rb"ORC[\x00-\x1f]",
    Content.ARROW: rb"ARROW1\x00\x00|FEA1\x00|(?s:\xff{4}.{2}\x00\x00)",
    Content.TAR: rb"(?s).{257}ustar(\x00|  \x00)",
    Content.UTF32: rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff",
    Content.UTF16: rb"(?s)(\xff\xfe|\xfe\xff).*\x00",  # Text has spaces or line ends, of which one byte is 0.
    # PDF, PNG, JPEG, SQLite, HDF5, NumPy, pickle, 7-Zip, RAR.
    Content.BINARY: rb"%PDF-|\x89PNG|\xff\xd8\xff|SQLite format 3\x00|\x89HDF|\x93NUMPY"
    rb"|\x80[\x02-\x05][\x80-\xff\]}(]|7z\xbc\xaf|Rar!\x1a",
}
# Control characters that text does not have, except as separators: \x01 to \x03 and \x1c to \x1f.
_CONTROLS = bytes([0, *range(4, 9), *range(14, 28)])
_MOST_CONTROLS = 0.04

_HTML = re.compile(rb"<(!doctype|html|head|body|\?xml)\b", re.IGNORECASE)
_LFS = b"version https://git-lfs.github.com/spec/"
_ARRAY = re.compile(rb"\[\s*([\[\]{\"\d-]|null|true|false|$)")
_PYTHON = re.compile(rb"\{u?'.*\}|\{\}")
_SQL = re.compile(rb"\s*+((?>--[^\n]*|/\*(?s:.*?)\*/;?)\s*+)*+[A-Z ]{3,20}\b[^\n]*", re.IGNORECASE)
_SQL_ROWS = re.compile(
    rb"^(INSERT INTO|CREATE TABLE|DROP TABLE|COPY) [^\n]*(;|VALUES|\(|stdin)", re.IGNORECASE | re.MULTILINE
)
# At least three, after at most a time and a level: other text between them is not a log of pairs.
_PAIRS = re.compile(rb"([^\s=,;|]+\s+){0,4}(\w[\w.-]*=(\"[^\"]*\"|[^\s\"]*)(\s+|$)){3,}")
_LIBFFM = re.compile(rb"[-+]?[\d.]+([ \t]+\w+:\w+:[-+.\deE]+)+")
_UTF8_BOM = codecs.BOM_UTF8


def content_of(head: bytes) -> Content:
    """Returns what a file holds whose first bytes, HEAD_BYTES or all of it, are `head`."""
    if not head:
        return Content.EMPTY
    if _is_tfrecord(head):
        return Content.TFRECORD
    for content, magic in _MAGIC.items():
        if re.match(magic, head):
            return content
    return _without_mark(head) or (Content.BINARY if _is_binary(head) else _text(head.removeprefix(_UTF8_BOM)))


def _is_tfrecord(head: bytes) -> bool:
    """Returns whether the first 12 bytes are the length of a record and the checksum of this length."""
    if len(head) < 12:
        return False
    crc = google_crc32c.value(head[:8])
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF == struct.unpack_from("<I", head, 8)[0]


def _without_mark(head: bytes) -> Content | None:
    """Returns the byte order of UTF-16 text without a byte order mark; None if the text is not UTF-16."""
    if len(head) < 8:
        return None
    even, odd = head[::2].count(0) / len(head) * 2, head[1::2].count(0) / len(head) * 2
    if even == 0 and odd > 0.4:
        return Content.UTF16_LE
    return Content.UTF16_BE if odd == 0 and even > 0.4 else None


def _is_binary(head: bytes) -> bool:
    """Returns whether bytes are not text. Values of a text may have any bytes, but not its first line."""
    line = head.lstrip(b"\r\n").partition(b"\n")[0]
    return all(
        (_is_not_utf8(part) or 0 in part)
        and len(part) - len(part.translate(None, _CONTROLS)) > _MOST_CONTROLS * len(part)
        for part in (line, head)
    )


def _is_not_utf8(text: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text)  # The last character may be truncated.
    except UnicodeDecodeError:
        return True
    return False


def _text(head: bytes) -> Content:
    """Returns the format of a text."""
    text = head.lstrip()
    if text.startswith(_LFS):
        return Content.LFS
    if _HTML.match(text):
        return Content.HTML
    *lines, last = text.split(b"\n", _LINES)
    lines = [line.strip() for line in lines or [last] if line.strip()]
    if not lines:
        return Content.TEXT
    if text.startswith(b"["):
        # Not an array: JSON Lines with arrays on the first lines, which are rejected.
        types = [_json_type(line) for line in lines]
        are_lines = types.count(dict) * 2 >= len(lines) or (types[0] is list and len(lines) > 1)
        if len(lines) > 1 and set(types) == {list}:
            return Content.ARRAYS
        is_array = _ARRAY.match(text) and not are_lines and not _is_first_value(text)
        return Content.JSON_ARRAY if is_array else Content.TEXT
    if _SQL.match(text) and _SQL_ROWS.search(text):
        return Content.SQL
    if all(map(_PAIRS.fullmatch, lines)):
        return Content.PAIRS
    if text.startswith(b"{"):
        return _objects(text, lines)
    return Content.LIBFFM if all(map(_LIBFFM.fullmatch, lines)) else Content.TEXT


def _objects(text: bytes, lines: list[bytes]) -> Content:
    types = [_json_type(line) for line in lines]
    if dict in types:
        return Content.JSON_LINES
    if all(map(_PYTHON.fullmatch, lines)):
        return Content.PYTHON
    if _is_first_value(text):
        return Content.TEXT
    try:
        _, end = json.JSONDecoder().raw_decode(text.decode("latin-1"))
        return Content.JSON_OBJECTS if b"\n" in text[:end] else Content.JSON_LINES
    except (ValueError, RecursionError):
        return Content.JSON_LINES if b"\n" not in text and re.match(rb'\{\s*"', text) else Content.TEXT


def _is_first_value(text: bytes) -> bool:
    """Returns whether a text begins with a JSON value in one line, and other text follows in this line, as in CSV."""
    line = text.partition(b"\n")[0].decode("latin-1")
    try:
        _, end = json.JSONDecoder().raw_decode(line)
    except (ValueError, RecursionError):
        return False
    return line[end:].strip() != ""


def _json_type(line: bytes) -> type | None:
    try:
        return type(json.loads(line.decode("latin-1")))
    except (ValueError, RecursionError):
        return None
