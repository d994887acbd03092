"""Writes rows as tf.Examples in the frames of a TFRecord file: compiled loops over values.

A tf.Example with one feature, `ids: [300, 1]`, is these bytes in Protobuf's wire format
(https://protobuf.dev/programming-guides/encoding). 0x0a and 0x12 mean "field 1" and "field 2, its length follows":

    0a 0f                        Example.features, 15 bytes
      0a 0d                      Features.feature, 13 bytes: one entry of the map        ┐
        0a 03 69 64 73           its key, 3 bytes: "ids"                                 │ the head
        12 06                    its value, 6 bytes: a Feature                           │ of a feature
          1a 04                  Feature.int64_list, field 3, 4 bytes                    │
            0a 03                Int64List.value, 3 bytes: all numbers of the list       ┘
              ac 02 01           300 = 0x2c + (2 << 7), and 1                            the body

The body of a FloatList is 4 bytes a number. In a BytesList, each value has a tag and a length of its own, which count
as part of the body here. The tag and length of numbers are absent if the list is empty.

A TFRecord is the example's length (8 bytes), the checksum of the length (4), the example, and its checksum (4); see
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.

A body's size must be known before its head can be written. So first the functions named `*_sizes` find the bytes of
each row's body, then of its features; then the `write_*` functions append a column to all rows. `at` is where each row
goes on in `out`, int64 `[rows]`; `starts` is where each row's values start, int64 `[rows + 1]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import boolean, types

from .compiled import compiled, helper, inlined, read_only, writable

# Protobuf tags (field << 3 | wire type 2, length-delimited), and those of the three kinds of lists in a Feature.
_FIELD_1, _FIELD_2 = 0x0A, 0x12
BYTES_LIST, FLOAT_LIST, INT64_LIST = 0x0A, 0x12, 0x1A

# Of a frame: the length and its checksum, and the checksum of the example.
FRAME_HEAD, FRAME_END = 12, 4

_BYTES, _NUMBERS = read_only(np.uint8), read_only(np.int64)
_OUT_BYTES, _OUT_NUMBERS = writable(np.uint8), writable(np.int64)
_TAG = types.uint8


def _crc_tables() -> tuple[np.ndarray, ...]:
    """Returns 8 tables of CRC-32C, uint64 `[256]`: the k-th has the checksum of each byte followed by k zero bytes."""
    first = np.arange(256, dtype=np.uint64)
    for _ in range(8):
        first = (first >> np.uint64(1)) ^ np.where(first & np.uint64(1), np.uint64(0x82F63B78), np.uint64(0))
    tables = [first]
    for _ in range(7):
        tables.append((tables[-1] >> np.uint64(8)) ^ first[tables[-1] & np.uint64(255)])
    return tuple(tables)


_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7 = _crc_tables()
_U7, _U8, _U15, _U17 = np.uint64(7), np.uint64(8), np.uint64(15), np.uint64(17)
_LOW_7, _LOW_8, _LOW_32 = np.uint64(0x7F), np.uint64(0xFF), np.uint64(0xFFFFFFFF)
_MORE, _MASK_DELTA = np.uint64(0x80), np.uint64(0xA282EAD8)


@helper
def _varint_size(value: Any) -> Any:
    size = 1
    rest = np.uint64(value)
    while rest > _LOW_7:
        rest >>= _U7
        size += 1
    return size


@inlined
def _write_varint(out: Any, at: Any, value: Any) -> Any:
    """Writes a number seven bits a byte, least significant first, and returns the end of it."""
    rest = np.uint64(value)
    while rest > _LOW_7:
        out[at] = rest & _LOW_7 | _MORE
        rest >>= _U7
        at += 1
    out[at] = rest
    return at + 1


@helper
def _field_size(size: Any) -> Any:
    """Returns the bytes of a field of a message, given those of its content: tag, length, content."""
    return 1 + _varint_size(size) + size


@inlined
def _write_tag(out: Any, at: Any, tag: Any, size: Any) -> Any:
    """Writes the tag and length of a field, and returns the end of them."""
    out[at] = tag
    return _write_varint(out, at + 1, size)


@inlined
def _copy(data: Any, start: Any, end: Any, out: Any, at: Any) -> Any:
    for i in range(start, end):
        out[at + i - start] = data[i]
    return at + end - start


@helper
def _list_size(tag: Any, body: Any) -> Any:
    return body if tag == BYTES_LIST or body == 0 else _field_size(body)


@inlined
def _write_head(tag: Any, name: Any, body: Any, out: Any, at: Any) -> Any:
    """Writes everything of a feature that comes before its body."""
    in_list = _list_size(tag, body)
    value = _field_size(in_list)
    at = _write_tag(out, at, _FIELD_1, _field_size(len(name)) + _field_size(value))
    at = _write_tag(out, at, _FIELD_1, len(name))
    at = _copy(name, 0, len(name), out, at)
    at = _write_tag(out, at, _FIELD_2, value)
    at = _write_tag(out, at, tag, in_list)
    return at if in_list == body else _write_tag(out, at, _FIELD_1, body)


@compiled(_NUMBERS, _NUMBERS, _OUT_NUMBERS)
def int64_sizes(starts: Any, values: Any, bodies: Any) -> None:
    """Sets `bodies`, int64 `[rows]`, to the bytes of each row's int64 values."""
    for row in range(len(bodies)):
        size = 0
        for i in range(starts[row], starts[row + 1]):
            size += _varint_size(values[i])
        bodies[row] = size


