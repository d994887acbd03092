"""`preprocessing_fn(spec)`: the preprocessing of a spec with TensorFlow Transform.

Raw inputs are named by field (not by raw column), plus key, carried columns, `label` and `label_weight`. Outputs are
the features of examples: key and carried columns string `[batch]`, the label and its weight float32 `[batch]`,
categorical int64 `[batch]`, multivalued int64 `[batch, max_len]` (0 is padding), their weights float32
`[batch, max_len]`, numeric float32 `[batch]`, or int64 `[batch]` in buckets, vectors float32 `[batch, length]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import tensorflow as tf

from .errors import UserError
from .known import Known
from .numeric_statistics import packed_statistics, unpacked
from .spec import (
    KEY_FEATURE,
    LABEL_FEATURE,
    CategoricalField,
    MultivaluedField,
    NumericField,
    Spec,
    VectorField,
    weights_feature,
)
from .spec.inputs import read_fields, source_inputs, vector_files
from .tensors import bags, numeric
from .values.field_values import Inputs, Values, field_values
from .values.raw_features import RawFeature as RawFeature
from .values.raw_features import raw_feature_spec as raw_feature_spec
from .vocabulary import Lookups, asset, packed_vocabularies

Outputs = dict[str, tf.Tensor]
# From the name of a field and tokens of it to their ids, int64, in the shape of the tokens.
IdsOf: TypeAlias = Callable[[str, tf.Tensor], tf.Tensor]


def preprocessing_fn(
    spec: Spec, *, counts_folder: str | None = None, known: Known | None = None
) -> Callable[[Inputs], Outputs]:
    """Returns the `preprocessing_fn` of a spec, for `tft_beam.AnalyzeDataset` and similar.

    It can be pickled and sent to workers. Its inputs have the names of `raw_feature_spec`; key, carried columns,
    `label` and `label_weight` are optional. They may be dense, sparse or ragged; dense text of a multivalued field is
    split at the field's separator. Texts in the syntax of JSON or Python (`list`) must be parsed before.
    When it is traced, it raises a `UserError` that names the missing inputs.

    Args:
        spec: The spec of the rows, with a number for each `max_len`.
        counts_folder: See `packed_vocabularies`.
        known: The vocabularies and statistics, if they are known: the function then has no analyzers. Default None:
            TensorFlow Transform computes them from the rows that it analyzes.

    Raises:
        ValueError: `known` does not match the spec, or a `max_len` is `auto` or a percentile: the width of a feature
            must be known when the graph is built. `fieldpool transform` resolves it; other pipelines must set a number.
            Or there is a vocabulary with `vectors`, but no `known`.
    """
    for name, field in spec.fields_of(MultivaluedField).items():
        if not isinstance(field.max_len, int):
            raise ValueError(
                f"fields.{name}.max_len: expected a number, found {field.max_len!r}; set one, or use the spec of a run"
            )
    for name, of_vectors in spec.fields_of(VectorField).items():
        if not isinstance(of_vectors.length, int):
            raise ValueError(f"fields.{name}.length: expected a number, found 'auto'; the spec of a run has one")
    if known is not None:
        known.check(spec)
    elif names := ", ".join(vector_files(spec)):
        raise ValueError(f"vectors of {names}: expected `known`, found none; use `fieldpool transform` instead")
    return partial(_preprocess, spec=spec, counts_folder=counts_folder, known=known)


def _preprocess(inputs: Inputs, *, spec: Spec, counts_folder: str | None, known: Known | None) -> Outputs:
    _check_names(inputs, spec)
    values = field_values(inputs, spec)
    categorical = spec.fields_of(CategoricalField)
    multivalued = {name: field for name, field in spec.fields_of(MultivaluedField).items() if name in values.lists}
    tokens, lists = _tokens(values, categorical), values.lists
    kept = _kept_positions(lists, multivalued)
    # One analyzer counts the tokens of all fields, so all tokens are computed before any id.
    if known is None:
        paths = _counted(tokens | _kept_tokens(lists, kept, multivalued), values, spec, counts_folder)
    else:
        paths = {vocabulary: asset(known.vocabularies[vocabulary]) for vocabulary in spec.vocabulary_fields()}
    ids_of = _lookups(paths, spec, known)
    return {
        **_copied_and_label(inputs, spec),
        **_categorical(tokens, categorical, ids_of),
        **_multivalued(lists, kept, multivalued, ids_of),
        **_weights(inputs, lists, kept, multivalued),
        **_hashed(values, spec, ids_of),
        **_numeric(values.numbers, spec.fields_of(NumericField), known),
        **_vectors(values.vectors),
    }


def _check_names(inputs: Inputs, spec: Spec) -> None:
    """Checks that there is an input for each field that is not derived, and for each source of derived ones.

    A key, a carried column or the label under the name of its raw column is an error, too.

    Raises:
        UserError: an input is missing.
    """
    optional = {**spec.copied_columns, **dict(zip(spec.label.features, spec.label.columns, strict=True))}
    columns: dict[str, str | None] = dict(optional)
    columns |= {name: source.column for name, source in source_inputs(spec).items()}
    for name, field in read_fields(spec).items():
        columns[name] = spec.column_of(name)
        if isinstance(field, MultivaluedField) and field.weights is not None:
            columns[weights_feature(name)] = field.weights
    absent = {feature: column for feature, column in columns.items() if feature not in inputs}
    to_rename = {feature: column for feature, column in absent.items() if column in inputs and column not in columns}
    missing = [feature for feature in absent if feature in to_rename or feature not in optional]
    if missing:
        hints = "".join(f"; rename the raw column {column} to {feature}" for feature, column in to_rename.items())
        key = ", ".join(spec.key_columns or [KEY_FEATURE])
        raise UserError(
            f"preprocessing_fn: missing inputs: {', '.join(missing)}; found: {', '.join(inputs) or 'none'}. Inputs are "
            f"named by field ({key} and {LABEL_FEATURE} for the key and the label){hints}"
        )


def _tokens(values: Values, fields: Mapping[str, CategoricalField]) -> dict[str, tf.Tensor]:
    """Returns the tokens of each field that has some, string `[batch]`; the empty string where one is missing."""
    tokens = {name: values.tokens[name] for name in fields if name in values.tokens}
    for name in tokens:
        if fields[name].absent_token is not None:
            tokens[name] = tf.where(tf.equal(tokens[name], ""), fields[name].absent_token, tokens[name])
    return tokens


def _kept_positions(lists: Mapping[str, tf.RaggedTensor], fields: Mapping[str, MultivaluedField]) -> bags.Kept | None:
    """Returns the positions, in the flat values of all lists, of the values that the model sees; None without lists."""
    if not fields:
        return None
    max_lens = [field.shape[0] for field in fields.values()]
    keeps = [field.keep for field in fields.values()]
    return bags.kept_positions([lists[name] for name in fields], max_lens, keeps)


def _kept_tokens(
    lists: Mapping[str, tf.RaggedTensor], kept: bags.Kept | None, fields: Mapping[str, MultivaluedField]
) -> dict[str, tf.Tensor]:
    """Returns the tokens of each field that the model sees, `[values]`; its vocabulary counts these."""
    if kept is None:
        return {}
    seen = {n: bags.take(lists[n].flat_values, at) for n, at in zip(fields, kept.by_field(), strict=True)}
    for name, field in fields.items():
        if field.absent_token is not None:
            seen[name] = bags.fill_empty(seen[name], field.absent_token)
    return {name: bag.flat_values for name, bag in seen.items()}


def _counted(
    tokens: Mapping[str, tf.Tensor], values: Values, spec: Spec, counts_folder: str | None
) -> dict[str, tf.Tensor]:
    """Counts the tokens of all fields in one analyzer, and returns the path of each vocabulary."""
    if not spec.vocabulary_fields():
        return {}
    settings = spec.resolved_vocabularies()
    # Hashed tokens are not counted, but the vocabulary has a file like any other: an empty one.
    hashed = {name: tf.strings.as_string(bags.flat(ids)) for name, ids in values.hashed.items()}
    by_vocabulary = {
        vocabulary: [
            tokens[name] if settings[vocabulary].hash_buckets is None else {**tokens, **hashed}[name][:0]
            for name in fields
        ]
        for vocabulary, fields in spec.vocabulary_fields().items()
    }
    return packed_vocabularies(by_vocabulary, settings, counts_folder=counts_folder)


def _lookups(paths: Mapping[str, tf.Tensor], spec: Spec, known: Known | None) -> IdsOf:
    """Returns the function that looks up the ids of a field's tokens."""
    lookups = Lookups(paths, spec.resolved_vocabularies(), known.retired if known is not None else None)
    return lambda field, values: lookups.ids(spec.vocabulary_of(field), values)


