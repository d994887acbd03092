"""Bags: from raw text or lists to padded ids. A bag is the list of values that one row has in a multivalued field.

The bags of one field in a batch are a ragged tensor `[batch, (values)]`. The empty string is not a value and is
dropped, so `""` split at `|`, a trailing separator or an empty list element adds no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import tensorflow as tf

TensorLike: TypeAlias = "tf.Tensor | tf.SparseTensor | tf.RaggedTensor"


def as_strings(x: TensorLike) -> TensorLike:
    """Returns `x` as strings: integer ids as decimal text, strings as they are.

    Raises:
        TypeError: for any other dtype; the text of a float is not unique.
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


def flat(x: TensorLike) -> tf.Tensor:
    """Returns the values of all rows in one vector."""
    if isinstance(x, tf.RaggedTensor):
        return x.flat_values
    return x.values if isinstance(x, tf.SparseTensor) else tf.reshape(x, [-1])


def single_values(x: TensorLike, default: object) -> tf.Tensor:
    """Returns one value per row, `[batch]`, with `default` for rows without a value.

    Args:
        x: Dense `[batch]` or `[batch, 1]`, or sparse or ragged with at most one value per row.
        default: A scalar of the same dtype.
    """
    if isinstance(x, tf.RaggedTensor):
        x = x.to_tensor(default_value=default, shape=[None, 1])
    elif isinstance(x, tf.SparseTensor):
        shape = tf.stack([x.dense_shape[0], 1])
        x = tf.sparse.to_dense(tf.SparseTensor(x.indices, x.values, shape), default_value=default)
    return x if x.shape.rank == 1 else tf.reshape(x, [-1])


def to_lists(x: TensorLike, separator: str | None = None, *, trim: bool = False) -> tf.RaggedTensor:
    """Returns `x` as ragged lists `[batch, (values)]`.

    Sparse and ragged inputs are lists already. A dense `[batch]` or `[batch, 1]` input has one text per row, which is
    split at `separator`; without a separator, it is the only value. A dense `[batch, n]` input, padded with empty
    strings for example, has n values per row. With `trim`, the white space around each value is removed.

    `pipeline.rows.columns` also splits texts, in Arrow, because rows are checked and counted before they are
    transformed. This function is needed because a `preprocessing_fn` also works in other pipelines, and because a
    serving client may send the raw text. It cannot parse texts that are lists in the syntax of JSON or Python
    (`list: json` in the spec), which TensorFlow does not read; `preprocessing_fn` refuses them.
    """
    lists = _to_lists(x, separator)
    return lists.with_flat_values(tf.strings.strip(lists.flat_values)) if trim else lists


def _to_lists(x: TensorLike, separator: str | None) -> tf.RaggedTensor:
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


