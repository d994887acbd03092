"""Numeric fields: fill in missing numbers, scale with statistics of the train split, then clip.

Numbers are float32 `[batch]`, NaN where one is missing. Statistics are computed without missing numbers. A finite
number never gives a feature that is infinite or NaN.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_transform as tft

from ..numeric_statistics import Statistics
from ..spec import Boundaries, NumericField, Quantiles
from ..spec.base import FLOAT32_MAX


def scale(
    numbers: Mapping[str, tf.Tensor], fields: Mapping[str, NumericField], statistics: Mapping[str, Statistics]
) -> dict[str, tf.Tensor]:
    """Returns the scaled numbers, float32 `[batch]`, or the bucket ids, int64 `[batch]`, of each field.

    Bucket ids are 0 for a missing number and 1..buckets otherwise. A field whose numbers are all equal is scaled to 0
    by zscore and minmax. minmax gives 0 below and 1 above the range of train.

    Args:
        numbers: For each field its numbers, float32 `[batch]`; NaN where one is missing.
        fields: The fields, with the settings `scale`, `missing` and `clip`.
        statistics: For each field its statistics, from `packed_statistics`.
    """
    scaled: dict[str, tf.Tensor] = {}
    for kind in dict.fromkeys(field.scale for field in fields.values()):
        names = [name for name, field in fields.items() if field.scale == kind]
        if isinstance(kind, Quantiles):
            scaled |= {name: _bucket_ids(numbers[name], statistics[name].boundaries) for name in names}
        elif isinstance(kind, Boundaries):
            scaled |= {name: _bucket_ids(numbers[name], tf.constant(kind.boundaries)) for name in names}
        else:
            # All fields with the same scale in one set of operations: [fields, batch].
            x = tf.stack([numbers[name] for name in names])
            means, stds, minima, maxima = (
                tf.stack([statistics[name][index] for name in names])[:, tf.newaxis] for index in range(4)
            )
            fills = tf.stack([_fill_value(fields[name], statistics[name]) for name in names])[:, tf.newaxis]
            filled = tf.where(tf.math.is_finite(x), x, fills)
            exact = _scaled(filled, kind, means, stds, minima, maxima)
            limits = tf.constant([fields[name].limit or FLOAT32_MAX for name in names], exact.dtype)[:, tf.newaxis]
            clipped = tf.cast(tf.clip_by_value(exact, -limits, limits), tf.float32)
            scaled |= dict(zip(names, tf.unstack(clipped), strict=True))
    return {name: scaled[name] for name in fields}


def _scaled(
    x: tf.Tensor, kind: str, means: tf.Tensor, stds: tf.Tensor, minima: tf.Tensor, maxima: tf.Tensor
) -> tf.Tensor:
    """Returns scaled numbers, float64 for zscore, which may exceed the range of float32, else float32."""
    if kind == "zscore":
        return tf.math.divide_no_nan(tf.cast(x, tf.float64) - means, stds)
    if kind == "minmax":
        minima, maxima = tf.cast(minima, tf.float32), tf.cast(maxima, tf.float32)
        # A range above the largest float32 is halved, together with the numbers: exact, and the ratio is the same.
        unit = tf.where(tf.math.is_finite(maxima - minima), 1.0, 0.5)
        differences, ranges = x * unit - minima * unit, maxima * unit - minima * unit
        return tf.clip_by_value(tf.math.divide_no_nan(differences, ranges), 0.0, 1.0)
    if kind == "log1p":
        return tf.sign(x) * tf.math.log1p(tf.abs(x))
    if kind == "sqrt":
        return tf.sign(x) * tf.sqrt(tf.abs(x))
    return x


def _fill_value(field: NumericField, statistics: Statistics) -> tf.Tensor:
    if isinstance(field.missing, float):
        return tf.constant(field.missing, tf.float32)
    if field.rejects_missing:  # Such rows are rejected, so this is for serving requests only.
        return tf.constant(0.0)
    return tf.cast(statistics.mean, tf.float32)


def _bucket_ids(x: tf.Tensor, boundaries: tf.Tensor) -> tf.Tensor:
    is_present = tf.math.is_finite(x)
    ids = tft.apply_buckets(tf.where(is_present, x, 0.0), boundaries[tf.newaxis])
    return tf.where(is_present, ids + 1, tf.zeros_like(ids))