def _copied_and_label(inputs: Inputs, spec: Spec) -> Outputs:
    """Returns key and carried columns, string `[batch]`, label and weight, float32 `[batch]`, if they are inputs."""
    names = dict.fromkeys([KEY_FEATURE, *spec.copied_columns])
    outputs = {name: bags.single_values(bags.as_strings(inputs[name]), "") for name in names if name in inputs}
    for name in spec.label.features:
        if name in inputs:
            outputs[name] = tf.cast(bags.single_values(inputs[name], 0.0), tf.float32)
    return outputs


def _categorical(tokens: Mapping[str, tf.Tensor], fields: Mapping[str, CategoricalField], ids_of: IdsOf) -> Outputs:
    """Returns the ids of each field, int64 `[batch]`; a missing token has id 0, with `missing: oov` 1."""
    if not tokens:
        return {}
    # All fields in one set of operations: [fields, batch].
    ids = tf.stack([ids_of(name, values) for name, values in tokens.items()])
    empty = tf.constant("")
    is_missing = tf.stack([tf.equal(values, empty) for values in tokens.values()])
    missing_ids = tf.constant([int(fields[name].missing == "oov") for name in tokens], tf.int64)
    ids = tf.where(is_missing, missing_ids[:, tf.newaxis], ids)
    return dict(zip(tokens, tf.unstack(ids), strict=True))


