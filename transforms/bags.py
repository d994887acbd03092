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
    (padded with empty strings, for example) has n values a row.

    `pipeline.rows.columns` splits texts as well, in Arrow, because rows are checked and counted before they get
    here. This function splits because a `preprocessing_fn` also works in other pipelines, and a serving client may
    send the raw text.
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


def kept_positions(
    bags: Sequence[tf.RaggedTensor], max_lens: Sequence[int], keeps: Sequence[str]
) -> list[tf.RaggedTensor]:
    """Returns for each bag the positions, in its flat values, of those that the model sees: int64 `[batch, (values)]`.

    Empty strings are dropped; of the others at most `max_len` a row are kept: the `keep` = "first" or "last" ones,
    in their order. Two rows, of which the first has three values:

    >>> bag = tf.ragged.constant([["a", "", "b", "c"], ["", "d"]])
    >>> [positions] = kept_positions([bag], max_lens=[2], keeps=["last"])
    >>> positions.to_list()
    [[2, 3], [5]]
    >>> take(bag.flat_values, positions).to_list()
    [[b'b', b'c'], [b'd']]

    That is, value by value, in the names of the code:

        flat value        a  ""   b   c  ""   d
        position          0   1   2   3   4   5
        present           1   0   1   1   0   1
        present_before    0   1   1   2   3   3
        row               0   0   0   0   1   1     lengths 3, 1; kept 2, 1; first_kept 1, 3
        rank             -1   0   0   1   0   0     present_before - first_kept[row]
        is_kept           0   0   1   1   0   1     present and 0 <= rank < kept[row]

    All bags have the same rows and go through one set of operations, so that a graph of hundreds of fields stays
    small. `pipeline.rows.columns.bag_lengths` counts the values that are not empty, and must agree: `stats.json`
    has its counts. Empty strings are dropped here, too, because clients of an exported model pad lists with them.
    """
    count = len(bags)
    # The flat values of all bags stand end to end: those of bag b from starts[b] to starts[b + 1].
    sizes = [tf.size(bag.flat_values, tf.int64) for bag in bags]
    starts = tf.concat([[0], tf.cumsum(sizes)], axis=0)
    present = tf.concat([tf.not_equal(bag.flat_values, "") for bag in bags], axis=0)
    # Row r of bag b is row b · batch + r of all rows: they stand end to end, too.
    ends = tf.reshape(tf.stack([bag.row_splits[1:] for bag in bags]) + starts[:-1, tf.newaxis], [-1])
    splits = tf.concat([[0], ends], axis=0)
    # [bags, 1], to go with [bags, batch].
    max_len = tf.constant(max_lens, tf.int64)[:, tf.newaxis]
    is_last = tf.constant([keep == "last" for keep in keeps])[:, tf.newaxis]

    # How many present values stand before each position, and before each row.
    present_before = tf.concat([[0], tf.cumsum(tf.cast(present, tf.int64))], axis=0)
    at_splits = tf.gather(present_before, splits)
    lengths = tf.reshape(at_splits[1:] - at_splits[:-1], [count, -1])
    kept = tf.minimum(lengths, max_len)
    # How many present values stand before the first that each row keeps: "last" skips lengths − kept of its own.
    first_kept = tf.reshape(at_splits[:-1], [count, -1]) + tf.where(is_last, lengths - kept, 0)

    # The row of a position is the number of rows that end there or before. Rows without values end where the row
    # before them does, so several may end at one position.
    rows_ending = tf.math.unsorted_segment_sum(tf.ones_like(ends), ends, starts[-1] + 1)
    row = tf.cumsum(rows_ending)[:-1]
    # A present value has the rank 0 if it is the first that its row keeps; negative ranks stand before that.
    rank = present_before[:-1] - tf.gather(tf.reshape(first_kept, [-1]), row)
    is_kept = present & (rank >= 0) & (rank < tf.gather(tf.reshape(kept, [-1]), row))
    positions = tf.where(is_kept)[:, 0]

    # Back to one ragged tensor a bag, with positions in its own flat values.
    row_splits = tf.pad(tf.cumsum(kept, axis=1), [[0, 0], [1, 0]])
    by_bag = tf.split(positions, row_splits[:, -1], num=count)
    return [
        tf.RaggedTensor.from_row_splits(of_bag - start, splits, validate=False)
        for of_bag, start, splits in zip(
            by_bag, tf.unstack(starts[:-1], count), tf.unstack(row_splits, count), strict=True
        )
    ]


def take(values: tf.Tensor, positions: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns the flat values at the positions, in the rows of `positions`: `[batch, (values)]`."""
    return positions.with_flat_values(tf.gather(values, positions.flat_values))


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
