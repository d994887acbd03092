"""Bags: the values that one row has in one multi-valued field, from raw text or lists to padded ids.

A bag is a ragged string tensor `[batch, (values)]`. The empty string is never a value: it is dropped,
so that `""` split at `|`, a trailing separator or a blank list element adds nothing.
"""

from __future__ import annotations

from typing import TypeAlias

import tensorflow as tf

TensorLike: TypeAlias = "tf.Tensor | tf.SparseTensor | tf.RaggedTensor"


def as_strings(x: TensorLike) -> TensorLike:
    """Returns `x` as strings: integer ids as decimal text, strings as they are.

    Raises:
        TypeError: for any other dtype; a float has no one text.
    """
    if x.dtype == tf.string:
        return x
    if not x.dtype.is_integer:
        raise TypeError(f"expected string or integer values, found {x.dtype.name}; cast them to text first")
    if isinstance(x, tf.SparseTensor):
        return tf.SparseTensor(x.indices, tf.strings.as_string(x.values), x.dense_shape)
    if isinstance(x, tf.RaggedTensor):
        return x.with_flat_values(tf.strings.as_string(x.flat_values))
    return tf.strings.as_string(x)


def single_values(x: TensorLike, default: object) -> tf.Tensor:
    """Returns one value a row, `[batch]`, with `default` where the row has none.

    Takes dense `[batch]` or `[batch, 1]`, or sparse / ragged with at most one value a row.
    """
    if isinstance(x, tf.RaggedTensor):
        x = x.to_tensor(default_value=default, shape=[None, 1])
    elif isinstance(x, tf.SparseTensor):
        shape = tf.stack([x.dense_shape[0], 1])
        x = tf.sparse.to_dense(tf.SparseTensor(x.indices, x.values, shape), default_value=default)
    return tf.reshape(x, [-1])


def to_lists(x: TensorLike, separator: str | None = None) -> tf.RaggedTensor:
    """Returns `x` as ragged lists `[batch, (values)]`.

    Sparse and ragged inputs are lists already. A dense `[batch]` or `[batch, 1]` string holds one text a
    row: it is split at `separator`, or is the only value where there is none. A dense `[batch, n]` input
    (padded with empty strings, say) has n values a row.
    """
    if isinstance(x, tf.RaggedTensor):
        return x
    if isinstance(x, tf.SparseTensor):
        return tf.RaggedTensor.from_sparse(x)
    if x.shape.rank == 2 and x.shape[1] != 1:
        return tf.RaggedTensor.from_tensor(x)
    text = tf.reshape(x, [-1])
    if separator is None:
        return tf.RaggedTensor.from_tensor(text[:, tf.newaxis])
    return tf.strings.split(text, separator)


def values_seen(
    bag: tf.RaggedTensor, max_len: int, keep: str, weights: tf.RaggedTensor | None = None
) -> tuple[tf.RaggedTensor, tf.RaggedTensor | None]:
    """Returns the values of each row that the model sees, and their weights.

    Empty strings are dropped; of the others at most `max_len` a row are left: the `keep` = "first" or "last"
    ones, in their order.
    """
    values, splits = bag.flat_values, bag.row_splits
    present = tf.not_equal(values, "")
    before = tf.concat([tf.zeros([1], splits.dtype), tf.cumsum(tf.cast(present, splits.dtype))], axis=0)
    at_splits = tf.gather(before, splits)
    lengths = at_splits[1:] - at_splits[:-1]
    # One mask for both: ragged masks and slices would copy the texts twice, in dozens of operations.
    past_starts = tf.math.unsorted_segment_sum(tf.ones_like(lengths), splits[1:], tf.size(values) + 1)
    row = tf.cumsum(past_starts)[:-1]
    dropped = tf.zeros_like(lengths) if keep == "first" else tf.maximum(lengths - max_len, 0)
    rank = before[:-1] - tf.gather(at_splits[:-1] + dropped, row)
    seen = tf.where(present & (rank >= 0) & (rank < max_len))[:, 0]

    def only_seen(flat: tf.Tensor) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_row_lengths(tf.gather(flat, seen), tf.minimum(lengths, max_len), validate=False)

    if weights is None:
        return only_seen(values), None
    message = "a list and its weights differ in length"
    same = tf.debugging.assert_equal(splits, weights.row_splits, message=message)
    with tf.control_dependencies([] if same is None else [same]):
        return only_seen(values), only_seen(tf.identity(weights.flat_values))


def fill_empty(bag: tf.RaggedTensor, value: object) -> tf.RaggedTensor:
    """Returns the bag with the one value `value` in rows that had none."""
    is_empty = tf.cast(tf.equal(bag.row_lengths(), 0), tf.int64)
    values = tf.fill([tf.reduce_sum(is_empty)], tf.constant(value, bag.dtype))
    return tf.concat([bag, tf.RaggedTensor.from_row_lengths(values, is_empty)], axis=1)


def pad(bag: tf.RaggedTensor, max_len: int) -> tf.Tensor:
    """Returns `[batch, max_len]`, with zeros after each row's values."""
    return bag.to_tensor(default_value=0, shape=[None, max_len])
