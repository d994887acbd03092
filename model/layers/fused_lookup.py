"""Lookup and pooling of all fields at once, on TensorFlow: no `[batch, max_len, dim]` tensor, no padding looked up.

The ids of all fields that are not padding go through one `unique`: each row of the table is read once and gets one
gradient, and a row-sparse optimizer finds its rows without repeats. Rows are added up by TensorFlow's sparse segment
kernel; the gradient here is a segment sum over the same rows, which takes half the time of the kernel's own.

The one module of the layers that needs TensorFlow; `PooledEmbeddings` imports it where that is the backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf


def pooled_rows(
    table: tf.Variable,
    ids: Sequence[tf.Tensor],
    weights: Sequence[tf.Tensor | None],
    poolings: Sequence[str],
    squared_norms: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """Returns the pooled rows of each field, float32 `[batch, fields, width]`, the rows that were read, and squares.

    The rows, `[rows used, width]`, have every row that the batch used once: a penalty on them has a sparse gradient.
    The squares, `[batch, fields]`, are Σ (x·‖v‖)² over a bag, where x is what a row v is multiplied with when it is
    pooled; None without `squared_norms`.

    Args:
        table: `[rows, width]`.
        ids: For each field its rows in the table, int `[batch, max_len]`; 0 is padding and never read.
        weights: For each field one number a value, `[batch, max_len]`, or None: all 1.
        poolings: For each field mean, sum, sqrtn or max: Σ w·x over Σ w, over 1, over √(Σ w²), or the largest x
            of each column. Zeros for a bag without values, and where a divisor is 0.
        squared_norms: From rows, `[rows used, width]`, and their places in the table to ‖v‖², `[rows used]`. Not with
            max pooling, which multiplies nothing.
    """
    fields = len(ids)
    every = tf.concat([tf.cast(field, tf.int32) for field in ids], axis=1)
    field_of = tf.concat([tf.fill([tf.shape(field)[1]], index) for index, field in enumerate(ids)], axis=0)
    batch = tf.shape(every)[0]
    bags = batch * fields
    # Row by row, and so bag by bag.
    every_bag = tf.reshape(tf.range(batch)[:, tf.newaxis] * fields + field_of, [-1])
    every = tf.reshape(every, [-1])
    places = tf.where(every != 0)[:, 0]
    bag = tf.gather(every_bag, places)
    used, row = tf.unique(tf.gather(every, places))
    rows = tf.gather(table, used)

    wide = tf.cast(rows, tf.float32)  # Sums are in float32, whatever the precision of the rest.
    if all(weight is None for weight in weights):
        w = tf.ones_like(bag, tf.float32)
        total = _sums_of_rows(wide, row, bag, bags)
    else:
        full = [
            tf.ones_like(field, tf.float32) if weight is None else tf.cast(weight, tf.float32)
            for field, weight in zip(ids, weights, strict=True)
        ]
        w = tf.gather(tf.reshape(tf.concat(full, axis=1), [-1]), places)
        total = tf.math.unsorted_segment_sum(tf.gather(wide, row) * w[:, tf.newaxis], bag, bags)

    n = tf.math.unsorted_segment_sum(w, bag, bags)
    squares = tf.math.unsorted_segment_sum(w * w, bag, bags)
    root = tf.sqrt(tf.where(squares == 0, 1.0, squares))
    divisors = {"sum": tf.ones_like(n), "mean": n, "sqrtn": root, "max": tf.ones_like(n)}
    divisor = tf.stack(
        [tf.reshape(divisors[pooling], [-1, fields])[:, f] for f, pooling in enumerate(poolings)], axis=1
    )
    factor = tf.math.divide_no_nan(1.0, divisor)
    pooled = tf.reshape(total, [-1, fields, table.shape[1]]) * factor[:, :, tf.newaxis]
    if "max" in poolings:
        is_max = tf.constant([pooling == "max" for pooling in poolings])
        of_max = tf.gather(is_max, bag % fields)
        values = tf.gather(wide, tf.boolean_mask(row, of_max))
        largest = tf.math.unsorted_segment_max(values, tf.boolean_mask(bag, of_max), bags)
        has_values = tf.math.unsorted_segment_sum(tf.ones_like(bag), bag, bags) > 0
        largest = tf.where(has_values[:, tf.newaxis], largest, 0.0)
        pooled = tf.where(is_max[:, tf.newaxis], tf.reshape(largest, tf.shape(pooled)), pooled)
    squares = None
    if squared_norms is not None:
        x = w * tf.gather(tf.reshape(factor, [-1]), bag)
        norms = tf.gather(squared_norms(wide, used), row)
        squares = tf.reshape(tf.math.unsorted_segment_sum(x * x * norms, bag, bags), [-1, fields])
    return pooled, rows, squares


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
