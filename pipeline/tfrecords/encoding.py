"""Encodes Arrow batches as framed TFRecords of tf.Examples, without a Python object for each value.

The bytes depend only on the values: features are sorted by name. (Protobuf serialises maps in an order that changes
from process to process, so equal runs would not have equal files.)

The loops over values are in `kernels.examples`, which also describes the format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..arrow_lists import list_lengths, offsets

_BYTES = pa.large_binary()

# Rows that are written at a time, column by column: their records should fit the processor's cache.
_BLOCK_ROWS = 1024


def encode_tfrecords(batch: pa.RecordBatch) -> pa.LargeBinaryArray:
    """Returns one framed tf.Example a row; their concatenation is a TFRecord file.

    Args:
        batch: columns are lists of int64, float32 or binary; a list's length is the number of values.
    """
    return _encode(batch, framed=True)


def encode_examples(batch: pa.RecordBatch) -> pa.LargeBinaryArray:
    """Returns one serialized tf.Example a row, without the frame of a TFRecord."""
    return _encode(batch, framed=False)


def end_to_end(records: pa.LargeBinaryArray) -> pa.Buffer:
    """Returns the concatenated bytes of an array, which must not be a slice."""
    return records.buffers()[2] or pa.py_buffer(b"")


@dataclass(frozen=True)
class _Column:
    """A feature of all rows, as the functions in `kernels.examples` take it.

    Attributes:
        tag: The kind of its lists.
        name: uint8 `[bytes]`.
        starts: Where each row's values start, int64 `[rows + 1]`.
        values: int64 numbers; or the bytes of floats; or the starts of texts and their bytes.
        bodies: The bytes of each row's values, int64 `[rows]`.
        write: The function that writes it.
    """

    tag: int
    name: np.ndarray
    starts: np.ndarray
    values: tuple[np.ndarray, ...]
    bodies: np.ndarray
    write: Callable[..., None]


def _encode(batch: pa.RecordBatch, *, framed: bool) -> pa.LargeBinaryArray:
    from ..kernels import examples  # Imported here because Numba takes a while to load, and few commands encode.

    columns = [_column(name, batch[name]) for name in sorted(batch.schema.names)]
    features, sizes = np.zeros((2, batch.num_rows), np.int64)
    for column in columns:
        examples.add_feature_sizes(column.tag, column.name, column.bodies, features)
    examples.record_sizes(framed, features, sizes)
    starts = offsets(sizes)
    out = np.empty(starts[-1], np.uint8)
    at = starts[:-1].copy()
    for first in range(0, batch.num_rows, _BLOCK_ROWS):
        block = slice(first, first + _BLOCK_ROWS)
        with_end = slice(first, first + _BLOCK_ROWS + 1)
        examples.write_example_heads(framed, features[block], out, at[block])
        for column in columns:
            column.write(column.name, column.bodies[block], column.starts[with_end], *column.values, out, at[block])
        if framed:
            examples.write_frames(starts[with_end], out)
    return pa.Array.from_buffers(_BYTES, batch.num_rows, [None, pa.py_buffer(starts), pa.py_buffer(out)])


def _column(name: str, lists: pa.Array) -> _Column:
    from ..kernels import examples

    key = np.frombuffer(name.encode(), np.uint8)
    starts = offsets(list_lengths(lists))
    flat = lists.flatten()
    bodies = np.empty(len(lists), np.int64)
    if pa.types.is_integer(flat.type):
        numbers = _plain(np.asarray(flat.cast(pa.int64())), np.int64)
        examples.int64_sizes(starts, numbers, bodies)
        return _Column(examples.INT64_LIST, key, starts, (numbers,), bodies, examples.write_int64s)
    if pa.types.is_floating(flat.type):
        data = _plain(np.asarray(flat.cast(pa.float32())), "<f4").view(np.uint8)
        return _Column(examples.FLOAT_LIST, key, starts, (data,), 4 * np.diff(starts), examples.write_floats)
    texts = flat.cast(_BYTES)
    _, splits, content = texts.buffers()
    ends = np.zeros(1, np.int64) if not len(texts) else np.frombuffer(splits, np.int64)[texts.offset :]
    ends = _plain(ends[: len(texts) + 1], np.int64)
    data = np.frombuffer(content or b"", np.uint8)
    examples.text_sizes(starts, ends, bodies)
    return _Column(examples.BYTES_LIST, key, starts, (ends, data), bodies, examples.write_texts)


def _plain(values: np.ndarray, dtype: str | type[np.generic]) -> np.ndarray:
    """Returns an array in the form that compiled functions take; a copy only if necessary."""
    return np.require(values, dtype, ["C", "ALIGNED"])
