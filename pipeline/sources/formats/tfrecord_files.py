"""Reads TFRecord files of tf.Examples record by record and verifies checksums; each file is one range.

A corrupt length never causes a large allocation, and errors name the number of the record: `tf.data.TFRecordDataset`
and Beam's own reader offer neither. Framing: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa

from ....transforms.errors import SourceError
from ..batches import BATCH_ROWS, Reason, Rejected, SourceBatch, no_rows, selected
from ..paths import VALUE, Shape
from ..ranges import FileRange
from ..source_file import SourceFile

_HEAD, _CRC = struct.Struct("<QI"), struct.Struct("<I")
_READ_BYTES = 1 << 20

# Maximum size of a record, and the approximate size of a batch of records in memory.
_RECORD_BYTES = 16 << 20
_HELD_BYTES = 64 << 20

# tfx_bsl raises one of these for a record that is not a tf.Example, and for a feature with several types in a batch,
# even if it is not read; versions before 1.21 a ValueError.
_NOT_DECODED = (RuntimeError, ValueError)


def columns_of(file: SourceFile) -> dict[str, Shape]:
    """Returns the features of the first 16,384 records.

    Raises:
        SourceError: as `read`.
    """
    with file.open() as content:
        records = next(read_records(content, _RECORD_BYTES, BATCH_ROWS, _HELD_BYTES), [])
    _check_not_sequences(file.path, 1, records)
    return {name: VALUE for record in records for name in _features(record) or {}}


def ranges(file: SourceFile, range_bytes: int) -> list[FileRange]:
    """Returns the complete file as one range: records can only be found by reading from the start."""
    return [FileRange(file.path)]


def read(file: SourceFile, part: FileRange, columns: list[str]) -> Iterator[SourceBatch]:
    """Yields the records of the file; those of a batch with mixed types are not in the order of their numbers.

    Raises:
        SourceError: a record is a tf.SequenceExample with feature lists.
    """
    decode = decoder().DecodeBatch
    first = part.first_row
    with file.open() as content:
        for records in read_records(content, _RECORD_BYTES, BATCH_ROWS, _HELD_BYTES):
            numbers = np.arange(first, first + len(records))
            _check_not_sequences(part.path, first, records)
            first += len(records)
            try:
                yield SourceBatch(part.path, numbers, selected(decode(records), columns))
            except _NOT_DECODED:
                yield from _by_types(part.path, numbers, records, columns)


def _check_not_sequences(path: str, first: int, records: list[bytes]) -> None:
    """Raises SourceError if a record has feature lists: a tf.Example has none, so they would be ignored."""
    for number, record in enumerate(records, first):
        if _has_second_field(record) and (names := _feature_lists(record)):
            raise SourceError(
                f"{path}: record {number} is a tf.SequenceExample, whose feature_lists cannot be read: "
                f"{', '.join(map(repr, names))}. Write tf.Examples, with each list as a feature"
            )


def _has_second_field(record: bytes) -> bool:
    """Returns whether field 2 of a protocol buffer begins after field 1, or at the start."""
    at = 0
    if record.startswith(b"\n"):
        length, shift = 0, 0
        for byte in record[1:11]:
            at, length, shift = at + 1, length | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        at += 1 + length
    return record.startswith(b"\x12", at)


def _feature_lists(record: bytes) -> list[str]:
    """Returns the names of the feature lists of a tf.SequenceExample; none if the record is not one."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.example.example_pb2 import SequenceExample

    try:
        return sorted(SequenceExample.FromString(record).feature_lists.feature_list)
    except DecodeError:
        return []


def _by_types(path: str, numbers: np.ndarray, records: list[bytes], columns: list[str]) -> Iterator[SourceBatch]:
    """Yields the records of a batch that tfx_bsl cannot decode: one batch for each combination of types.

    Records that are not tf.Examples are rejected.
    """
    from tensorflow.core.example.example_pb2 import Example

    rejected: list[Rejected] = []
    alike: dict[tuple[str | None, ...], list[tuple[int, bytes]]] = {}
    for number, record in zip(numbers.tolist(), records, strict=True):
        features = _features(record)
        if features is None:
            raw = {"text": record[:1000].decode("utf-8", "backslashreplace")}
            rejected.append(Rejected(path, number, "(row)", Reason.NO_EXAMPLE, raw))
            continue
        example, kinds = Example(), []
        for column in columns:
            kinds.append(features[column].WhichOneof("kind") if column in features else None)
            if kinds[-1]:
                example.features.feature[column].CopyFrom(features[column])
        alike.setdefault(tuple(kinds), []).append((number, example.SerializeToString()))
    decode = decoder().DecodeBatch
    for rows in alike.values():
        data = decode([record for _, record in rows])
        yield SourceBatch(path, np.array([number for number, _ in rows]), selected(data, columns))
    yield SourceBatch(path, numbers[:0], no_rows(), rejected)


def _features(record: bytes) -> Any:
    """Returns the features of a record by name; None if it is not a tf.Example."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.example.example_pb2 import Example

    try:
        return Example.FromString(record).features.feature
    except DecodeError:
        return None


def decoder() -> Any:
    """Returns an object whose `DecodeBatch` decodes a list of tf.Examples to a RecordBatch of lists."""
    # Imported here because other formats do not need it.
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    return ExamplesToRecordBatchDecoder()


def read_records(file: Any, record_bytes: int, batch_rows: int, batch_bytes: int) -> Iterator[list[bytes]]:
    """Yields the records of a TFRecord file, at most `batch_rows` or about `batch_bytes` at a time.

    Raises:
        pa.ArrowInvalid: a checksum is wrong, the file ends inside a record, or a record is longer than `record_bytes`.
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
            raise pa.ArrowInvalid(f"the file is truncated: it ends inside record {number}")
        length, crc = _HEAD.unpack_from(buffer, at)
        if masked_crc(google_crc32c.value(buffer[at : at + 8])) != crc:
            raise pa.ArrowInvalid(
                f"record {number} has a wrong checksum of its length: the file is damaged or not a TFRecord file"
            )
        if length > record_bytes:
            raise pa.ArrowInvalid(f"record {number} has {length:,} bytes; at most {record_bytes:,} are allowed")
        if not have(_HEAD.size + length + _CRC.size):
            raise pa.ArrowInvalid(f"the file is truncated: it ends inside record {number}")
        start = at + _HEAD.size
        record = buffer[start : start + length]
        at = start + length + _CRC.size
        if masked_crc(google_crc32c.value(record)) != _CRC.unpack_from(buffer, start + length)[0]:
            raise pa.ArrowInvalid(f"record {number} has a wrong checksum: the file is damaged")
        batch.append(record)
        held += length
        if len(batch) == batch_rows or held >= batch_bytes:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def masked_crc(crc: Any) -> Any:
    """Returns a CRC-32C, a number or an int64 array, in the masked form that TFRecord files use."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
