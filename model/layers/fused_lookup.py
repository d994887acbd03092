"""Lookup and pooling of all fields at once, on TensorFlow: no `[batch, max_len, dim]` tensor, no padding looked up.

The pooled vectors are a product of two matrices. The ids of all fields, without padding, are made unique: they are the
table rows to read, the dense matrix R, and each is read once. The sparse matrix C has a row for each bag, the list of
one field of one example, and a column for each row of R: the coefficients of the values of the bag.

    example: lists [5, 7] and [7], pooled by mean;  C = ½ ½   R = row 5 of the table   C·R = the mean of rows 5 and 7
                                                        0 1       row 7                      row 7

The gradient for R is Cᵀ times that of the pooled vectors: also a product, with one row for each row that was read. So a
row-sparse optimizer need not merge duplicates.

keras-rs has `EmbedReduce` for a lookup with a combiner, and `DistributedEmbedding` for such lookups of many features;
`EmbedReduce(mask_zero=True)` counts padding as values of a list, so its means are different.

This is the only module of the layers that needs TensorFlow; `PooledEmbeddings` imports it only with that backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from .features import Bags, Layout
from .weights import weight_unit

# TensorFlow's kernel for the product takes ten times as long for each column if there are 32 or more.
_COLUMNS_AT_ONCE = 31

# Groups of tables whose ids are made unique side by side, because `tf.unique` uses one thread. On 2 cores a step with
# three takes 0.93 of the time with one. Groups have as many columns each, but not as many values.
_GROUPS = 3

# Marks ids as unique where no `Unique` operation shows it: see `are_unique`.
_UNIQUE_IDS = "fieldpool_unique_ids"


class Lookup(NamedTuple):
    """The rows of a table to read for a batch, and the matrix C of the pooling coefficients.

    The values of a batch are all its ids except padding. Bag b is the list of field b // batch of example b % batch:
    field by field, the product reads rows of one table after the other, which fit in a processor's cache.

    Attributes:
        ids_read: The ids of the rows to read, each once: int32 `[rows read]`.
        places: The bag of each value, and the index of its row in `ids_read`: int32 `[values, 2]`.
        coefficients: The coefficient of each value, float32 `[values]`.
        num_bags: The number of bags, batch · fields: int32 scalar.
    """

    ids_read: tf.Tensor
    places: tf.Tensor
    coefficients: tf.Tensor
    num_bags: tf.Tensor


def with_checked_ids(features: Mapping[str, tf.Tensor], layout: Layout) -> dict[str, tf.Tensor]:
    """Returns the features; if an id is not in the table of its field, this or, in a graph, their use is an error.

    Raises:
        InvalidArgumentError: the message has the name of the field.
    """
    checked = dict(features)
    for name, field in layout.fields.items():
        ids, rows = tf.convert_to_tensor(features[name]), layout.tables[field["table"]]["rows"]
        smallest, largest = (tf.cast(end(ids), tf.int64) for end in (tf.reduce_min, tf.reduce_max))
        message = f"field {name}: expected ids from 0 to {rows - 1}, the rows of its table; found ids from"
        check = tf.debugging.Assert((smallest >= 0) & (largest < rows), [message, smallest, "to", largest])
        with tf.control_dependencies([] if check is None else [check]):
            checked[name] = tf.identity(ids)
    return checked


def gathered(table: tf.Variable, positions: tf.Tensor) -> tf.Tensor:
    """Returns rows of a table; `keras.ops.take` would also look for negative positions."""
    return tf.gather(table, positions)


class _Values(NamedTuple):
    """The values of a group of fields.

    Attributes:
        rows: The position of the row of each value, int32 `[values]`.
        bags: The bag of each value, int64 `[values]`.
        weights: The weight of each value, float32 `[values]`, or None.
    """

    rows: tf.Tensor
    bags: tf.Tensor
    weights: tf.Tensor | None


def lookup_of(bags: Sequence[Bags], end: int, *, in_groups: bool = False) -> Lookup:
    """Returns the lookup of a batch.

    A pooling has the coefficients w / Σ w (mean), w (sum and max) or w / √(Σ w²) (sqrtn); they are 0 where a divisor is
    0. Without weights, each w is 1.

    Args:
        bags: The bags of each field; their tables are in one variable. Id 0 is padding and never read.
        end: The number of rows of the variable.
        in_groups: Whether to look up groups of fields side by side or, in a small variable, to mark rows: faster for
            large batches, and slower for small ones. The pooled vectors and their gradients are the same.
    """
    batch = tf.shape(bags[0].ids)[0]
    if in_groups:
        positions = batch * tf.add_n([tf.shape(bag.ids)[1] for bag in bags])
        values, ids_read, row_indices = tf.cond(
            end <= positions, lambda: _unique_by_marking(bags, end), lambda: _unique_by_group(bags, end)
        )
        ids_read = tf.identity(ids_read, name=_UNIQUE_IDS)
    else:
        values = _values_of(bags, range(len(bags)), end)
        ids_read, row_indices = tf.unique(values.rows, tf.int64)
    num_bags = batch * len(bags)
    coefficients = _coefficients(values.weights, values.bags, num_bags, [bag.pooling for bag in bags])
    # `tf.stack([values.bags, row_indices], axis=1)` as the halves of int64 (little-endian), in half of the time.
    places = tf.bitcast(values.bags + row_indices * 2**32, tf.int32)
    return Lookup(ids_read, places, coefficients, num_bags)


def _unique_by_marking(bags: Sequence[Bags], end: int) -> tuple[_Values, tf.Tensor, tf.Tensor]:
    """Returns the values, their unique rows in ascending order, and the index of each value's row among these.

    Rows that are read are marked: this is faster than `tf.unique`, but its time grows with `end`, the number of rows.

        rows 4 1 4, end 5;  is_read 0 1 0 0 1 0;  unique 1 4;  indices of all rows ? 0 ? ? 1;  of the values' 1 0 1
    """
    values = _values_of(bags, range(len(bags)), end)
    # One more: the position of ids that are in no table, whose lookup must fail.
    ids_read = tf.cast(tf.where(_counts(values.rows, end + 1, only_if_any=True))[:, 0], tf.int32)
    indices = tf.dynamic_stitch([ids_read], [tf.range(tf.size(ids_read, tf.int64))])
    return values, ids_read, tf.gather(indices, values.rows)


def _unique_by_group(bags: Sequence[Bags], end: int) -> tuple[_Values, tf.Tensor, tf.Tensor]:
    """Returns the same, but the rows are those of groups of tables, side by side, in any order."""
    groups = [_values_of(bags, group, end) for group in _groups_of_fields(bags)]
    unique = [tf.unique(group.rows) for group in groups]  # They have no tables in common.
    first_indices = tf.unstack(tf.cumsum([tf.size(rows) for rows, _ in unique], exclusive=True))
    row_indices = [first + indices for first, (_, indices) in zip(first_indices, unique, strict=True)]
    values = _Values(*(None if parts[0] is None else tf.concat(parts, axis=0) for parts in zip(*groups, strict=True)))
    return values, tf.concat([rows for rows, _ in unique], axis=0), tf.cast(tf.concat(row_indices, axis=0), tf.int64)


def are_unique(ids: tf.Tensor) -> bool:
    """Returns whether the graph shows that ids are unique, as those of a `Lookup` and of the gradient of its rows.

    Another `tf.unique` would take 5 % of a step's time.
    """
    if not tf.is_symbolic_tensor(ids):
        return False
    while ids.op.type in ("Identity", "Reshape"):
        if ids.op.name.rsplit("/", 1)[-1].startswith(_UNIQUE_IDS):
            return True
        ids = ids.op.inputs[0]
    return bool(ids.op.type == "Unique" and ids.value_index == 0)


def _groups_of_fields(bags: Sequence[Bags]) -> list[list[int]]:
    """Returns the fields of each group, as indices of `bags`: a table is in one group, and all have similar widths."""
    widths: dict[str, int] = {}
    for bag in bags:
        widths[bag.table] = widths.get(bag.table, 0) + (bag.ids.shape[1] or 1)
    tables: list[set[str]] = [set() for _ in range(_GROUPS)]
    for table in sorted(widths, key=widths.__getitem__, reverse=True):
        min(tables, key=lambda group: sum(widths[name] for name in group)).add(table)
    return [[i for i, bag in enumerate(bags) if bag.table in group] for group in tables if group]


def _values_of(all_bags: Sequence[Bags], group: Sequence[int], end: int) -> _Values:
    """Returns the values of the fields of a group; `all_bags` and `end` are the arguments of `lookup_of`."""
    bags = [all_bags[index] for index in group]
    # One matrix for the ids of all fields: operations on it cost less than the same on those of each field.
    ids = tf.concat([tf.cast(bag.ids, tf.int64) for bag in bags], axis=1)
    # Not a transpose of integers, for which TensorFlow logs that oneDNN does not have it.
    ids = tf.bitcast(tf.transpose(tf.bitcast(ids, tf.float64)), tf.int64)
    field_of_column = _fields_of_columns(all_bags, group)[:, tf.newaxis]
    table_rows = tf.gather(tf.constant([bag.rows for bag in all_bags], tf.uint64), field_of_column)
    first_rows = tf.gather([bag.first for bag in all_bags], field_of_column)
    is_in_table = tf.bitcast(ids, tf.uint64) < table_rows  # As unsigned numbers, negative ids are large.
    rows = tf.where(is_in_table, tf.cast(ids, tf.int32) + first_rows, end)  # See `rows_of_ids`.
    batch = tf.shape(ids, tf.int64)[1]
    bag_of_position = tf.cast(field_of_column, tf.int64) * batch + tf.range(batch)
    positions = tf.where(tf.reshape(ids, [-1]))[:, 0]

    def of_values(of_positions: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.reshape(of_positions, [-1]), positions)

    w = None
    if any(bag.weights is not None for bag in all_bags):
        weights = [tf.ones(tf.shape(bag.ids)) if bag.weights is None else bag.weights for bag in bags]
        w = of_values(tf.transpose(tf.concat([tf.cast(of_bags, tf.float32) for of_bags in weights], axis=1)))
    return _Values(of_values(rows), of_values(bag_of_position), w)


def _fields_of_columns(bags: Sequence[Bags], group: Sequence[int]) -> tf.Tensor:
    """Returns the field of each column of the ids of a group, int32 `[columns]`: a constant if all widths are known."""
    widths = [bags[index].ids.shape[1] for index in group]
    if None not in widths:
        return tf.constant(np.repeat(group, widths), tf.int32)
    return tf.concat([tf.fill([tf.shape(bags[index].ids)[1]], index) for index in group], axis=0)


def pooled_rows(
    rows_read: tf.Tensor,
    lookup: Lookup,
    poolings: Sequence[str],
    square_norms: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> tuple[tf.Tensor, ...]:
    """Pools the table rows of all fields.

    Args:
        rows_read: The rows of the table to read, those of `lookup.ids_read`: `[rows read, width]`.
        lookup: The lookup of the batch.
        poolings: The pooling of each field. That of max is the maximum of each column; zeros for a bag without values.
        square_norms: A function from rows, float32 `[rows read, width]`, and their ids to ‖v‖², `[rows read]`. Not with
            max pooling, which has no coefficients. Default: no second and third output.

    Returns:
        The pooled rows, float32 `[fields, batch, width]`.
        With `square_norms`, Σ x²·‖v‖² over each bag, float32 `[fields, batch]`, where x is the coefficient of row v in
            the pooled sum, and the number of values of each bag, float32 `[fields, batch]`.
    """
    fields = len(poolings)
    float32_rows = tf.cast(rows_read, tf.float32)  # Sums are in float32 for any compute dtype.
    pooled = tf.reshape(_product(lookup, lookup.coefficients, float32_rows), [fields, -1, rows_read.shape[1]])
    if "max" in poolings:
        is_max = tf.constant([pooling == "max" for pooling in poolings])
        maxima = _maxima(lookup, float32_rows, is_max)
        pooled = tf.where(is_max[:, tf.newaxis, tf.newaxis], tf.reshape(maxima, tf.shape(pooled)), pooled)
    if square_norms is None:
        return (pooled,)
    norms = square_norms(float32_rows, lookup.ids_read)
    squares = _product(lookup, tf.square(lookup.coefficients), norms[:, tf.newaxis])
    lengths = _counts(lookup.places[:, 0], lookup.num_bags)
    return pooled, tf.reshape(squares, [fields, -1]), tf.reshape(lengths, [fields, -1])


def _product(lookup: Lookup, coefficients: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns the product of the sparse matrix of coefficients and the rows, `[bags, width]`."""
    shape = tf.cast(tf.stack([lookup.num_bags, tf.shape(rows)[0]]), tf.int64)
    starts = range(0, rows.shape[1], _COLUMNS_AT_ONCE)
    # The gradient of a slice is a copy, so there is no slice if one block suffices.
    blocks = [rows] if len(starts) == 1 else [rows[:, first : first + _COLUMNS_AT_ONCE] for first in starts]
    # `tf.sparse.sparse_dense_matmul` takes only int64 indices.
    product = tf.raw_ops.SparseTensorDenseMatMul
    products = [product(a_indices=lookup.places, a_values=coefficients, a_shape=shape, b=block) for block in blocks]
    return products[0] if len(products) == 1 else tf.concat(products, axis=1)


