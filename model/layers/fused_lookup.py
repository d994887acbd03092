"""Lookup and pooling of all fields at once, on TensorFlow: no `[batch, max_len, dim]` tensor, no padding looked up.

One `tf.unique` over the ids of all fields, without padding, finds the table rows to read: each row is read once and
gets one gradient, so a row-sparse optimizer need not merge duplicates. TensorFlow's sparse segment kernel sums the
rows; the gradient here is a segment sum over the same rows, which takes half the time of the kernel's own gradient.

This is the only module of the layers that needs TensorFlow; `PooledEmbeddings` imports it only with that backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from .weights import weight_unit


class _Values(NamedTuple):
    """The values of a batch, ordered by bag: all ids except padding. A bag is the list of one field of one example.

    Attributes:
        positions: The position of each value in the concatenated ids of all fields, `[batch, Σ max_len]` flattened:
            int64 `[values]`.
        row_indices: The index of each value's row in the rows that are read, int32 `[values]`.
        bag_indices: The index of each value's bag, example · fields + field: int32 `[values]`, ascending.
        num_bags: The number of bags, batch · fields: int32 scalar.
    """

    positions: tf.Tensor
    row_indices: tf.Tensor
    bag_indices: tf.Tensor
    num_bags: tf.Tensor


def checked_ids(ids: tf.Tensor, rows: int, field: str) -> tf.Tensor:
    """Returns the ids; if one is not in a table of `rows` rows, this or, in a graph, their use is an error.

    Raises:
        InvalidArgumentError: the message has the name of the field.
    """
    ids = tf.convert_to_tensor(ids)
    smallest, largest = tf.reduce_min(ids), tf.reduce_max(ids)
    message = f"field {field}: expected ids from 0 to {rows - 1}, the rows of its table; found ids from"
    check = tf.debugging.Assert((smallest >= 0) & (largest < rows), [message, smallest, "to", largest])
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(ids)


def pooled_rows(
    table: tf.Variable,
    ids: Sequence[tf.Tensor],
    weights: Sequence[tf.Tensor | None],
    poolings: Sequence[str],
    square_norms: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """Looks up and pools the table rows of all fields.

    Args:
        table: `[rows, width]`.
        ids: For each field its rows in the table, int `[batch, max_len]`; 0 is padding and never read.
        weights: For each field one number per value, `[batch, max_len]`, or None: all 1.
        poolings: For each field mean, sum, sqrtn or max: Σ w·v divided by Σ w, by 1 or by √(Σ w²), or the maximum of
            each column. Zeros for a bag without values, and where a divisor is 0.
        square_norms: A function from rows, float32 `[rows read, width]`, and their ids to ‖v‖², `[rows read]`. Not with
            max pooling, which has no coefficients. Default: no third output.

    Returns:
        The pooled rows, float32 `[batch, fields, width]`.
        The rows that were read, `[rows read, width]`, each once, so that a penalty on them has a sparse gradient.
        Σ x²·‖v‖² over each bag, float32 `[batch, fields]`, where x is the coefficient of row v in the pooled sum; None
            without `square_norms`.
    """
    fields = len(ids)
    values, ids_read = _values(ids)
    rows_read = tf.gather(table, ids_read)
    float32_rows = tf.cast(rows_read, tf.float32)  # Sums are in float32 for any compute dtype.

    if all(weight is None for weight in weights):
        w = tf.ones_like(values.bag_indices, tf.float32)
        sums = _sums_of_rows(float32_rows, values.row_indices, values.bag_indices, values.num_bags)
    else:
        w = _weights(values, ids, weights, poolings)
        weighted_rows = tf.gather(float32_rows, values.row_indices) * w[:, tf.newaxis]
        sums = tf.math.unsorted_segment_sum(weighted_rows, values.bag_indices, values.num_bags)
    factors = _factors(values, w, poolings)
    pooled = tf.reshape(sums, [-1, fields, table.shape[1]]) * factors[:, :, tf.newaxis]
    if "max" in poolings:
        is_max = tf.constant([pooling == "max" for pooling in poolings])
        maxima = _maxima(values, float32_rows, is_max)
        pooled = tf.where(is_max[:, tf.newaxis], tf.reshape(maxima, tf.shape(pooled)), pooled)
    sums_of_squares = None
    if square_norms is not None:
        sums_of_squares = _sums_of_squares(values, w, factors, square_norms(float32_rows, ids_read))
    return pooled, rows_read, sums_of_squares


def _values(ids: Sequence[tf.Tensor]) -> tuple[_Values, tf.Tensor]:
    """Returns the values of all fields, and the ids of the rows to read, each once, int32 `[rows read]`."""
    fields = len(ids)
    all_ids = tf.concat([tf.cast(field, tf.int32) for field in ids], axis=1)
    field_of_column = tf.concat([tf.fill([tf.shape(field)[1]], index) for index, field in enumerate(ids)], axis=0)
    batch = tf.shape(all_ids)[0]
    # Flattened example by example, and so bag by bag: the bag indices of the values ascend.
    bag_of_position = tf.reshape(tf.range(batch)[:, tf.newaxis] * fields + field_of_column, [-1])
    flat_ids = tf.reshape(all_ids, [-1])
    positions = tf.where(flat_ids != 0)[:, 0]
    bag_indices = tf.gather(bag_of_position, positions)
    ids_read, row_indices = tf.unique(tf.gather(flat_ids, positions))
    return _Values(positions, row_indices, bag_indices, batch * fields), ids_read


def _weights(
    values: _Values, ids: Sequence[tf.Tensor], weights: Sequence[tf.Tensor | None], poolings: Sequence[str]
) -> tf.Tensor:
    """Returns the weight w of each value, float32 `[values]`: 1 for a field without weights.

    Weights whose sum or squares are divided by are multiplied by the `weight_unit` of their bag.
    """
    by_field = [
        tf.ones_like(field, tf.float32) if weight is None else tf.cast(weight, tf.float32)
        for field, weight in zip(ids, weights, strict=True)
    ]
    w = tf.gather(tf.reshape(tf.concat(by_field, axis=1), [-1]), values.positions)
    largest = tf.math.unsorted_segment_max(tf.abs(w), values.bag_indices, values.num_bags)
    has_divisor = tf.constant([pooling in ("mean", "sqrtn") for pooling in poolings])
    units = tf.where(has_divisor, weight_unit(tf.reshape(largest, [-1, len(poolings)])), 1.0)
    return w * tf.gather(tf.reshape(units, [-1]), values.bag_indices)


def _factors(values: _Values, w: tf.Tensor, poolings: Sequence[str]) -> tf.Tensor:
    """Returns the factor of each bag's Σ w·v, `[batch, fields]`: 1 / divisor of its pooling, or 0 if the divisor is 0.

    Each divisor is computed for all bags, and each field selects that of its pooling: fewer, larger operations.
    """
    fields = len(poolings)
    sum_of_weights = tf.math.unsorted_segment_sum(w, values.bag_indices, values.num_bags)
    sum_of_squared_weights = tf.math.unsorted_segment_sum(w * w, values.bag_indices, values.num_bags)
    # The gradient of a square root is infinite at 0.
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


def _maxima(values: _Values, rows_read: tf.Tensor, is_max: tf.Tensor) -> tf.Tensor:
    """Returns the maximum of each column in each bag, `[bags, width]`; zeros for a bag without values.

    Only the rows of fields with max pooling are compared: those for which `is_max`, `[fields]`, is true. The results
    for the bags of other fields must not be used.
    """
    is_compared = tf.gather(is_max, values.bag_indices % is_max.shape[0])
    compared_rows = tf.gather(rows_read, tf.boolean_mask(values.row_indices, is_compared))
    compared_bags = tf.boolean_mask(values.bag_indices, is_compared)
    maxima = tf.math.unsorted_segment_max(compared_rows, compared_bags, values.num_bags)
    ones = tf.ones_like(values.bag_indices)
    has_values = tf.math.unsorted_segment_sum(ones, values.bag_indices, values.num_bags) > 0
    return tf.where(has_values[:, tf.newaxis], maxima, 0.0)


def _sums_of_squares(values: _Values, w: tf.Tensor, factors: tf.Tensor, square_norms: tf.Tensor) -> tf.Tensor:
    """Returns Σ x²·‖v‖² over each bag, `[batch, fields]`.

    The coefficient x of a value is w times the factor of its bag; `square_norms`, `[rows read]`, has ‖v‖² of each row.
    """
    x = w * tf.gather(tf.reshape(factors, [-1]), values.bag_indices)
    square_norms_of_values = tf.gather(square_norms, values.row_indices)
    sums = tf.math.unsorted_segment_sum(x * x * square_norms_of_values, values.bag_indices, values.num_bags)
    return tf.reshape(sums, [-1, factors.shape[1]])


@tf.custom_gradient
def _sums_of_rows(
    rows_read: tf.Tensor, row_indices: tf.Tensor, bag_indices: tf.Tensor, num_bags: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None, None, None]]]:
    """Returns the sum of the rows of each bag, `[bags, width]`; `bag_indices` must ascend."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, None]:
        gradients_of_values = tf.gather(upstream, bag_indices)
        row_gradients = tf.math.unsorted_segment_sum(gradients_of_values, row_indices, tf.shape(rows_read)[0])
        return row_gradients, None, None, None

    # `ensure_shape` hides the lookup from TensorFlow's graph optimizer, which would replace gather and sum by a sum
    # over the complete table, and copy it at every step (SimplifyEmbeddingLookupStage; 31 ms for 10 million rows).
    indices = tf.ensure_shape(row_indices, [None])
    sums = tf.raw_ops.SparseSegmentSumWithNumSegments(
        data=rows_read, indices=indices, segment_ids=bag_indices, num_segments=num_bags
    )
    return sums, gradient
