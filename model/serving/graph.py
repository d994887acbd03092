"""The graph of an exported model, from raw rows to probabilities: its signatures and methods."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from ...transforms.preprocessing import raw_feature_spec
from ...transforms.spec import MISSING_TIME, Spec, constants_of, weights_feature

PROBABILITY = "probability"

EXAMPLES_SIGNATURE = "serving_default"
RAW_SIGNATURE = "raw"
IDS_SIGNATURE = "ids"

# Outputs of the method `predict_and_count`.
IDS_SEEN, OOV_IDS = "ids_seen", "oov_ids"

Features = Mapping[str, Any]


def serving_module(spec: Spec, transform: Any, model: keras.Model) -> tuple[tf.Module, dict[str, Callable[..., Any]]]:
    """Returns the module and the signatures of the graph from raw rows to probabilities.

    Args:
        spec: The spec of the run.
        transform: The run's transform, a loaded SavedModel.
        model: The trained model.
    """
    module = tf.Module()
    # The functions capture these; a SavedModel contains only attributes of its module.
    module.transform = transform
    module.weights = [variable.value for variable in model.variables]

    def ids(raw: Features) -> dict[str, tf.Tensor]:
        return transformed(transform.transform_fn, raw, spec)

    def predict_and_count(raw: Features) -> dict[str, tf.Tensor]:
        features = ids(raw)
        return {**probabilities(model, features, spec), **_id_counts(features, spec)}

    def predict(raw: Features) -> dict[str, tf.Tensor]:
        # Calls the function, whose graph is then saved once; TensorFlow does not compute counts that are not used.
        outputs = module.predict_and_count(raw)
        return {name: outputs[name] for name in (PROBABILITY, *spec.copied_columns)}

    module.predict_and_count = tf.function(predict_and_count, input_signature=[_ragged_signature(spec)])
    module.predict = tf.function(predict, input_signature=[_ragged_signature(spec)])
    examples_signature = [tf.TensorSpec([None], tf.string, name="examples")]
    dense = dense_signature(spec)
    lists = [name for name, of in serving_feature_spec(spec).items() if not isinstance(of, tf.io.FixedLenFeature)]

    def predict_dense(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        named = zip(dense, tensors, strict=True)
        return predict({name: ragged(tensor) if name in lists else tensor for name, tensor in named})

    return module, {
        EXAMPLES_SIGNATURE: tf.function(lambda examples: predict(_parsed(examples, spec)), examples_signature),
        RAW_SIGNATURE: tf.function(predict_dense, list(dense.values())),
        IDS_SIGNATURE: tf.function(lambda examples: ids(_parsed(examples, spec)), examples_signature),
    }


def probabilities(model: keras.Model, features: Features, spec: Spec) -> dict[str, tf.Tensor]:
    """Returns the probabilities of rows, float32 `[batch]`, with their columns of the key and of `carry`."""
    logit = tf.squeeze(tf.cast(model(features, training=False), tf.float32), axis=1)
    return {PROBABILITY: tf.sigmoid(logit), **{name: features[name] for name in spec.copied_columns}}


def _id_counts(features: dict[str, tf.Tensor], spec: Spec) -> dict[str, tf.Tensor]:
    """Returns the numbers of ids and of OOV ids, int64 `[fields]` each, of the fields with a vocabulary."""
    names = [name for name, field in spec.fields.items() if field.has_vocabulary]
    is_oov = [spec.vocabulary_settings_of(name).is_oov(features[name]) for name in names]
    seen = [tf.math.count_nonzero(features[name]) for name in names]
    none = tf.zeros([0], tf.int64)
    return {
        IDS_SEEN: tf.stack(seen) if names else none,
        OOV_IDS: tf.stack([tf.math.count_nonzero(each) for each in is_oov]) if names else none,
    }


def serving_feature_spec(spec: Spec) -> dict[str, Any]:
    """Returns the `tf.Example` features of a request, all of them optional.

    They are those of a raw row without the label, its weight and the fields in `train_only`.
    """
    missing = {tf.string: "", tf.float32: float("nan"), tf.int64: MISSING_TIME}
    return {
        name: tf.io.FixedLenFeature(
            feature.shape, feature.dtype, default_value=_all(missing[feature.dtype], feature.shape)
        )
        if isinstance(feature, tf.io.FixedLenFeature)
        else feature
        for name, feature in raw_feature_spec(spec, label=False).items()
    }


def transformed(transform_fn: Callable[..., Features], raw: Features, spec: Spec) -> dict[str, tf.Tensor]:
    """Returns the outputs of the run's transform without the label and its weight.

    A request has neither, but the transform was traced with them and needs all of its inputs, so zeros are used. For
    the fields in `train_only` these are their constants.
    """
    absent, rows = spec.label.features, count_rows(raw)
    zeros = dict.fromkeys(absent, tf.zeros([rows]))
    features = dict(transform_fn({**raw, **zeros, **_constants(spec, rows)}))
    return {name: feature for name, feature in features.items() if name not in absent}


def _constants(spec: Spec, batch_size: tf.Tensor) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    """Returns the constants of the fields in `train_only` for each row; the values of lists have weight 1."""
    found: dict[str, tf.Tensor | tf.RaggedTensor] = {}
    for name, constant in constants_of(spec).items():
        if not isinstance(constant, list):
            dtype = tf.float32 if isinstance(constant, float) else tf.string
            found[name] = tf.fill([batch_size], tf.constant(constant, dtype))
            continue
        splits = len(constant) * tf.range(tf.cast(batch_size, tf.int64) + 1)
        values = tf.tile(tf.constant(constant, tf.string), [batch_size])
        found[name] = tf.RaggedTensor.from_row_splits(values, splits, validate=False)
        if spec.fields[name].is_weighted:
            found[weights_feature(name)] = found[name].with_values(tf.ones_like(values, tf.float32))
    return found


def count_rows(raw: Features) -> tf.Tensor:
    """Returns the number of rows of dense or ragged features."""
    first = next(iter(raw.values()))
    return first.nrows() if isinstance(first, tf.RaggedTensor) else tf.shape(first)[0]


def _parsed(examples: tf.Tensor, spec: Spec) -> Features:
    return tf.io.parse_example(examples, serving_feature_spec(spec))


def _ragged_signature(spec: Spec) -> dict[str, tf.TypeSpec]:
    return {
        name: tf.TensorSpec([None, *feature.shape], feature.dtype)
        if isinstance(feature, tf.io.FixedLenFeature)
        else tf.RaggedTensorSpec([None, None], feature.dtype)
        for name, feature in serving_feature_spec(spec).items()
    }


def dense_signature(spec: Spec, of_one_row: Collection[str] = ()) -> dict[str, tf.TensorSpec]:
    """Returns the tensors of a request by feature, lists padded; those of `of_one_row` have one row."""
    features = serving_feature_spec(spec)
    arguments = argument_names(features)
    return {
        name: tf.TensorSpec(
            [
                1 if name in of_one_row else None,
                *(feature.shape if isinstance(feature, tf.io.FixedLenFeature) else [None]),
            ],
            feature.dtype,
            arguments[name],
        )
        for name, feature in features.items()
    }


def argument_names(features: Iterable[str]) -> dict[str, str]:
    """Returns for each feature its argument in the signatures `raw` and `rank`: unique, of letters, digits and `_`."""
    names: dict[str, str] = {}
    for feature in features:
        name = re.sub(r"\W", "_", feature, flags=re.ASCII)
        if name[0].isdigit() or name == "self":
            name = f"arg_{name}"
        while name in names.values():
            name += "_"
        names[feature] = name
    return names


def ragged(tensor: tf.Tensor) -> tf.RaggedTensor:
    """Returns padded lists as ragged ones; the transform drops empty texts together with their weights."""
    return tf.RaggedTensor.from_tensor(tensor)


def _all(value: Any, shape: Sequence[int]) -> Any:
    """Returns the value itself or, for a vector, a list of it."""
    return [value] * shape[0] if shape else value
