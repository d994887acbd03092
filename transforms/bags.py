"""Bags: the values that one row has in one multi-valued field, from raw text or lists to padded ids.

A bag is a ragged string tensor `[batch, (values)]`. The empty string is never a value: it is dropped,
so that `""` split at `|`, a trailing separator or a blank list element adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def places_seen(
    bags: Sequence[tf.RaggedTensor], max_lens: Sequence[int], keeps: Sequence[str]
) -> list[tf.RaggedTensor]:
    """Returns for each bag which of its flat values the model sees: places in them, int64 `[batch, (values)]`.

    Empty strings are dropped; of the others at most `max_len` a row are left: the `keep` = "first" or "last"
    ones, in their order. All bags have the same rows and go through one set of operations, so that a graph of
    hundreds of fields stays small.
    """
    count = len(bags)
    sizes = [tf.size(bag.flat_values, tf.int64) for bag in bags]
    starts = tf.concat([[0], tf.cumsum(sizes)], axis=0)
    present = tf.concat([tf.not_equal(bag.flat_values, "") for bag in bags], axis=0)
    # Row r of bag b is row b · rows + r of them all.
    ends = tf.reshape(tf.stack([bag.row_splits[1:] for bag in bags]) + starts[:-1, tf.newaxis], [-1])
    splits = tf.concat([[0], ends], axis=0)
    max_len = tf.constant(max_lens, tf.int64)[:, tf.newaxis]
    is_last = tf.constant([keep == "last" for keep in keeps])[:, tf.newaxis]

    before = tf.concat([[0], tf.cumsum(tf.cast(present, tf.int64))], axis=0)
    at_splits = tf.gather(before, splits)
    lengths = tf.reshape(at_splits[1:] - at_splits[:-1], [count, -1])
    kept = tf.minimum(lengths, max_len)
    # The places, among the present values, of the first that each row keeps.
    first = tf.reshape(at_splits[:-1], [count, -1]) + tf.where(is_last, lengths - kept, 0)
    past_ends = tf.math.unsorted_segment_sum(tf.ones_like(ends), ends, starts[-1] + 1)
    row = tf.cumsum(past_ends)[:-1]
    rank = before[:-1] - tf.gather(tf.reshape(first, [-1]), row)
    seen = tf.where(present & (rank >= 0) & (rank < tf.gather(tf.reshape(kept, [-1]), row)))[:, 0]

    row_splits = tf.pad(tf.cumsum(kept, axis=1), [[0, 0], [1, 0]])
    places = tf.split(seen, row_splits[:, -1], num=count)
    return [
        tf.RaggedTensor.from_row_splits(place - start, splits, validate=False)
        for place, start, splits in zip(
            places, tf.unstack(starts[:-1], count), tf.unstack(row_splits, count), strict=True
        )
    ]


def at_places(values: tf.Tensor, places: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns the flat values at the places."""
    return places.with_flat_values(tf.gather(values, places.flat_values))


def same_lengths(bag: tf.RaggedTensor, weights: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns the weights.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs: a list and its weights differ in length.
    """
    message = "a list and its weights differ in length"
    same = tf.debugging.assert_equal(bag.row_splits, weights.row_splits, message=message)
    with tf.control_dependencies([] if same is None else [same]):
        return weights.with_flat_values(tf.identity(weights.flat_values))


def fill_empty(bag: tf.RaggedTensor, value: object) -> tf.RaggedTensor:
    """Returns the bag with the one value `value`, a scalar, in rows that had none."""
    is_empty = tf.cast(tf.equal(bag.row_lengths(), 0), tf.int64)
    values = tf.fill([tf.reduce_sum(is_empty)], tf.convert_to_tensor(value, bag.dtype))
    return tf.concat([bag, tf.RaggedTensor.from_row_lengths(values, is_empty)], axis=1)


def pad(bag: tf.RaggedTensor, max_len: int) -> tf.Tensor:
    """Returns `[batch, max_len]`, with zeros after each row's values."""
    return bag.to_tensor(default_value=0, shape=[None, max_len])
