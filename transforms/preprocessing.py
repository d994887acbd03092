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

    Single values are `FixedLenFeature` (a missing token is the empty string, a missing number NaN), lists are
    `RaggedFeature`; `key` and `label` are there in training data alone.
    """
    features: dict[str, object] = {}
    if spec.key is not None:
        features[KEY_FEATURE] = tf.io.FixedLenFeature([], tf.string)
    features[LABEL_FEATURE] = tf.io.FixedLenFeature([], tf.float32)
    for name, field in spec.fields.items():
        if isinstance(field, NumericField):
            features[name] = tf.io.FixedLenFeature([], tf.float32)
        elif isinstance(field, CategoricalField):
            features[name] = tf.io.FixedLenFeature([], tf.string)
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

    categorical = spec.fields_of(CategoricalField)
    singles = _single_tokens(inputs, categorical)
    multivalued = spec.fields_of(MultivaluedField)
    lists, weights = _bags(inputs, multivalued)
    tokens = {**singles, **{name: bag.flat_values for name, bag in lists.items()}}
    settings = spec.resolved_vocabularies()
    by_vocabulary = {v: [tokens[field] for field in fields] for v, fields in spec.vocabulary_fields().items()}
    paths = packed_vocabularies(by_vocabulary, settings) if by_vocabulary else {}

    def ids_of(field: str) -> tf.Tensor:
        vocabulary = spec.vocabulary_of(field)
        return lookup(tokens[field], paths[vocabulary], settings[vocabulary].num_oov)

    if singles:
        missing = [1 if field.missing == "oov" else 0 for field in categorical.values()]
        is_missing = tf.equal(tf.stack(list(singles.values())), "")
        ids = tf.stack([ids_of(name) for name in singles])
        ids = tf.where(is_missing, tf.constant(missing, tf.int64)[:, tf.newaxis], ids)
        outputs.update(zip(singles, tf.unstack(ids), strict=True))
    for name, bag in lists.items():
        max_len = int(multivalued[name].max_len)
        outputs[name] = bags.pad(bag.with_flat_values(ids_of(name)), max_len)
        if name in weights:
            outputs[weights_feature(name)] = bags.pad(weights[name], max_len)

    numeric_fields = spec.fields_of(NumericField)
    if numeric_fields:
        numbers = {n: tf.cast(bags.single_values(inputs[n], float("nan")), tf.float32) for n in numeric_fields}
        buckets = {n: f.scale.quantiles for n, f in numeric_fields.items() if isinstance(f.scale, Quantiles)}
        outputs.update(numeric.scale(numbers, numeric_fields, packed_statistics(numbers, buckets)))
    return outputs


def _single_tokens(inputs: Inputs, fields: Mapping[str, CategoricalField]) -> dict[str, tf.Tensor]:
    """Returns one token a row of each field, `[batch]`; the empty string where it is missing."""
    tokens = {name: bags.single_values(bags.as_strings(inputs[name]), "") for name in fields}
    for name, field in fields.items():
        if isinstance(field.missing, TokenPolicy):
            tokens[name] = tf.where(tf.equal(tokens[name], ""), field.missing.token, tokens[name])
    return tokens


def _bags(
    inputs: Inputs, fields: Mapping[str, MultivaluedField]
) -> tuple[dict[str, tf.RaggedTensor], dict[str, tf.RaggedTensor]]:
    """Returns the values of each row that the model sees, and their weights where a field has some."""
    if not fields:
        return {}, {}
    whole = {name: bags.to_lists(bags.as_strings(inputs[name]), field.separator) for name, field in fields.items()}
    max_lens = [int(field.max_len) for field in fields.values()]
    cut, places = bags.values_seen(list(whole.values()), max_lens, [field.keep for field in fields.values()])
    seen = dict(zip(fields, cut, strict=True))
    weights = {
        name: bags.weights_seen(whole[name], bags.to_lists(inputs[weights_feature(name)]), seen[name], place)
        for (name, field), place in zip(fields.items(), places, strict=True)
        if field.weights
    }
    for name, field in fields.items():
        if isinstance(field.empty, TokenPolicy):
            seen[name] = bags.fill_empty(seen[name], field.empty.token)
            if name in weights:
                weights[name] = bags.fill_empty(weights[name], 1.0)
    return seen, weights
