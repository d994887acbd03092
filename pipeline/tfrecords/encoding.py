"""Encodes Arrow batches as framed TFRecords of tf.Examples, without a Python object for each value.

The bytes depend only on the values: features are sorted by name. (Protobuf serialises maps in an order that changes
from process to process, so equal runs would not have equal files.)

Every row is a concatenation of pieces: for each feature a head (tags, lengths, the feature's name), which depends only
on the length of the values, and the values. Arrow joins the pieces.

Wire format: https://protobuf.dev/programming-guides/encoding and tensorflow/core/example/*.proto;
framing: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrow_lists import list_lengths, offsets
from ..sources.formats.tfrecord_files import masked_crc

# Protobuf tags (field << 3 | wire type 2, length-delimited).
_FIELD_1 = b"\x0a"
_MAP_VALUE = b"\x12"
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = b"\x0a", b"\x12", b"\x1a"

_BYTES = pa.large_binary()
_NOTHING = pa.scalar(b"", _BYTES)


def encode_tfrecords(batch: pa.RecordBatch) -> pa.LargeBinaryArray:
    """Returns one framed tf.Example a row; their concatenation is a TFRecord file.

    Args:
        batch: columns are lists of int64, float32 or binary; a list's length is the number of values.
    """
    examples = encode_examples(batch)
    frames = _by_length(examples, _frame_head)
    return pc.binary_join_element_wise(frames, examples, _crcs(examples), _NOTHING)


def encode_examples(batch: pa.RecordBatch) -> pa.LargeBinaryArray:
    """Returns one serialized tf.Example a row, without the frame of a TFRecord."""
    pieces = [piece for name in sorted(batch.schema.names) for piece in _feature(name.encode(), batch[name])]
    features = pc.binary_join_element_wise(*pieces, _NOTHING)
    heads = _by_length(features, lambda length: _FIELD_1 + _varint(length))
    return pc.binary_join_element_wise(heads, features, _NOTHING)


def end_to_end(records: pa.LargeBinaryArray) -> pa.Buffer:
    """Returns the concatenated bytes of an array, which must not be a slice."""
    return _parts(records)[0]


def _varint(value: int) -> bytes:
    """Returns a non-negative integer as a Protobuf varint: seven bits a byte, least significant first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _by_length(values: pa.Array, head: Callable[[int], bytes]) -> pa.Array:
    """Returns `head(length)` for each value, computed once for each distinct length."""
    lengths = pc.binary_length(values).dictionary_encode()
    heads = pa.array([head(length) for length in lengths.dictionary.to_pylist()], _BYTES)
    return heads.take(lengths.indices)


def _feature(name: bytes, column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Returns two pieces of each row: the head of the map's entry, and the values of the list."""
    lengths = list_lengths(column)
    values = column.flatten()
    tag, packed = _BYTES_LIST, False
    if pa.types.is_integer(values.type):
        tag, packed = _INT64_LIST, True
        body = _rows(*_varints(np.asarray(values.cast(pa.int64()))), lengths)
    elif pa.types.is_floating(values.type):
        tag, packed = _FLOAT_LIST, True
        numbers = np.ascontiguousarray(np.asarray(values.cast(pa.float32())), "<f4")
        body = _rows(pa.py_buffer(numbers), np.arange(len(numbers) + 1) * 4, lengths)
    else:
        text = values.cast(_BYTES)
        joined = pc.binary_join_element_wise(_by_length(text, lambda n: _FIELD_1 + _varint(n)), text, _NOTHING)
        body = _rows(*_parts(joined), lengths)

    def head(length: int) -> bytes:
        # All numbers of a list share one tag and length; each bytes value has its own.
        inner = _FIELD_1 + _varint(length) if packed and length else b""
        in_list = tag + _varint(len(inner) + length) + inner
        value = _MAP_VALUE + _varint(len(in_list) + length) + in_list
        key = _FIELD_1 + _varint(len(name)) + name
        return _FIELD_1 + _varint(len(key) + len(value) + length) + key + value

    return _by_length(body, head), body


def _rows(data: pa.Buffer, splits: np.ndarray, lengths: np.ndarray) -> pa.Array:
    """Returns the bytes of each row's values; `splits` are the start offsets of the values in `data`, and the end."""
    return _binary(data, splits[offsets(lengths)])


def _binary(data: pa.Buffer, splits: np.ndarray) -> pa.Array:
    """Returns an array of the values between consecutive `splits` of `data`, without a copy."""
    return pa.Array.from_buffers(_BYTES, len(splits) - 1, [None, pa.py_buffer(splits), data])


def _parts(array: pa.Array) -> tuple[pa.Buffer, np.ndarray]:
    """Returns the bytes of an array, which must not be a slice, and the offsets of its values, int64 `[n + 1]`."""
    _, splits, data = array.buffers()
    return data or pa.py_buffer(b""), np.frombuffer(splits, np.int64)[: len(array) + 1]


def _varints(values: np.ndarray) -> tuple[pa.Buffer, np.ndarray]:
    """Returns the concatenated varints of all values, and their offsets, int64 `[n + 1]`."""
    bits = values.view(np.uint64)
    width = max(1, -(-int(bits.max(initial=0)).bit_length() // 7))
    rest: np.ndarray = bits.astype(np.uint32) if width <= 4 else bits
    table = np.empty((len(values), width), np.uint8)
    used = np.ones((len(values), width), bool)
    sizes = np.ones(len(values), np.int64)
    for position in range(width):
        np.copyto(table[:, position], rest & 0x7F, casting="unsafe")
        rest = rest >> 7
        if position + 1 < width:
            more = rest > 0
            table[:, position] |= more.view(np.uint8) << 7
            used[:, position + 1] = more
            sizes += more
    return pa.py_buffer(table[used]), offsets(sizes)


def _frame_head(length: int) -> bytes:
    size = length.to_bytes(8, "little")
    return size + masked_crc(google_crc32c.value(size)).to_bytes(4, "little")


def _crcs(examples: pa.Array) -> pa.Array:
    """Returns the masked CRC of each example, 4 bytes."""
    data, splits = _parts(examples)
    view = data.to_pybytes()
    crcs = [google_crc32c.value(view[start:end]) for start, end in itertools.pairwise(splits.tolist())]
    return _binary(pa.py_buffer(masked_crc(np.array(crcs, np.int64)).astype("<u4")), np.arange(len(crcs) + 1) * 4)