def _coefficients(w: tf.Tensor | None, bags: tf.Tensor, num_bags: tf.Tensor, poolings: Sequence[str]) -> tf.Tensor:
    """Returns the coefficient of each value, float32 `[values]`; `w` has their weights, None is 1 for all.

    Weights whose sum or squares are divided by are multiplied by the `weight_unit` of their bag.
    """
    is_mean, is_sqrtn = (tf.constant([[pooling == kind] for pooling in poolings]) for kind in ("mean", "sqrtn"))
    by_field = [len(poolings), -1]
    if not {"mean", "sqrtn"}.intersection(poolings):
        return tf.ones_like(bags, tf.float32) if w is None else w
    if w is None:
        w = tf.ones_like(bags, tf.float32)
        sums = squares = tf.reshape(_counts(bags, num_bags), by_field)
    else:
        largest = tf.reshape(tf.math.unsorted_segment_max(tf.abs(w), bags, num_bags), by_field)
        units = tf.where(is_mean | is_sqrtn, weight_unit(largest), 1.0)
        w = w * tf.gather(tf.reshape(units, [-1]), bags)
        sums, squares = (tf.math.unsorted_segment_sum(x, bags, num_bags) for x in (w, w * w))
        sums, squares = tf.reshape(sums, by_field), tf.reshape(squares, by_field)
    divisors = tf.where(is_mean, sums, 1.0)
    if "sqrtn" in poolings:
        root = tf.sqrt(tf.where(squares == 0, 1.0, squares))  # The gradient of a square root is infinite at 0.
        divisors = tf.where(is_sqrtn, root, divisors)
    return w * tf.gather(tf.reshape(tf.math.divide_no_nan(1.0, divisors), [-1]), bags)


