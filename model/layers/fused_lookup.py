"""Lookup and pooling of all fields at once, on TensorFlow: no `[batch, max_len, dim]` tensor, no padding looked up.

The ids of all fields that are not padding go through one `unique`: each row of the table is read once and gets one
gradient, and a row-sparse optimizer finds its rows without repeats. Rows are added up by TensorFlow's sparse segment
kernel; the gradient here is a segment sum over the same rows, which takes half the time of the kernel's own.

The one module of the layers that needs TensorFlow; `PooledEmbeddings` imports it where that is the backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf


class _Values(NamedTuple):
    """The values of a batch: all ids but the padding, bag by bag. A bag is the list of one field of one example.

    Attributes:
        position: Of each value among the ids of all fields side by side, `[batch, Σ max_len]` flattened: int64
            `[values]`.
        row: Of each value, the index of its row among the rows that are read, int32 `[values]`.
        bag: Of each value, the number of its bag, example · fields + field: int32 `[values]`, ascending.
        bags: The number of bags, batch · fields.
    """

    position: tf.Tensor
    row: tf.Tensor
    bag: tf.Tensor
    bags: tf.Tensor


def pooled_rows(
    table: tf.Variable,
    ids: Sequence[tf.Tensor],
    weights: Sequence[tf.Tensor | None],
    poolings: Sequence[str],
    square_norms: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """Returns the pooled rows of each field, float32 `[batch, fields, width]`, the rows that were read, and squares.

    The rows, `[rows read, width]`, have every row that the batch used once: a penalty on them has a sparse gradient.
    The squares, `[batch, fields]`, are Σ (x·‖v‖)² over a bag, where x is what a row v is multiplied with when it is
    pooled; None without `square_norms`.

    Args:
        table: `[rows, width]`.
        ids: For each field its rows in the table, int `[batch, max_len]`; 0 is padding and never read.
        weights: For each field one number a value, `[batch, max_len]`, or None: all 1.
        poolings: For each field mean, sum, sqrtn or max: Σ w·x over Σ w, over 1, over √(Σ w²), or the largest x
            of each column. Zeros for a bag without values, and where a divisor is 0.
        square_norms: From rows, `[rows read, width]`, and their ids to ‖v‖², `[rows read]`. Not with max pooling,
            which multiplies nothing.
    """
    fields = len(ids)
    values, ids_read = _values(ids)
    rows = tf.gather(table, ids_read)
    wide = tf.cast(rows, tf.float32)  # Sums are in float32, whatever the precision of the rest.

    if all(weight is None for weight in weights):
        w = tf.ones_like(values.bag, tf.float32)
        sums = _sums_of_rows(wide, values.row, values.bag, values.bags)
    else:
        w = _weights(values, ids, weights)
        sums = tf.math.unsorted_segment_sum(tf.gather(wide, values.row) * w[:, tf.newaxis], values.bag, values.bags)
    factors = _factors(values, w, poolings)
    pooled = tf.reshape(sums, [-1, fields, table.shape[1]]) * factors[:, :, tf.newaxis]
    if "max" in poolings:
        is_max = tf.constant([pooling == "max" for pooling in poolings])
        largest = _largest(values, wide, is_max)
        pooled = tf.where(is_max[:, tf.newaxis], tf.reshape(largest, tf.shape(pooled)), pooled)
    squares = None
    if square_norms is not None:
        squares = _squares(values, w, factors, square_norms(wide, ids_read))
    return pooled, rows, squares


def _values(ids: Sequence[tf.Tensor]) -> tuple[_Values, tf.Tensor]:
    """Returns the values of all fields, and the ids of the rows to read, each once, `[rows read]`."""
    fields = len(ids)
    all_ids = tf.concat([tf.cast(field, tf.int32) for field in ids], axis=1)
    field_of_column = tf.concat([tf.fill([tf.shape(field)[1]], index) for index, field in enumerate(ids)], axis=0)
    batch = tf.shape(all_ids)[0]
    # Flattened example by example, and so bag by bag: the bags of the values ascend.
    bag_of_position = tf.reshape(tf.range(batch)[:, tf.newaxis] * fields + field_of_column, [-1])
    flat_ids = tf.reshape(all_ids, [-1])
    position = tf.where(flat_ids != 0)[:, 0]
    bag = tf.gather(bag_of_position, position)
    ids_read, row = tf.unique(tf.gather(flat_ids, position))
    return _Values(position, row, bag, batch * fields), ids_read


def _weights(values: _Values, ids: Sequence[tf.Tensor], weights: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Returns w, float32 `[values]`: ones for a field without weights."""
    by_field = [
        tf.ones_like(field, tf.float32) if weight is None else tf.cast(weight, tf.float32)
        for field, weight in zip(ids, weights, strict=True)
    ]
    return tf.gather(tf.reshape(tf.concat(by_field, axis=1), [-1]), values.position)


