"""Arrow to framed TFRecords of tf.Example, a whole batch at a time, without a Python object a value.

The bytes are a function of the values alone: features stand in the order of their names. (Protobuf's own
map serialisation changes its order from process to process, so equal runs would not have equal files.)

Wire format: https://protobuf.dev/programming-guides/encoding and tensorflow/core/example/*.proto;
framing: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
"""

from __future__ import annotations

from typing import NamedTuple

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .columns import list_lengths

# Protobuf tags (field << 3 | wire type 2, length-delimited).
_FIELD_1 = 0x0A
_MAP_VALUE = 0x12
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 0x0A, 0x12, 0x1A

_CRC_MASK = 0xA282EAD8
_BEFORE, _AFTER = 12, 4  # Framing: length and its CRC; CRC of the data.


class _Feature(NamedTuple):
    """One feature of all rows: the bytes of each row's list, end to end, and how long each is."""

    name: bytes
    tag: int
    flat: np.ndarray  # uint8
    body: np.ndarray  # int64 [rows]: bytes of the list's values
    packed: bool  # Numbers stand behind one tag and length; each bytes value has its own.

    def lengths(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the bytes of the list, of the Feature around it, and of the map entry around that."""
        in_list = np.where(self.body > 0, _with_header(self.body), 0) if self.packed else self.body
        feature = _with_header(in_list)
        entry = _with_header(np.full_like(feature, len(self.name))) + _with_header(feature)
        return in_list, feature, entry


def encode_tfrecords(batch: pa.RecordBatch) -> bytes:
    """Returns one framed tf.Example a row.

    Args:
        batch: columns are lists of int64, float32 or binary; a list's length is the number of values.
    """
    features = [_feature(name, batch[name]) for name in sorted(batch.schema.names)]
    entries = [feature.lengths()[2] for feature in features]
    in_features = sum((_with_header(entry) for entry in entries), start=np.zeros(batch.num_rows, np.int64))
    example = _with_header(in_features)

    ends = np.cumsum(example + _BEFORE + _AFTER)
    starts = ends - example - _AFTER
    writer = _Writer(int(ends[-1]) if len(ends) else 0, starts.copy())
    writer.header(_FIELD_1, in_features)
    for feature, entry in zip(features, entries, strict=True):
        in_list, in_feature, _ = feature.lengths()
        writer.header(_FIELD_1, entry)
        writer.header(_FIELD_1, np.full_like(entry, len(feature.name)))
        writer.constant(feature.name)
        writer.header(_MAP_VALUE, in_feature)
        writer.header(feature.tag, in_list)
        if feature.packed:
            writer.header(_FIELD_1, feature.body, where=feature.body > 0)
        writer.flat(feature.flat, feature.body)
    return _framed(writer.out, starts, example)


class _Writer:
    """Writes into all rows of one buffer at once; `at` is where each row goes on."""

    def __init__(self, size: int, at: np.ndarray) -> None:
        self.out = np.zeros(size, np.uint8)
        self._at = at

    def constant(self, data: bytes) -> None:
        self.out[self._at[:, None] + np.arange(len(data))] = np.frombuffer(data, np.uint8)
        self._at += len(data)

    def header(self, tag: int, lengths: np.ndarray, where: np.ndarray | None = None) -> None:
        rows = slice(None) if where is None else where
        at = self._at[rows]
        self.out[at] = tag
        at += 1
        at += _put_varints(self.out, at, lengths[rows])
        self._at[rows] = at

    def flat(self, data: np.ndarray, lengths: np.ndarray) -> None:
        self.out[_spread(self._at, lengths)] = data
        self._at += lengths


def _spread(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the places of runs of `lengths` that start at `starts`, end to end."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def _varint_bytes(values: np.ndarray) -> np.ndarray:
    """Returns how many bytes each value takes, int64."""
    size = np.ones(len(values), np.int64)
    rest = values.astype(np.uint64) >> np.uint64(7)
    while rest.any():
        size += rest > 0
        rest >>= np.uint64(7)
    return size


def _put_varints(out: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Writes each value at its place, little end first, seven bits a byte; returns the bytes of each."""
    size = _varint_bytes(values)
    rest = values.astype(np.uint64)
    for place in range(int(size.max(initial=0))):
        rows = np.flatnonzero(size > place)
        more = (size[rows] > place + 1).astype(np.uint8) << 7
        out[at[rows] + place] = (rest[rows] & np.uint64(0x7F)).astype(np.uint8) | more
        rest >>= np.uint64(7)
    return size


def _with_header(lengths: np.ndarray) -> np.ndarray:
    """Returns the bytes of a length-delimited field: tag, length and contents."""
    return 1 + _varint_bytes(lengths) + lengths


def _feature(name: str, column: pa.Array) -> _Feature:
    lengths = list_lengths(column)
    values = pc.list_flatten(column)
    if pa.types.is_integer(values.type):
        numbers = np.asarray(values.cast(pa.int64())).view(np.uint64)
        sizes = _varint_bytes(numbers)
        flat = np.zeros(int(sizes.sum()), np.uint8)
        _put_varints(flat, np.cumsum(sizes) - sizes, numbers)
        return _Feature(name.encode(), _INT64_LIST, flat, _sums(sizes, lengths), packed=True)
    if pa.types.is_floating(values.type):
        flat = np.ascontiguousarray(np.asarray(values.cast(pa.float32())), "<f4").view(np.uint8)
        return _Feature(name.encode(), _FLOAT_LIST, flat, lengths * 4, packed=True)
    text = values.cast(pa.large_binary())
    sizes = np.asarray(pc.binary_length(text), np.int64)
    each = _with_header(sizes)
    writer = _Writer(int(each.sum()), np.cumsum(each) - each)
    writer.header(_FIELD_1, sizes)
    offsets = np.frombuffer(text.buffers()[1], np.int64)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(text.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]] if len(text) else _NO_BYTES
    writer.flat(data, sizes)
    return _Feature(name.encode(), _BYTES_LIST, writer.out, _sums(each, lengths), packed=False)


_NO_BYTES = np.zeros(0, np.uint8)


def _sums(sizes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    total = np.concatenate([[0], np.cumsum(sizes)])
    ends = np.cumsum(lengths)
    return total[ends] - total[ends - lengths]


def _framed(out: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> bytes:
    """Fills in the frames around the examples of `out`."""
    distinct, index = np.unique(sizes, return_inverse=True)
    heads = [length.tobytes() + _masked_crc(length.tobytes()) for length in distinct.astype("<u8")]
    head_bytes = np.frombuffer(b"".join(heads), np.uint8).reshape(len(distinct), _BEFORE)
    out[(starts - _BEFORE)[:, None] + np.arange(_BEFORE)] = head_bytes[index]
    view = out.tobytes()
    crcs = b"".join(
        _masked_crc(view[start:end]) for start, end in zip(starts.tolist(), (starts + sizes).tolist(), strict=True)
    )
    crc_bytes = np.frombuffer(crcs, np.uint8).reshape(-1, _AFTER)
    out[(starts + sizes)[:, None] + np.arange(_AFTER)] = crc_bytes
    return out.tobytes()


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return ((((crc >> 15) | (crc << 17)) + _CRC_MASK) & 0xFFFFFFFF).to_bytes(4, "little")
