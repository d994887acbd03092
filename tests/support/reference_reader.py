"""A second reader of CSV, TSV, JSON Lines and TFRecords, which reads as the documentation says, byte by byte.

It shares no code with fieldpool. Each function returns the values of the given columns of each row, None for a row that
must be rejected, and raises Refused for a file that must be an error.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from typing import Any

import google_crc32c
import tensorflow as tf

Row = list[Any] | None


class Refused(Exception):
    """The file must be an error; `str()` is a part of its message."""


def csv_rows(data: bytes, delimiter: bytes, columns: Sequence[str], comment: bytes = b"\n") -> list[Row]:
    """`comment` begins lines that are comments; by default, none."""
    rows: list[Row] = []
    header: list[str] = []
    data, at = data.removeprefix(b"\xef\xbb\xbf"), 0
    while at < len(data):
        line_end = at + len(re.split(rb"[\r\n]", data[at:], maxsplit=1)[0])
        values, end = csv_row(data, at, delimiter)
        if data.startswith(comment, at):
            values = None
        elif line_end > at and not header:
            if values is None:
                raise Refused("column names")
            header = [(value or b"").decode(errors="replace") for value in values]
        elif line_end > at:
            if end > line_end and not is_one_row(data[at:end], delimiter, len(header), comment):
                values, end = None, line_end
            rows.append(values if values and len(values) == len(header) else None)
        at = max(line_end if values is None else end, at) + 1
    if rows and any(column not in header for column in columns):
        raise Refused("column")
    return [row and [row[header.index(column)] for column in columns] for row in rows]


def csv_row(text: bytes, at: int, delimiter: bytes, lenient: bool = False) -> tuple[list[bytes | None] | None, int]:
    """Returns the values of a row, None if its quotes are faulty, and its end. `lenient`: an open quote is text."""

    def is_stop(at: int) -> bool:
        return text[at : at + 1] in (b"", b"\r", b"\n") or text.startswith(delimiter, at)

    values: list[bytes | None] = []
    while True:
        value, end = quoted(text, at) if text[at : at + 1] == b'"' else (None, at)
        if value is None:
            if text[at : at + 1] == b'"' and not lenient:
                return None, at
            while not is_stop(end):
                end += 1
            value = text[at:end]
        if not is_stop(end):
            return None, end
        values.append(value or None)
        if not text.startswith(delimiter, end):
            return values, end
        at = end + len(delimiter)


def quoted(text: bytes, at: int) -> tuple[bytes | None, int]:
    """Returns the value of the quoted text at a position, None if it is not closed, and the position after it."""
    value, start = b"", at
    while (at := at + 1) < len(text):
        if text[at : at + 2] == b'""':
            at += 1
        elif text[at : at + 1] == b'"':
            return value, at + 1
        value += text[at : at + 1]
    return None, start


def is_one_row(text: bytes, delimiter: bytes, width: int, comment: bytes) -> bool:
    """Returns whether several lines are one row, as docs/spec.md says."""

    def is_row(line: bytes, lenient: bool = False) -> bool:
        values, _ = csv_row(line, 0, delimiter, lenient)
        return values is not None and len(values) == width and not line.startswith(comment)

    first, *inner, last = [line for line in re.split(rb"[\r\n]", text) if line] + (
        [b""] if text[-1:] in b"\r\n" else []
    )
    return is_row(text) and not any(map(is_row, inner)) and not (is_row(first, lenient=True) and is_row(last))


def json_rows(data: bytes, columns: Sequence[str]) -> list[Row]:
    lines = [line.strip() for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    return [json_row(line, columns) for line in lines if line]


def json_row(line: bytes, columns: Sequence[str]) -> Row:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        row = json.loads(line.decode(), object_pairs_hook=unique)
        values = [row.get(column) for column in columns]
    except (ValueError, AttributeError):
        return None
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return None if any(isinstance(item, list | dict) for item in flat) else values


def tfrecord_rows(data: bytes, columns: Sequence[str]) -> list[Row]:
    rows: list[Row] = []
    at = 0
    while at < len(data):
        name = f"record {len(rows) + 1}"
        length, crc = struct.unpack("<QI", data[at : at + 12].ljust(12, b"\0"))
        record, end = data[at + 12 : at + 12 + length], at + 16 + length
        if end > len(data) or [crc, *struct.unpack("<I", data[end - 4 : end])] != [
            masked(data[at : at + 8]),
            masked(record),
        ]:
            raise Refused(name)
        rows.append(example(record, columns))
        at = end
    return rows


def masked(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def example(record: bytes, columns: Sequence[str]) -> Row:
    try:
        features = tf.train.Example.FromString(record).features.feature
    except Exception:  # Of protobuf, whose classes depend on its implementation.
        return None
    kinds = [features[column].WhichOneof("kind") if column in features else None for column in columns]
    return [
        list(getattr(features[name], kind).value) if kind else None for name, kind in zip(columns, kinds, strict=True)
    ]
