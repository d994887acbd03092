"""`field_values`: the values of all fields of a batch, from raw inputs; derived fields are computed from others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from ..errors import UserError
from ..spec import (
    MISSING_TIME,
    Age,
    CategoricalField,
    Cross,
    Match,
    MissingIndicator,
    MultivaluedField,
    NumericField,
    Ratio,
    Spec,
    TimePart,
    VectorField,
    Words,
)
from ..spec.inputs import in_order, read_fields, source_inputs, time_feature
from ..tensors import bags
from . import crosses, matches, texts, times

Inputs = Mapping[str, bags.TensorLike]


@dataclass(frozen=True)
class Values:
    """The values of fields, before tokens become ids and numbers are scaled.

    Attributes:
        tokens: Of categorical fields, string `[batch]`; the empty text where one is missing.
        lists: Of multivalued fields, ragged string `[batch, (values)]`; empty texts are no values.
        numbers: Of numeric fields, float32 `[batch]`; NaN where one is missing.
        vectors: Of vector fields, float32 `[batch, length]`; all NaN where one is missing.
        hashed: Of crosses with `hash_buckets` the ids, int64 `[batch]`, 0 where one is missing, or ragged int64
            `[batch, (values)]`; these fields have no tokens.
    """

    tokens: dict[str, tf.Tensor]
    lists: dict[str, tf.RaggedTensor]
    numbers: dict[str, tf.Tensor]
    vectors: dict[str, tf.Tensor]
    hashed: dict[str, bags.TensorLike]


def field_values(inputs: Inputs, spec: Spec) -> Values:
    """Returns the values of all fields of a spec.

    Args:
        inputs: Those of `preprocessing.raw_feature_spec`: dense, sparse or ragged.
        spec: The spec of the rows.

    Raises:
        UserError: an input for `list` is a text, which TensorFlow cannot parse.
    """
    values = Values({}, {}, {}, {}, {})
    for name, field in read_fields(spec).items():
        if isinstance(field, MultivaluedField):
            values.lists[name] = _list(name, inputs[name], field)
        elif isinstance(field, CategoricalField):
            values.tokens[name] = bags.single_values(bags.as_strings(inputs[name]), "")
        elif isinstance(field, VectorField):
            values.vectors[name] = _vector(inputs[name], field.shape[0])
        else:
            values.numbers[name] = _number(inputs[name])
        _change(values, name, spec)
    sources = _sources(inputs, spec)
    for name in in_order(spec):
        _derive(values, name, sources, spec)
        _change(values, name, spec)
    return values


def _list(name: str, values: bags.TensorLike, field: MultivaluedField) -> tf.RaggedTensor:
    if field.list and isinstance(values, tf.Tensor) and (values.shape.rank != 2 or values.shape[1] == 1):
        raise UserError(
            f"preprocessing_fn: expected lists in the input {name}, found one text per row, and TensorFlow cannot "
            f"parse `list: {field.list}`; parse the texts first, and pass a ragged or sparse tensor"
        )
    return bags.to_lists(bags.as_strings(values), field.separator, trim=field.trim)


def _number(values: bags.TensorLike) -> tf.Tensor:
    return tf.cast(bags.single_values(values, float("nan")), tf.float32)


def _vector(values: bags.TensorLike, length: int) -> tf.Tensor:
    """Returns the vectors, all NaN where one has a number that is not finite: it is missing, or wrong."""
    vectors = tf.cast(values.to_tensor() if isinstance(values, tf.RaggedTensor) else values, tf.float32)
    vectors = tf.ensure_shape(vectors, [None, length])
    is_present = tf.reduce_all(tf.math.is_finite(vectors), axis=1, keepdims=True)
    return tf.where(is_present, vectors, float("nan"))


def _sources(inputs: Inputs, spec: Spec) -> dict[str, tf.Tensor]:
    """Returns the inputs that only derived fields read, `[batch]`."""
    found: dict[str, tf.Tensor] = {}
    for name, source in source_inputs(spec).items():
        if source.form == "number":
            found[name] = _number(inputs[name])
        elif source.form == "time":
            found[name] = bags.single_values(inputs[name], MISSING_TIME)
        else:
            found[name] = bags.single_values(bags.as_strings(inputs[name]), "")
    return found


def _change(values: Values, name: str, spec: Spec) -> None:
    """Normalizes the tokens of a field, or limits its numbers."""
    field = spec.fields[name]
    if isinstance(field, NumericField):
        low, high = field.range or (None, None)
        x = values.numbers[name]
        x = x if low is None else tf.where(x < low, low, x)  # NaN stays.
        values.numbers[name] = x if high is None else tf.where(x > high, high, x)
    elif isinstance(field, VectorField):
        return
    elif name in values.lists:
        values.lists[name] = values.lists[name].with_flat_values(
            texts.normalized(values.lists[name].flat_values, field.normalize)
        )
    elif name in values.tokens:
        values.tokens[name] = texts.normalized(values.tokens[name], field.normalize)


def _derive(values: Values, name: str, sources: Mapping[str, tf.Tensor], spec: Spec) -> None:
    """Adds the values of a derived field; those of the fields that it reads are there."""
    derivation = spec.fields[name].derivation
    if isinstance(derivation, TimePart):
        values.tokens[name] = times.part_of_time(sources[time_feature(derivation.time)], derivation)
    elif isinstance(derivation, Age):
        earlier, later = (sources[time_feature(column)] for column in derivation.times())
        values.numbers[name] = times.time_between(earlier, later, derivation)
    elif isinstance(derivation, Ratio):
        a, b = (values.numbers[n] if n in values.numbers else sources[n] for n in derivation.ratio)
        values.numbers[name] = tf.where(tf.math.is_finite(a / b), a / b, float("nan"))
    elif isinstance(derivation, Words):
        text = values.tokens.get(derivation.text, sources.get(derivation.text))
        values.lists[name] = texts.words(text, derivation.ngrams)
    elif isinstance(derivation, MissingIndicator):
        values.numbers[name] = tf.cast(_is_missing(derivation.missing, values, spec), tf.float32)
    elif isinstance(derivation, Match):
        wanted, found_in = (crosses.present(_as_lists(values, source)) for source in derivation.match)
        values.numbers[name] = matches.matched(wanted, found_in, derivation)
    elif isinstance(derivation, Cross):
        _cross(values, name, derivation, spec)


def _cross(values: Values, name: str, derivation: Cross, spec: Spec) -> None:
    lists = [_as_lists(values, source) for source in derivation.cross]
    buckets = spec.vocabulary_settings_of(name).hash_buckets
    is_list = spec.fields[name].is_list
    if buckets is not None:
        ids = crosses.crossed_ids(lists, derivation.max_pairs, buckets, spec.vocabulary_of(name))
        values.hashed[name] = ids if is_list else bags.single_values(ids, tf.constant(0, tf.int64))
    elif is_list:
        values.lists[name] = crosses.crossed_tokens([crosses.present(bag) for bag in lists], derivation.max_pairs)
    else:
        values.tokens[name] = _crossed_tokens([values.tokens[source] for source in derivation.cross])


def _crossed_tokens(tokens: list[tf.Tensor]) -> tf.Tensor:
    """Returns the combination of each row, string `[batch]`; the text is that of `tf.ragged.cross`."""
    is_missing = tf.reduce_any(tf.equal(tf.stack(tokens), ""), axis=0)
    return tf.where(is_missing, "", tf.strings.join(tokens, "_X_"))


def _as_lists(values: Values, name: str) -> tf.RaggedTensor:
    """Returns the values of a field as lists, with empty texts."""
    if name in values.lists:
        return values.lists[name]
    tokens = values.tokens[name]
    return tf.RaggedTensor.from_uniform_row_length(tokens, tf.constant(1, tf.int64))


def _is_missing(name: str, values: Values, spec: Spec) -> tf.Tensor:
    if name in values.numbers:
        return tf.math.is_nan(values.numbers[name])
    if name in values.vectors:
        return tf.math.is_nan(values.vectors[name][:, 0])
    return tf.equal(numbers_of_tokens(name, values, spec), 0)


def numbers_of_tokens(name: str, values: Values, spec: Spec) -> tf.Tensor:
    """Returns the number of tokens of a field in each row, int64 `[batch]`, without empty ones.

    Those of a cross follow from the fields that it reads: no combination is computed.
    """
    derivation = spec.fields[name].derivation
    if isinstance(derivation, Cross):
        lists = [crosses.present(_as_lists(values, source)) for source in derivation.cross]
        return math.prod(crosses.kept_lengths(lists, derivation.max_pairs))
    if name in values.tokens:
        return tf.cast(tf.not_equal(values.tokens[name], ""), tf.int64)
    return crosses.present(values.lists[name]).row_lengths()