@compiled(_NUMBERS, _NUMBERS, _OUT_NUMBERS)
def text_sizes(starts: Any, splits: Any, bodies: Any) -> None:
    """Sets `bodies`, int64 `[rows]`, to the bytes of each row's texts; `splits` as in `write_texts`."""
    for row in range(len(bodies)):
        size = 0
        for i in range(starts[row], starts[row + 1]):
            size += _field_size(splits[i + 1] - splits[i])
        bodies[row] = size


@compiled(_TAG, _BYTES, _NUMBERS, _OUT_NUMBERS)
def add_feature_sizes(tag: Any, name: Any, bodies: Any, features: Any) -> None:
    """Adds the bytes of a column to those of each row's features, int64 `[rows]`."""
    key = _field_size(len(name))
    for row in range(len(bodies)):
        features[row] += _field_size(key + _field_size(_field_size(_list_size(tag, bodies[row]))))


@compiled(boolean, _NUMBERS, _OUT_NUMBERS)
def record_sizes(framed: Any, features: Any, sizes: Any) -> None:
    """Sets `sizes`, int64 `[rows]`, to the bytes of each row's example, with its frame if `framed`."""
    for row in range(len(features)):
        sizes[row] = _field_size(features[row]) + (FRAME_HEAD + FRAME_END if framed else 0)


@compiled(boolean, _NUMBERS, _OUT_BYTES, _OUT_NUMBERS)
def write_example_heads(framed: Any, features: Any, out: Any, at: Any) -> None:
    """Writes the tag and length of each row's features; leaves out the frame."""
    for row in range(len(at)):
        at[row] = _write_tag(out, at[row] + (FRAME_HEAD if framed else 0), _FIELD_1, features[row])


@compiled(_BYTES, _NUMBERS, _NUMBERS, _NUMBERS, _OUT_BYTES, _OUT_NUMBERS)
def write_int64s(name: Any, bodies: Any, starts: Any, values: Any, out: Any, at: Any) -> None:
    """Appends a feature with int64 values to each row."""
    for row in range(len(at)):
        position = _write_head(INT64_LIST, name, bodies[row], out, at[row])
        for i in range(starts[row], starts[row + 1]):
            position = _write_varint(out, position, values[i])
        at[row] = position


@compiled(_BYTES, _NUMBERS, _NUMBERS, _BYTES, _OUT_BYTES, _OUT_NUMBERS)
def write_floats(name: Any, bodies: Any, starts: Any, data: Any, out: Any, at: Any) -> None:
    """Appends a feature with float32 values to each row; `data` are the bytes of all values, little-endian."""
    for row in range(len(at)):
        position = _write_head(FLOAT_LIST, name, bodies[row], out, at[row])
        at[row] = _copy(data, 4 * starts[row], 4 * starts[row + 1], out, position)


@compiled(_BYTES, _NUMBERS, _NUMBERS, _NUMBERS, _BYTES, _OUT_BYTES, _OUT_NUMBERS)
def write_texts(name: Any, bodies: Any, starts: Any, splits: Any, data: Any, out: Any, at: Any) -> None:
    """Appends a feature with texts to each row; text i is `data[splits[i]:splits[i + 1]]`."""
    for row in range(len(at)):
        position = _write_head(BYTES_LIST, name, bodies[row], out, at[row])
        for i in range(starts[row], starts[row + 1]):
            position = _write_tag(out, position, _FIELD_1, splits[i + 1] - splits[i])
            position = _copy(data, splits[i], splits[i + 1], out, position)
        at[row] = position


@inlined
def _write_little_endian(out: Any, at: Any, size: Any, value: Any) -> None:
    for i in range(size):
        out[at + i] = value & _LOW_8
        value >>= _U8


@helper
def _masked_crc(data: Any, start: Any, end: Any) -> Any:
    """Returns the CRC-32C of `data[start:end]` in the masked form of TFRecord files; eight bytes at a time.

    "Slicing by 8": Kounavis and Berry, A Systematic Approach to Building High Performance, Software-based, CRC
    Generators, 2005.
    """
    crc = _LOW_32
    at = start
    while at + 8 <= end:
        word = crc
        for i in range(8):
            word ^= np.uint64(data[at + i]) << np.uint64(8 * i)
        crc = _T7[word & _LOW_8] ^ _T6[(word >> _U8) & _LOW_8]
        crc ^= _T5[(word >> np.uint64(16)) & _LOW_8] ^ _T4[(word >> np.uint64(24)) & _LOW_8]
        crc ^= _T3[(word >> np.uint64(32)) & _LOW_8] ^ _T2[(word >> np.uint64(40)) & _LOW_8]
        crc ^= _T1[(word >> np.uint64(48)) & _LOW_8] ^ _T0[word >> np.uint64(56)]
        at += 8
    while at < end:
        crc = (crc >> _U8) ^ _T0[(crc ^ np.uint64(data[at])) & _LOW_8]
        at += 1
    crc ^= _LOW_32
    return ((crc >> _U15 | crc << _U17) + _MASK_DELTA) & _LOW_32


@compiled(_NUMBERS, _OUT_BYTES)
def write_frames(starts: Any, out: Any) -> None:
    """Writes the frame around each example; record i is `out[starts[i]:starts[i + 1]]`."""
    for row in range(len(starts) - 1):
        start, end = starts[row], starts[row + 1] - FRAME_END
        _write_little_endian(out, start, 8, np.uint64(end - start - FRAME_HEAD))
        _write_little_endian(out, start + 8, 4, _masked_crc(out, start, start + 8))
        _write_little_endian(out, end, 4, _masked_crc(out, start + FRAME_HEAD, end))