@dataclass(frozen=True)
class Kept:
    """The values of several fields that the model sees, from `kept_positions`.

    The tensors hold all fields, ascending by `max_len`, one after the other: fields of one width are neighbours.

    Attributes:
        order: The fields in this order, as indices.
        max_lens: Their maximum numbers of values per row, in this order.
        starts: The number of flat values before those of each field, int64 `[fields]`.
        positions: The positions of the kept values in the flat values of all fields, int64 `[kept values]`.
        lengths: The number of kept values by field and row, int64 `[fields, batch]`.
    """

    order: Sequence[int]
    max_lens: Sequence[int]
    starts: tf.Tensor
    positions: tf.Tensor
    lengths: tf.Tensor

    def by_field(self) -> list[tf.RaggedTensor]:
        """Returns for each field the positions in its own flat values, int64 ragged `[batch, (values)]`, for `take`."""
        count = len(self.order)
        row_splits = tf.pad(tf.cumsum(self.lengths, axis=1), [[0, 0], [1, 0]])
        of_fields = tf.split(self.positions, row_splits[:, -1], num=count)
        starts, row_splits = tf.unstack(self.starts, count), tf.unstack(row_splits, count)
        return [
            tf.RaggedTensor.from_row_splits(of_fields[at] - starts[at], row_splits[at], validate=False)
            for at in map(self.order.index, range(count))
        ]

    def padded(self, values: Sequence[tf.Tensor], fills: Sequence[tf.Tensor | None]) -> list[tf.Tensor]:
        """Returns for each field its kept values as a dense `[batch, max_len]`, with zeros after those of each row.

        All fields of one width are padded in one set of operations. With two fields of width 2 and two rows:

            bags                [a b] [] and [p ""] ["" r]
            flat values         a b p "" "" r
            positions           0 1 2       5
            lengths             2 0 and 1 1
            rows of both        [a b] [] [p] [r]
            padded              [a b] [0 0] [p 0] [r 0]

        Args:
            values: For each field its flat values, all of one dtype.
            fills: For each field the only value of rows that keep none, a scalar; None: such rows are all zeros.
        """
        count = len(self.order)
        taken = tf.gather(tf.concat([values[index] for index in self.order], axis=0), self.positions)
        widths = [(width, len(list(same))) for width, same in groupby(self.max_lens)]
        lengths = tf.split(self.lengths, [number for _, number in widths])
        sizes = tf.stack([tf.reduce_sum(of_width) for of_width in lengths])
        dense: list[tf.Tensor] = []
        for (width, number), of_width, rows in zip(
            widths, lengths, tf.split(taken, sizes, num=len(widths)), strict=True
        ):
            bags = tf.RaggedTensor.from_row_lengths(rows, tf.reshape(of_width, [-1]), validate=False)
            of_fields = tf.reshape(bags.to_tensor(shape=[None, width]), [number, -1, width])
            fill = [fills[index] for index in self.order[len(dense) : len(dense) + number]]
            dense += tf.unstack(_filled(of_fields, of_width, fill), number)
        return [dense[self.order.index(index)] for index in range(count)]


