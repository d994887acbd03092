"""Numeric fields: fill missing numbers and scale, by statistics of the train split (TFT analyzers).

A missing number is NaN in `[batch]` float32. Every statistic is taken over the present values only.
"""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

from .spec import NumericField, Quantiles

# tft.quantiles' error is relative to the rank: a tenth of a bucket keeps buckets near equal size.
_BUCKET_ERROR = 0.1


def scale(x: tf.Tensor, field: NumericField) -> tf.Tensor:
    """Returns the scaled numbers, float32 `[batch]`, or the bucket ids, int64 `[batch]`.

    Bucket ids are 0 for a missing number and 1..quantiles otherwise. A field without spread scales to 0.
    """
    x = tf.cast(x, tf.float32)
    is_present = tf.math.is_finite(x)
    present = tf.boolean_mask(x, is_present)
    if isinstance(field.scale, Quantiles):
        return _bucket_ids(x, is_present, present, field.scale.quantiles)

    filled = tf.where(is_present, x, _fill_value(present, field))
    if field.scale == "zscore":
        mean = tft.mean(tf.cast(present, tf.float64))
        deviation = tf.sqrt(tft.var(tf.cast(present, tf.float64)))
        centred = tf.cast(filled, tf.float64) - mean
        return tf.cast(tf.math.divide_no_nan(centred, deviation), tf.float32)
    if field.scale == "minmax":
        low, high = tft.min(present), tft.max(present)
        return tf.clip_by_value(tf.math.divide_no_nan(filled - low, high - low), 0.0, 1.0)
    if field.scale == "log1p":
        return tf.sign(filled) * tf.math.log1p(tf.abs(filled))
    return filled


def _fill_value(present: tf.Tensor, field: NumericField) -> tf.Tensor:
    if isinstance(field.missing, float):
        return tf.constant(field.missing, tf.float32)
    if field.missing == "reject":  # No row gets here; a serving request without the number reads as 0.
        return tf.constant(0.0)
    mean = tf.cast(tft.mean(tf.cast(present, tf.float64)), tf.float32)
    return tf.where(tf.math.is_finite(mean), mean, 0.0)


def _bucket_ids(x: tf.Tensor, is_present: tf.Tensor, present: tf.Tensor, buckets: int) -> tf.Tensor:
    boundaries = tft.quantiles(present, buckets, epsilon=min(0.01, _BUCKET_ERROR / buckets))
    ids = tft.apply_buckets(tf.where(is_present, x, 0.0), boundaries)
    return tf.where(is_present, ids + 1, tf.zeros_like(ids))
