"""The requests in an exported model that warm it up: TensorFlow Serving replays them before it serves the first client.

The file `assets.extra/tf_serving_warmup_requests` is a TFRecord file of PredictionLog protos. Requests are made of the
vocabularies, not of logged rows, and are the same in every export of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from ...transforms.run_files import export_file
from ...transforms.runs.damage import reading
from ...transforms.runs.run import Run
from ...transforms.spec import MISSING_TIME, MultivaluedField, Spec
from ...transforms.spec.fields.sides import user_inputs
from ...transforms.spec.inputs import read_fields
from .graph import EXAMPLES_SIGNATURE, IDS_SIGNATURE, RAW_SIGNATURE, argument_names, serving_feature_spec
from .rank import RANK_SIGNATURE

WARMUP_FILE = "tf_serving_warmup_requests"

# Rows of the requests, of `rank` candidates.
_ROWS, _CANDIDATES = (1, 32), (1, 128)
# Tokens of a field: the most frequent ones. Values of a list at most.
_TOKENS, _LONGEST = 8, 64
_NUMBERS = (1.0, 0.0, 20.0, -0.5, float("nan"))
_TIME, _HOUR = 1_700_000_000_000_000, 3_600_000_000  # Microseconds.

# A value of one feature in one row: a token, a number or a time, or a list.
Value: TypeAlias = "bytes | float | int | list[bytes] | list[float]"
Tensors: TypeAlias = dict[str, tf.Tensor]


def write_warmup(export: str, run: Run) -> None:
    """Writes requests of one row and of several rows for each signature to an exported model of a run."""
    with tf.io.TFRecordWriter(export_file(export, WARMUP_FILE)) as writer:
        for signature, inputs in _requests(run):
            log = PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = signature
            for name, tensor in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor))
            writer.write(log.SerializeToString(deterministic=True))


def replay_warmup(served: Any, export: str) -> int:
    """Sends the warm-up requests of an exported model to it; returns their number, 0 if it has none.

    Args:
        served: The loaded SavedModel.
        export: Its folder.

    Raises:
        Damaged: the file cannot be read.
    """
    path, count = export_file(export, WARMUP_FILE), 0
    if not tf.io.gfile.exists(path):  # Earlier versions wrote none.
        return 0
    with reading(path, "export"):
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            request = PredictionLog.FromString(record).predict_log.request
            inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
            served.signatures[request.model_spec.signature_name](**inputs)
            count += 1
    return count


def _requests(run: Run) -> Iterator[tuple[str, Tensors]]:
    """Yields requests, each with its signature."""
    of_user, features = user_inputs(run.spec), serving_feature_spec(run.spec)
    values = {name: _values_of(name, feature, run) for name, feature in features.items()}
    for rows in _ROWS:
        examples = {"examples": tf.constant([_example(values, row, features) for row in range(rows)])}
        yield EXAMPLES_SIGNATURE, examples
        yield IDS_SIGNATURE, examples
        yield RAW_SIGNATURE, _arguments(dict.fromkeys(values, rows), values, features)
    for rows in _CANDIDATES if of_user else ():
        yield RANK_SIGNATURE, _arguments({name: 1 if name in of_user else rows for name in values}, values, features)


def _values_of(name: str, feature: Any, run: Run) -> Callable[[int], Value]:
    """Returns the function from the number of a row to its value in a feature of requests."""
    if not isinstance(feature, tf.io.FixedLenFeature):
        length = _length_of_lists(name, run.spec)
        if feature.dtype == tf.float32:
            return lambda row: [1.0 + index % 2 for index in range(length(row))]
        tokens = _tokens_of(name, run)
        return lambda row: [tokens[(row + index) % len(tokens)] for index in range(length(row))]
    if feature.shape:  # A vector.
        return lambda row: [_NUMBERS[row % len(_NUMBERS)]] * feature.shape[0]
    if feature.dtype == tf.float32:
        return lambda row: _NUMBERS[row % len(_NUMBERS)]
    if feature.dtype == tf.int64:
        return lambda row: MISSING_TIME if row % 8 == 7 else _TIME + row * _HOUR
    tokens = [*_tokens_of(name, run), b""]
    return lambda row: tokens[row % len(tokens)]


def _length_of_lists(name: str, spec: Spec) -> Callable[[int], int]:
    """Returns the function from a row to the length of its list; the first one is a long one, the last one empty."""
    lists = spec.fields_of(MultivaluedField)
    field = lists[name] if name in lists else lists[name.removesuffix("_weights")]
    longest = min(field.shape[0], _LONGEST)
    return lambda row: (longest, (longest + 1) // 2, 1, 0)[row % 4]


def _tokens_of(name: str, run: Run) -> Sequence[bytes]:
    """Returns tokens of a feature: frequent ones of its vocabulary, and one that is in no vocabulary."""
    found: list[bytes] = []
    if name in read_fields(run.spec) and run.spec.fields[name].has_vocabulary:
        path = run.vocabulary_path(run.spec.vocabulary_of(name))
        with reading(path, "transform"), tf.io.gfile.GFile(path, "rb") as file:
            found = [line.rstrip(b"\n") for line in islice(file, _TOKENS)]
    return [*found, b"warm-up"]


def _example(values: Mapping[str, Callable[[int], Value]], row: int, features: Mapping[str, Any]) -> bytes:
    """Returns a row as a serialized `tf.train.Example`."""
    example = tf.train.Example()
    for name, value_of in values.items():
        value, dtype = value_of(row), features[name].dtype
        feature = example.features.feature[name]
        kinds = {tf.string: feature.bytes_list, tf.float32: feature.float_list, tf.int64: feature.int64_list}
        kinds[dtype].value.extend(value if isinstance(value, list) else [value])
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def _arguments(
    rows: Mapping[str, int], values: Mapping[str, Callable[[int], Value]], features: Mapping[str, Any]
) -> Tensors:
    """Returns the arguments of `raw` or `rank`: for each feature the given number of rows, lists padded."""
    names = argument_names(values)
    found: Tensors = {}
    for name, value_of in values.items():
        column = [value_of(row) for row in range(rows[name])]
        if isinstance(features[name], tf.io.FixedLenFeature):
            found[names[name]] = tf.constant(column, features[name].dtype)
        else:
            found[names[name]] = tf.ragged.constant(column, features[name].dtype, ragged_rank=1).to_tensor()
    return found
