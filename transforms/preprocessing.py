"""`preprocessing_fn(spec)`: the spec in TensorFlow Transform's words.

Raw inputs are named by field (not by raw column), plus `key` and `label`; outputs are what a trainer reads:
categorical int64 `[batch]`, multivalued int64 `[batch, max_len]` (0 is padding), weights float32 beside
them, numeric float32 `[batch]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import tensorflow as tf

from . import bags, numeric
from .numeric_statistics import packed_statistics
from .spec import (
    KEY_FEATURE,
    LABEL_FEATURE,
    CategoricalField,
    MultivaluedField,
    NumericField,
    Quantiles,
    Spec,
    TokenPolicy,
    weights_feature,
)
from .vocabulary import lookup, packed_vocabularies

Inputs = Mapping[str, bags.TensorLike]
Outputs = dict[str, tf.Tensor]


def raw_feature_spec(spec: Spec) -> dict[str, object]:
    """Returns the `tf.Example` features of a raw row: what `preprocessing_fn(spec)` takes.

    Single values are `VarLenFeature` (absent = missing), lists are `RaggedFeature`; `key` and `label`
    are there in training data alone.
    """
    features: dict[str, object] = {}
    if spec.key is not None:
        features[KEY_FEATURE] = tf.io.FixedLenFeature([], tf.string)
    features[LABEL_FEATURE] = tf.io.FixedLenFeature([], tf.float32)
    for name, field in spec.fields.items():
        if isinstance(field, NumericField):
            features[name] = tf.io.VarLenFeature(tf.float32)
        elif isinstance(field, CategoricalField):
            features[name] = tf.io.VarLenFeature(tf.string)
        else:
            features[name] = tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64)
            if field.weights:
                features[weights_feature(name)] = tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)
    return features


def preprocessing_fn(spec: Spec) -> Callable[[Inputs], Outputs]:
    """Returns the `preprocessing_fn` of a spec, for `tft_beam.AnalyzeDataset` and its kin.

    It pickles, so it can be sent to workers. Fields may be dense, sparse or ragged; dense text of a
    multi-valued field is split at its separator.

    Raises:
        ValueError: if a `max_len` is still `auto` or a percentile: the width of a feature must be known
            when the graph is built. `fieldpool.pipeline` fills it in; by hand, give a number.
    """
    for name, field in spec.fields.items():
        if isinstance(field, MultivaluedField) and not isinstance(field.max_len, int):
            raise ValueError(f"fields.{name}.max_len: expected a number here, found {field.max_len!r}")
    return partial(_preprocess, spec=spec)


def _preprocess(inputs: Inputs, *, spec: Spec) -> Outputs:
    outputs: Outputs = {}
    if KEY_FEATURE in inputs:
        outputs[KEY_FEATURE] = bags.single_values(bags.as_strings(inputs[KEY_FEATURE]), "")
    if LABEL_FEATURE in inputs:
        outputs[LABEL_FEATURE] = tf.cast(bags.single_values(inputs[LABEL_FEATURE], 0.0), tf.float32)

    tokens: dict[str, tf.Tensor | tf.RaggedTensor] = {}
    weights: dict[str, tf.RaggedTensor] = {}
    for name, field in spec.fields.items():
        if isinstance(field, CategoricalField):
            tokens[name] = _single_token(inputs[name], field)
        elif isinstance(field, MultivaluedField):
            raw_weights = inputs[weights_feature(name)] if field.weights else None
            tokens[name], bag_weights = _bag(inputs[name], raw_weights, field)
            if bag_weights is not None:
                weights[name] = bag_weights

    settings = spec.resolved_vocabularies()
    by_vocabulary = {v: [tokens[f] for f in fields] for v, fields in spec.vocabulary_fields().items()}
    paths = packed_vocabularies(by_vocabulary, settings) if by_vocabulary else {}

    numeric_fields = {name: field for name, field in spec.fields.items() if isinstance(field, NumericField)}
    if numeric_fields:
        numbers = {n: tf.cast(bags.single_values(inputs[n], float("nan")), tf.float32) for n in numeric_fields}
        buckets = {n: f.scale.quantiles for n, f in numeric_fields.items() if isinstance(f.scale, Quantiles)}
        statistics = packed_statistics(numbers, buckets)
        for name, field in numeric_fields.items():
            outputs[name] = numeric.scale(numbers[name], field, statistics[name])

    for name, field in spec.fields.items():
        if isinstance(field, NumericField):
            continue
        vocabulary = spec.vocabulary_of(name)
        ids = lookup(tokens[name], paths[vocabulary], settings[vocabulary].num_oov)
        if isinstance(field, CategoricalField):
            missing_id = tf.constant(1 if field.missing == "oov" else 0, tf.int64)
            outputs[name] = tf.where(tf.equal(tokens[name], ""), missing_id, ids)
        else:
            assert isinstance(field.max_len, int)
            outputs[name] = bags.pad(ids, field.max_len)
            if name in weights:
                outputs[weights_feature(name)] = bags.pad(weights[name], field.max_len)
    return outputs


def _single_token(x: bags.TensorLike, field: CategoricalField) -> tf.Tensor:
    """Returns one token a row, `[batch]`; the empty string where it is missing."""
    token = bags.single_values(bags.as_strings(x), "")
    if isinstance(field.missing, TokenPolicy):
        return tf.where(tf.equal(token, ""), field.missing.token, token)
    return token


def _bag(
    x: bags.TensorLike, raw_weights: bags.TensorLike | None, field: MultivaluedField
) -> tuple[tf.RaggedTensor, tf.RaggedTensor | None]:
    """Returns the values of each row that the model sees, and their weights."""
    assert isinstance(field.max_len, int)
    bag = bags.to_lists(bags.as_strings(x), field.separator)
    weights = None if raw_weights is None else bags.to_lists(raw_weights)
    bag, weights = bags.values_seen(bag, field.max_len, field.keep, weights)
    if isinstance(field.empty, TokenPolicy):
        bag = bags.fill_empty(bag, field.empty.token)
        weights = None if weights is None else bags.fill_empty(weights, 1.0)
    return bag, weights