def _filled(padded: tf.Tensor, lengths: tf.Tensor, fills: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Returns fields, `[fields, batch, max_len]`, in which each row of length 0 has its field's value first."""
    if all(fill is None for fill in fills):
        return padded
    zero = tf.zeros([], padded.dtype)
    first = tf.stack([zero if fill is None else fill for fill in fills])[:, tf.newaxis]
    added = tf.where(tf.equal(lengths, 0), first, zero)[:, :, tf.newaxis]
    return tf.concat([padded[:, :, :1] + added, padded[:, :, 1:]], axis=2)


def kept_positions(bags: Sequence[tf.RaggedTensor], max_lens: Sequence[int], keeps: Sequence[str]) -> Kept:
    """Returns the positions of the values that the model sees, in the flat values of all fields.

    Empty strings are dropped. Of the others each row keeps at most `max_len`, in their order.

    Args:
        bags: For each field its bags, a ragged string tensor `[batch, (values)]`.
        max_lens: For each field the maximum number of values per row.
        keeps: For each field which end of a longer list is kept: "first" or "last".

    An example with two rows; the first one has three values:

    >>> bag = tf.ragged.constant([["a", "", "b", "c"], ["", "d"]])
    >>> [positions] = kept_positions([bag], max_lens=[2], keeps=["last"]).by_field()
    >>> positions.to_list()
    [[2, 3], [5]]
    >>> take(bag.flat_values, positions).to_list()
    [[b'b', b'c'], [b'd']]

    Its intermediate results, under the names that the code uses:

        flat value        a  ""   b   c  ""   d
        position          0   1   2   3   4   5
        present           1   0   1   1   0   1
        present_before    0   1   1   2   3   3
        row               0   0   0   0   1   1     lengths 3, 1; kept 2, 1; first_kept 1, 3
        rank             -1   0   0   1   0   0     present_before - first_kept[row]
        is_kept           0   0   1   1   0   1     present and 0 <= rank < kept[row]

    The bags of all fields, with the same number of rows, go through one set of operations, so that the graph stays
    small with hundreds of fields. `pipeline.rows.columns.bag_lengths` counts the same values, those that are not
    empty, for `stats.json`; both must agree. Empty strings are also dropped here because clients of an exported model
    pad lists with them.
    """
    count = len(bags)
    order = sorted(range(count), key=lambda index: max_lens[index])
    flat = [bags[index].flat_values for index in order]
    row_splits = tf.stack([bags[index].row_splits for index in order])
    # The flat values of all fields are concatenated: those of field f are at starts[f] to starts[f + 1].
    starts = tf.concat([[0], tf.cumsum(row_splits[:, -1])], axis=0)
    empty = tf.constant("")
    present = tf.concat([tf.not_equal(values, empty) for values in flat], axis=0)
    # So are the rows of all fields: row r of field f has the number f · batch + r.
    ends = tf.reshape(row_splits[:, 1:] + starts[:-1, tf.newaxis], [-1])
    splits = tf.concat([[0], ends], axis=0)
    # [fields, 1], to be broadcast to [fields, batch].
    max_len = tf.constant([max_lens[index] for index in order], tf.int64)[:, tf.newaxis]
    is_last = tf.constant([keeps[index] == "last" for index in order])[:, tf.newaxis]

    # The number of present values before each position, and before each row.
    present_before = tf.concat([[0], tf.cumsum(tf.cast(present, tf.int64))], axis=0)
    at_splits = tf.gather(present_before, splits)
    lengths = tf.reshape(at_splits[1:] - at_splits[:-1], [count, -1])
    kept = tf.minimum(lengths, max_len)
    # The number of present values before the first one that each row keeps; with "last", a row skips lengths − kept.
    first_kept = tf.reshape(at_splits[:-1], [count, -1]) + tf.where(is_last, lengths - kept, 0)

    # The row of a position is the number of rows that end at or before it. Several rows may end at one position,
    # because a row without values ends where the previous row does.
    rows_ending = tf.math.unsorted_segment_sum(tf.ones_like(ends), ends, starts[-1] + 1)
    row = tf.cumsum(rows_ending)[:-1]
    # The rank of a present value is 0 if it is the first one that its row keeps, and negative before that one.
    rank = present_before[:-1] - tf.gather(tf.reshape(first_kept, [-1]), row)
    is_kept = present & (rank >= 0) & (rank < tf.gather(tf.reshape(kept, [-1]), row))
    positions = tf.where(is_kept)[:, 0]
    return Kept(order, [max_lens[index] for index in order], starts[:-1], positions, kept)


def take(values: tf.Tensor, positions: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns the flat values at the given positions, in the same rows as these: ragged `[batch, (values)]`."""
    return positions.with_flat_values(tf.gather(values, positions.flat_values))


def same_lengths(bag: tf.RaggedTensor, weights: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns the weights, with a check that each list has as many weights as values.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs, if a list and its weights differ in length.
    """
    message = "a list and its weights differ in length"
    same = tf.debugging.assert_equal(bag.row_splits, weights.row_splits, message=message)
    with tf.control_dependencies([] if same is None else [same]):
        return weights.with_flat_values(tf.identity(weights.flat_values))


def fill_empty(bag: tf.RaggedTensor, value: object) -> tf.RaggedTensor:
    """Returns the bags, where each empty one has `value`, a scalar, as its only value."""
    is_empty = tf.cast(tf.equal(bag.row_lengths(), 0), tf.int64)
    values = tf.fill([tf.reduce_sum(is_empty)], tf.convert_to_tensor(value, bag.dtype))
    return tf.concat([bag, tf.RaggedTensor.from_row_lengths(values, is_empty)], axis=1)


def pad(bag: tf.RaggedTensor, max_len: int) -> tf.Tensor:
    """Returns the bags as a dense `[batch, max_len]`, with zeros after the values of each row."""
    return bag.to_tensor(default_value=0, shape=[None, max_len])