def _multivalued(
    lists: Mapping[str, tf.RaggedTensor],
    kept: bags.Kept | None,
    fields: Mapping[str, MultivaluedField],
    ids_of: IdsOf,
) -> Outputs:
    """Returns the ids of each field's values, int64 `[batch, max_len]`, padded with 0."""
    if kept is None:
        return {}
    # Truncate ids instead of tokens: moving a string costs five times as much as moving an id.
    ids = [ids_of(name, lists[name].flat_values) for name in fields]
    absent = {name: field.absent_token for name, field in fields.items()}
    fills = [None if token is None else ids_of(name, tf.constant([token]))[0] for name, token in absent.items()]
    return dict(zip(fields, kept.padded(ids, fills), strict=True))


def _hashed(values: Values, spec: Spec, ids_of: IdsOf) -> Outputs:
    """Returns the ids of crosses with `hash_buckets`, int64 `[batch]` or `[batch, max_len]`."""
    outputs: Outputs = {}
    for name, ids in values.hashed.items():
        field = spec.fields[name]
        absent = 0 if field.absent_token is None else ids_of(name, tf.constant([field.absent_token]))[0]
        if isinstance(field, MultivaluedField):
            assert isinstance(ids, tf.RaggedTensor)
            bag = ids[:, : field.shape[0]] if field.keep == "first" else ids[:, -field.shape[0] :]
            outputs[name] = bags.pad(
                bag if field.absent_token is None else bags.fill_empty(bag, absent), field.shape[0]
            )
        else:
            absent = 1 if isinstance(field, CategoricalField) and field.missing == "oov" else absent
            outputs[name] = tf.where(tf.equal(ids, 0), tf.cast(absent, tf.int64), ids)
    return outputs


def _weights(
    inputs: Inputs,
    lists: Mapping[str, tf.RaggedTensor],
    kept: bags.Kept | None,
    fields: Mapping[str, MultivaluedField],
) -> Outputs:
    """Returns the weights of the values of each weighted field, float32 `[batch, max_len]`, padded with 0."""
    outputs: Outputs = {}
    if kept is None or not any(field.is_weighted for field in fields.values()):
        return outputs
    for (name, field), positions in zip(fields.items(), kept.by_field(), strict=True):
        if field.is_weighted:
            given = bags.same_lengths(lists[name], bags.to_lists(inputs[weights_feature(name)]))
            weights = bags.take(given.flat_values, positions)
            if field.absent_token is not None:
                weights = bags.fill_empty(weights, 1.0)
            outputs[weights_feature(name)] = bags.pad(weights, field.shape[0])
    return outputs


def _numeric(numbers: Mapping[str, tf.Tensor], fields: Mapping[str, NumericField], known: Known | None) -> Outputs:
    """Returns each field's scaled numbers, float32 `[batch]`, or bucket ids, int64 `[batch]`."""
    if not fields:
        return {}
    numbers = {name: numbers[name] for name in fields}  # In the order of the spec.
    buckets = {name: field.quantiles for name, field in fields.items() if field.quantiles is not None}
    if known is None:
        return numeric.scale(numbers, fields, packed_statistics(numbers, buckets))
    with tf.init_scope():  # As after an analysis: one constant of the graph, which `runs.identity` reads.
        packed = tf.constant(known.statistics, tf.float64)
    return numeric.scale(numbers, fields, unpacked(packed, list(numbers), buckets))


def _vectors(vectors: Mapping[str, tf.Tensor]) -> Outputs:
    """Returns each field's vectors, float32 `[batch, length]`; zeros where one is missing."""
    return {name: tf.where(tf.math.is_nan(values), 0.0, values) for name, values in vectors.items()}
