"""TFRecord files record by record, checksums verified: a wrong length never asks for the memory it claims.

Framing: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import google_crc32c
import pyarrow as pa

_HEAD, _CRC = struct.Struct("<QI"), struct.Struct("<I")
_READ_BYTES = 1 << 20


def read_records(file: Any, record_bytes: int, batch_rows: int, batch_bytes: int) -> Iterator[list[bytes]]:
    """Yields the records of a TFRecord file, at most `batch_rows` or about `batch_bytes` at a time.

    Raises:
        pa.ArrowInvalid: a checksum is wrong, the file ends inside a record, or one is longer than `record_bytes`.
    """
    batch: list[bytes] = []
    held, number = 0, 0
    buffer, at = b"", 0

    def have(wanted: int) -> bool:
        nonlocal buffer, at
        if len(buffer) - at < wanted:
            parts = [buffer[at:]]
            missing = wanted - len(parts[0])
            while missing > 0 and (block := file.read(max(_READ_BYTES, missing))):
                parts.append(block)
                missing -= len(block)
            buffer, at = b"".join(parts), 0
        return len(buffer) >= at + wanted

    while have(1):
        number += 1
        if not have(_HEAD.size):
            raise pa.ArrowInvalid(f"the file ends inside record {number}: it was cut short")
        length, crc = _HEAD.unpack_from(buffer, at)
        if _masked(google_crc32c.value(buffer[at : at + 8])) != crc:
            raise pa.ArrowInvalid(
                f"record {number} has a wrong checksum of its length: the file is damaged, or no TFRecord"
            )
        if length > record_bytes:
            raise pa.ArrowInvalid(f"record {number} is {length:,} bytes; at most {record_bytes:,} are read")
        if not have(_HEAD.size + length + _CRC.size):
            raise pa.ArrowInvalid(f"the file ends inside record {number}: it was cut short")
        start = at + _HEAD.size
        record = buffer[start : start + length]
        at = start + length + _CRC.size
        if _masked(google_crc32c.value(record)) != _CRC.unpack_from(buffer, start + length)[0]:
            raise pa.ArrowInvalid(f"record {number} has a wrong checksum: the file is damaged")
        batch.append(record)
        held += length
        if len(batch) == batch_rows or held >= batch_bytes:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