def _counts(numbers: tf.Tensor, size: Any, *, only_if_any: bool = False) -> tf.Tensor:
    """Returns how often each number from 0 to `size` − 1 occurs, float32 `[size]`; with `only_if_any`, at most 1."""
    # `tf.math.bincount` searches for the largest number, too. For a vector, each thread counts in an array of its own,
    # and these are added up: that takes up to twice the time of a matrix with one row.
    row, bins = numbers[tf.newaxis], tf.cast(size, numbers.dtype)
    return tf.raw_ops.DenseBincount(input=row, size=bins, weights=tf.zeros([0]), binary_output=only_if_any)[0]


def _maxima(lookup: Lookup, rows_read: tf.Tensor, is_max: tf.Tensor) -> tf.Tensor:
    """Returns the maximum of each column in each bag, `[bags, width]`; zeros for a bag without values.

    Only the rows of fields with max pooling are compared: those for which `is_max`, `[fields]`, is true. The results
    for the bags of other fields must not be used.
    """
    bags, row_indices = tf.unstack(lookup.places, axis=1)
    is_compared = tf.gather(is_max, bags // tf.maximum(lookup.num_bags // is_max.shape[0], 1))
    compared_rows = tf.gather(rows_read, tf.boolean_mask(row_indices, is_compared))
    compared_bags = tf.boolean_mask(bags, is_compared)
    maxima = tf.math.unsorted_segment_max(compared_rows, compared_bags, lookup.num_bags)
    has_values = _counts(bags, lookup.num_bags) > 0
    return tf.where(has_values[:, tf.newaxis], maxima, 0.0)