def _factors(values: _Values, w: tf.Tensor, poolings: Sequence[str]) -> tf.Tensor:
    """Returns what each bag's Σ w·x is multiplied with, `[batch, fields]`: 1 over the divisor of its pooling, or 0.

    Every divisor is computed for all bags, then each field takes the one of its pooling: fewer, larger operations.
    """
    fields = len(poolings)
    sum_of_weights = tf.math.unsorted_segment_sum(w, values.bag, values.bags)
    sum_of_squared_weights = tf.math.unsorted_segment_sum(w * w, values.bag, values.bags)
    # The gradient of a root is infinite at 0.
    root = tf.sqrt(tf.where(sum_of_squared_weights == 0, 1.0, sum_of_squared_weights))
    divisors = {
        "sum": tf.ones_like(sum_of_weights),
        "mean": sum_of_weights,
        "sqrtn": root,
        "max": tf.ones_like(sum_of_weights),
    }
    divisor = tf.stack(
        [tf.reshape(divisors[pooling], [-1, fields])[:, index] for index, pooling in enumerate(poolings)], axis=1
    )
    return tf.math.divide_no_nan(1.0, divisor)


def _largest(values: _Values, rows: tf.Tensor, is_max: tf.Tensor) -> tf.Tensor:
    """Returns the largest number of each column in a bag, `[bags, width]`; zeros for a bag without values.

    Only the rows of fields with max pooling, where `is_max`, `[fields]`, is true, are compared; what the bags of other
    fields get has no meaning.
    """
    is_compared = tf.gather(is_max, values.bag % is_max.shape[0])
    compared = tf.gather(rows, tf.boolean_mask(values.row, is_compared))
    largest = tf.math.unsorted_segment_max(compared, tf.boolean_mask(values.bag, is_compared), values.bags)
    has_values = tf.math.unsorted_segment_sum(tf.ones_like(values.bag), values.bag, values.bags) > 0
    return tf.where(has_values[:, tf.newaxis], largest, 0.0)


def _squares(values: _Values, w: tf.Tensor, factors: tf.Tensor, square_norms: tf.Tensor) -> tf.Tensor:
    """Returns Σ x²·‖v‖² over each bag, `[batch, fields]`.

    x is w times the factor of the value's bag; ‖v‖² of each value is that of its row, in `square_norms`, `[rows read]`.
    """
    x = w * tf.gather(tf.reshape(factors, [-1]), values.bag)
    norms = tf.gather(square_norms, values.row)
    sums = tf.math.unsorted_segment_sum(x * x * norms, values.bag, values.bags)
    return tf.reshape(sums, [-1, factors.shape[1]])


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _sums_of_rows(
    rows: tf.Tensor, row: tf.Tensor, bag: tf.Tensor, bags: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None, None, None]]]:
    """Returns for each bag the sum of its rows, `[bags, width]`; `bag` ascends."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, None]:
        return tf.math.unsorted_segment_sum(tf.gather(upstream, bag), row, tf.shape(rows)[0]), None, None, None

    # This keeps TensorFlow's graph optimizer from recognising a lookup: it would replace gather and sum by a sum over
    # the whole table, and copy that at every step (SimplifyEmbeddingLookupStage; 31 ms for 10 million rows).
    indices = tf.ensure_shape(row, [None])
    sums = tf.raw_ops.SparseSegmentSumWithNumSegments(data=rows, indices=indices, segment_ids=bag, num_segments=bags)
    return sums, gradient
