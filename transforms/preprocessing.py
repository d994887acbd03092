"""`preprocessing_fn(spec)`: the spec in TensorFlow Transform's words.

Raw inputs are named by field (not by raw column), plus `key` and `label`; outputs are what a trainer reads:
categorical int64 `[batch]`, multivalued int64 `[batch, max_len]` (0 is padding), weights float32 beside
them, numeric float32 `[batch]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

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
RawFeature: TypeAlias = "tf.io.FixedLenFeature | tf.io.RaggedFeature"


def raw_feature_spec(spec: Spec, *, label: bool = True) -> dict[str, RawFeature]:
    """Returns the `tf.Example` features of a raw row: what `preprocessing_fn(spec)` takes.

    Single values are `FixedLenFeature` (a missing token is the empty string, a missing number NaN), lists are
    `RaggedFeature`.

    Args:
        spec: Of the rows.
        label: Whether the label is one of them: in training data, not in a request.
    """
    features: dict[str, RawFeature] = {}
    if spec.key is not None:
        features[KEY_FEATURE] = tf.io.FixedLenFeature([], tf.string)
    if label:
        features[LABEL_FEATURE] = tf.io.FixedLenFeature([], tf.float32)
    for name, field in spec.fields.items():
        dtype = tf.float32 if field.raw == "number" else tf.string
        is_list = field.raw == "list"
        features[name] = _ragged(dtype) if is_list else tf.io.FixedLenFeature([], dtype)
        if field.is_weighted:
            features[weights_feature(name)] = _ragged(tf.float32)
    return features


def _ragged(dtype: tf.DType) -> tf.io.RaggedFeature:
    return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)


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

    categorical, multivalued = spec.fields_of(CategoricalField), spec.fields_of(MultivaluedField)
    singles = _single_tokens(inputs, categorical)
    lists = {n: bags.to_lists(bags.as_strings(inputs[n]), field.separator) for n, field in multivalued.items()}
    places = _places(lists, multivalued)
    seen = {name: _filled(bags.at_places(lists[name].flat_values, places[name]), multivalued[name]) for name in lists}

    settings = spec.resolved_vocabularies()
    tokens = singles | {name: bag.flat_values for name, bag in seen.items()}
    by_vocabulary = {v: [tokens[field] for field in fields] for v, fields in spec.vocabulary_fields().items()}
    paths = packed_vocabularies(by_vocabulary, settings) if by_vocabulary else {}

    def ids_of(field: str, values: tf.Tensor) -> tf.Tensor:
        vocabulary = spec.vocabulary_of(field)
        return lookup(values, paths[vocabulary], settings[vocabulary].num_oov)

    if singles:
        ids = tf.stack([ids_of(name, values) for name, values in singles.items()])
        is_missing = tf.stack([tf.equal(values, "") for values in singles.values()])
        missing_ids = tf.constant([int(field.missing == "oov") for field in categorical.values()], tf.int64)
        ids = tf.where(is_missing, missing_ids[:, tf.newaxis], ids)
        outputs.update(zip(singles, tf.unstack(ids), strict=True))
    for name, field in multivalued.items():
        max_len = int(field.max_len)
        # Ids are cut, not the texts they stand for: a text costs five times what an id does to move.
        bag = bags.at_places(ids_of(name, lists[name].flat_values), places[name])
        if isinstance(field.empty, TokenPolicy):
            bag = bags.fill_empty(bag, ids_of(name, tf.constant([field.empty.token]))[0])
        outputs[name] = bags.pad(bag, max_len)
        if field.weights:
            weights = bags.to_lists(inputs[weights_feature(name)])
            weights = bags.at_places(bags.same_lengths(lists[name], weights).flat_values, places[name])
            if isinstance(field.empty, TokenPolicy):
                weights = bags.fill_empty(weights, 1.0)
            outputs[weights_feature(name)] = bags.pad(weights, max_len)

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


def _places(lists: Mapping[str, tf.RaggedTensor], fields: Mapping[str, MultivaluedField]) -> dict[str, tf.RaggedTensor]:
    """Returns where the values of each row that the model sees stand in each field's lists."""
    if not fields:
        return {}
    max_lens = [int(field.max_len) for field in fields.values()]
    keeps = [field.keep for field in fields.values()]
    return dict(zip(fields, bags.places_seen(list(lists.values()), max_lens, keeps), strict=True))


def _filled(bag: tf.RaggedTensor, field: MultivaluedField) -> tf.RaggedTensor:
    return bags.fill_empty(bag, field.empty.token) if isinstance(field.empty, TokenPolicy) else bag
