"""`raw_feature_spec(spec)`: the `tf.Example` features of raw rows."""

from __future__ import annotations

from typing import TypeAlias

import tensorflow as tf

from ..spec import Spec, weights_feature
from ..spec.inputs import read_fields, source_inputs

RawFeature: TypeAlias = "tf.io.FixedLenFeature | tf.io.RaggedFeature"


def raw_feature_spec(spec: Spec, *, label: bool = True) -> dict[str, RawFeature]:
    """Returns the `tf.Example` features of a raw row, the inputs of `preprocessing_fn(spec)`.

    Single values and vectors are `FixedLenFeature` (a missing token is the empty string, a missing number NaN, a
    missing vector all NaN, a missing time `MISSING_TIME`), lists are `RaggedFeature`. A derived field has no feature;
    columns that only derived fields read have their own: `source_inputs`.

    Args:
        spec: The spec of the rows.
        label: Whether to include the label, its weight and the fields in `train_only`: training data have them, a
            serving request does not.
    """
    features: dict[str, RawFeature] = {}
    for name in spec.copied_columns:
        features[name] = tf.io.FixedLenFeature([], tf.string)
    if label:
        features |= {name: tf.io.FixedLenFeature([], tf.float32) for name in spec.label.features}
    for name, field in read_fields(spec).items():
        if name in spec.train_only and not label:
            continue
        if field.raw == "vector":
            features[name] = tf.io.FixedLenFeature(field.shape, tf.float32)
            continue
        dtype = tf.float32 if field.raw == "number" else tf.string
        features[name] = _ragged(dtype) if field.is_list else tf.io.FixedLenFeature([], dtype)
        if field.is_weighted:
            features[weights_feature(name)] = _ragged(tf.float32)
    dtypes = {"token": tf.string, "number": tf.float32, "time": tf.int64}
    for name, source in source_inputs(spec).items():
        features[name] = tf.io.FixedLenFeature([], dtypes[source.form])
    return features


def _ragged(dtype: tf.DType) -> tf.io.RaggedFeature:
    return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
