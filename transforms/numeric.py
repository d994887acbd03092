"""Numeric fields: fill missing numbers and scale, by statistics of the train split.

A missing number is NaN in `[batch]` float32. Every statistic is taken over the present values only.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_transform as tft

from .numeric_statistics import Statistics
from .spec import NumericField, Quantiles


def scale(
    numbers: Mapping[str, tf.Tensor], fields: Mapping[str, NumericField], statistics: Mapping[str, Statistics]
) -> dict[str, tf.Tensor]:
    """Returns the scaled numbers, float32 `[batch]`, or the bucket ids, int64 `[batch]`, of each field.

    Bucket ids are 0 for a missing number and 1..quantiles otherwise. A field without spread scales to 0.

    Args:
        numbers: float32 `[batch]`; NaN where it is missing.
        fields: `scale` and `missing` of each.
        statistics: from `packed_statistics`.
    """
    scaled: dict[str, tf.Tensor] = {}
    for kind in dict.fromkeys(field.scale for field in fields.values()):
        names = [name for name, field in fields.items() if field.scale == kind]
        if isinstance(kind, Quantiles):
            scaled |= {name: _bucket_ids(numbers[name], statistics[name]) for name in names}
        else:
            # All fields of a kind in one set of operations: [fields, batch].
            x = tf.stack([numbers[name] for name in names])
            means, deviations, lows, highs = (
                tf.stack([statistics[name][which] for name in names])[:, tf.newaxis] for which in range(4)
            )
            fills = tf.stack([_fill_value(fields[name], statistics[name]) for name in names])[:, tf.newaxis]
            filled = tf.where(tf.math.is_finite(x), x, fills)
            scaled |= dict(zip(names, tf.unstack(_scaled(filled, kind, means, deviations, lows, highs)), strict=True))
    return {name: scaled[name] for name in fields}


def _scaled(
    x: tf.Tensor, kind: str, means: tf.Tensor, deviations: tf.Tensor, lows: tf.Tensor, highs: tf.Tensor
) -> tf.Tensor:
    if kind == "zscore":
        return tf.cast(tf.math.divide_no_nan(tf.cast(x, tf.float64) - means, deviations), tf.float32)
    if kind == "minmax":
        lows, highs = tf.cast(lows, tf.float32), tf.cast(highs, tf.float32)
        return tf.clip_by_value(tf.math.divide_no_nan(x - lows, highs - lows), 0.0, 1.0)
    if kind == "log1p":
        return tf.sign(x) * tf.math.log1p(tf.abs(x))
    return x


def _fill_value(field: NumericField, statistics: Statistics) -> tf.Tensor:
    if isinstance(field.missing, float):
        return tf.constant(field.missing, tf.float32)
    if field.rejects_missing:  # No such row gets here; a serving request without the number reads as 0.
        return tf.constant(0.0)
    return tf.cast(statistics.mean, tf.float32)


def _bucket_ids(x: tf.Tensor, statistics: Statistics) -> tf.Tensor:
    is_present = tf.math.is_finite(x)
    ids = tft.apply_buckets(tf.where(is_present, x, 0.0), statistics.boundaries[tf.newaxis])
    return tf.where(is_present, ids + 1, tf.zeros_like(ids))
