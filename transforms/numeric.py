"""Numeric fields: fill missing numbers and scale, by statistics of the train split.

A missing number is NaN in `[batch]` float32. Every statistic is taken over the present values only.
"""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

from .numeric_statistics import Statistics
from .spec import NumericField, Quantiles


def scale(x: tf.Tensor, field: NumericField, statistics: Statistics) -> tf.Tensor:
    """Returns the scaled numbers, float32 `[batch]`, or the bucket ids, int64 `[batch]`.

    Bucket ids are 0 for a missing number and 1..quantiles otherwise. A field without spread scales to 0.

    Args:
        x: float32 `[batch]`; NaN where it is missing.
        field: `scale` and `missing`.
        statistics: of this field, from `packed_statistics`.
    """
    is_present = tf.math.is_finite(x)
    if isinstance(field.scale, Quantiles):
        ids = tft.apply_buckets(tf.where(is_present, x, 0.0), statistics.boundaries[tf.newaxis])
        return tf.where(is_present, ids + 1, tf.zeros_like(ids))

    filled = tf.where(is_present, x, _fill_value(field, statistics))
    if field.scale == "zscore":
        centred = tf.cast(filled, tf.float64) - statistics.mean
        return tf.cast(tf.math.divide_no_nan(centred, statistics.deviation), tf.float32)
    if field.scale == "minmax":
        low, high = tf.cast(statistics.low, tf.float32), tf.cast(statistics.high, tf.float32)
        return tf.clip_by_value(tf.math.divide_no_nan(filled - low, high - low), 0.0, 1.0)
    if field.scale == "log1p":
        return tf.sign(filled) * tf.math.log1p(tf.abs(filled))
    return filled


def _fill_value(field: NumericField, statistics: Statistics) -> tf.Tensor:
    if isinstance(field.missing, float):
        return tf.constant(field.missing, tf.float32)
    if field.missing == "reject":  # No row gets here; a serving request without the number reads as 0.
        return tf.constant(0.0)
    return tf.cast(statistics.mean, tf.float32)
