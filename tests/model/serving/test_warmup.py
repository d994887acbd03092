"""The warm-up requests of an exported model: TensorFlow Serving's format, every signature and every field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from served_model import Served

from fieldpool.model.export import export_model
from fieldpool.model.run import Run
from fieldpool.model.serving.graph import serving_feature_spec
from fieldpool.model.serving.warmup import replay_warmup
from fieldpool.transforms.errors import UserError

FILE = "assets.extra/tf_serving_warmup_requests"


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Returns the number of a protocol buffer that begins at a position, and the position behind it."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def fields_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the number and the bytes of each field of a message, all of which are texts or messages."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        assert tag & 7 == 2, "length-delimited"
        length, at = varint(data, at)
        yield tag >> 3, data[at : at + length]
        at += length


def only(data: bytes, number: int) -> bytes:
    """Returns the only field of a message, which has this number."""
    ((found, content),) = fields_of(data)
    assert found == number
    return content


def decoded(record: bytes) -> tuple[str, dict[str, np.ndarray]]:
    """Decodes a PredictionLog by the numbers of TensorFlow Serving's .proto files, without their classes.

    PredictionLog.predict_log = 6, PredictLog.request = 1, PredictRequest.model_spec = 1 and .inputs = 2,
    ModelSpec.signature_name = 3; an entry of a map has its key = 1 and its value = 2.
    """
    request = only(only(record, 6), 1)
    specs = [content for number, content in fields_of(request) if number == 1]
    inputs = [dict(fields_of(content)) for number, content in fields_of(request) if number == 2]
    assert len(specs) == 1
    assert len(specs) + len(inputs) == len(list(fields_of(request)))
    tensor_of = tf.compat.v1.make_tensor_proto(0).__class__.FromString
    return only(specs[0], 3).decode(), {e[1].decode(): tf.make_ndarray(tensor_of(e[2])) for e in inputs}


def requests_of(export: Path) -> list[tuple[str, dict[str, np.ndarray]]]:
    return [decoded(record.numpy()) for record in tf.data.TFRecordDataset(str(export / FILE))]


def test_each_signature_is_called_with_one_row_and_with_several(ranked: Served) -> None:
    found = [
        (signature, max(len(tensor) for tensor in inputs.values())) for signature, inputs in requests_of(ranked.export)
    ]
    assert sorted(found) == [
        *(("ids", 1), ("ids", 32)),
        *(("rank", 1), ("rank", 128)),
        *(("raw", 1), ("raw", 32)),
        *(("serving_default", 1), ("serving_default", 32)),
    ]


def test_requests_have_the_arguments_of_their_signature(ranked: Served) -> None:
    model = tf.saved_model.load(str(ranked.export))
    for signature, inputs in requests_of(ranked.export):
        arguments = model.signatures[signature].structured_input_signature[1]
        assert set(inputs) == set(arguments)
        for name, tensor in inputs.items():
            assert arguments[name].shape.is_compatible_with(tensor.shape)


def test_every_field_has_values_and_missing_ones(ranked: Served) -> None:
    """Of each vocabulary there are known and unknown tokens; lists are full, shorter and empty."""
    run = Run(str(ranked.run))
    inputs = next(
        inputs for signature, inputs in requests_of(ranked.export) if signature == "raw" and len(inputs["user"]) > 1
    )
    for name, feature in serving_feature_spec(run.spec).items():
        values = inputs[name.replace("-", "_")]
        if feature.dtype == tf.float32 and values.ndim == 1:
            assert 0 < np.isnan(values).sum() < len(values)
        elif feature.dtype == tf.string and values.ndim == 1:
            assert b"" in values
            assert len(set(values.tolist())) > 1
        elif feature.dtype == tf.float32 and isinstance(feature, tf.io.FixedLenFeature):
            assert 0 < np.isnan(values).all(axis=1).sum() < len(values)
        elif feature.dtype == tf.string:
            lengths = (values != b"").sum(axis=1)
            assert (lengths.min(), lengths.max()) == (0, run.spec.fields[name].shape[0])
    tokens = set(run.tokens("items"))
    for name in ("item", "history"):
        found = set(inputs[name].ravel().tolist()) - {b""}
        assert found & tokens
        assert found - tokens == {b"warm-up"}


def test_two_exports_have_the_same_requests(ranked: Served, tmp_path: Path) -> None:
    again = export_model(Run(str(ranked.run)), str(ranked.model), str(tmp_path / "again"))
    assert (Path(again) / FILE).read_bytes() == (ranked.export / FILE).read_bytes()
    assert (ranked.export / FILE).stat().st_size < 100_000


def test_all_requests_are_replayed(ranked: Served, served: Served) -> None:
    assert replay_warmup(tf.saved_model.load(str(ranked.export)), str(ranked.export)) == 8
    assert replay_warmup(tf.saved_model.load(str(served.export)), str(served.export)) == 6


def test_an_export_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    assert replay_warmup(None, str(tmp_path)) == 0


@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_a_damaged_file_is_reported(ranked: Served, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / FILE
    file.parent.mkdir()
    file.write_bytes((ranked.export / FILE).read_bytes()[:100] + content)
    model: Any = tf.saved_model.load(str(ranked.export))
    with pytest.raises(UserError, match="tf_serving_warmup_requests: missing, damaged"):
        replay_warmup(model, str(tmp_path))
