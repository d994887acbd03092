"""Random rows: derived values are those of plain Python in the counts, in training and in serving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from derived_reference import ROWS, SCHEMA, SPEC, features_of, values_of
from hypothesis import given, settings

from fieldpool.model.serving.graph import IDS_SIGNATURE, serving_module
from fieldpool.pipeline.analysis.row_sums import sums_of
from fieldpool.pipeline.rows import columns
from fieldpool.pipeline.rows.checks import Checked, check_rows
from fieldpool.pipeline.rows.tft_rows import RowTransform, as_tft_rows
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.tfrecords.encoding import encode_examples
from fieldpool.transforms.known import Known
from fieldpool.transforms.spec import NumericField
from fieldpool.transforms.transform_graph import TransformGraph

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Graphs:
    """The transform of training rows, and the signature `ids` of an exported model; both are traced once."""

    training: RowTransform
    serving: Callable[..., dict[str, tf.Tensor]]


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Graphs:
    folder = tmp_path_factory.mktemp("graphs")
    vocabularies = {name: str(folder / name) for name in SPEC.vocabulary_fields()}
    for path in vocabularies.values():
        Path(path).touch()
    graph = TransformGraph(SPEC, Known(vocabularies, np.zeros(4 * len(SPEC.fields_of(NumericField)))))
    graph.write(str(folder / "transform"))
    saved = tf.saved_model.load(str(folder / "transform" / "transform_fn"))
    _, signatures = serving_module(SPEC, saved, keras.Sequential())
    return Graphs(RowTransform(SPEC, graph.function(), graph.metadata()), signatures[IDS_SIGNATURE])


def checked(rows: Rows) -> Checked:
    batch = SourceBatch("rows", np.arange(len(rows)), pa.RecordBatch.from_pylist(rows, SCHEMA))
    found = check_rows(batch, SPEC)
    assert found.rejected == []
    return found


@given(ROWS)
@settings(deadline=None, max_examples=25)
def test_values_that_are_counted_are_those_of_plain_python(rows: Rows) -> None:
    found, expected = columns.with_values(checked(rows).rows, SPEC), [values_of(row) for row in rows]
    sizes = columns.with_values(checked(rows).rows, SPEC, texts=False)
    for name, field in SPEC.fields.items():
        values, wanted = found[name].to_pylist(), [value[name] for value in expected]
        assert list(map(size, sizes[name].to_pylist())) == list(map(size, wanted)), name
        if field.raw == "number":
            assert [value is None for value in values] == [value is None for value in wanted], name
            assert_close(name, [value for value in values if value is not None], [w for w in wanted if w is not None])
        elif name.startswith("hashed_pair"):  # Their tokens are not computed, only how many there are.
            assert list(map(size, values)) == list(map(size, wanted)), name
        elif field.is_list:
            assert [[token for token in value if token] for value in values] == wanted, name
        else:
            assert values == wanted, name


@given(ROWS)
@settings(deadline=None, max_examples=10)
def test_vocabularies_count_these_values(rows: Rows) -> None:
    counted, expected = sums_of(columns.with_values(checked(rows).rows, SPEC), SPEC), [values_of(row) for row in rows]
    for name in ("device", "hour_of_week", "pair", "pairs", "words_of_device"):
        field, tokens = SPEC.fields[name], Counter[bytes]()
        for value in expected:
            kept = value[name][: field.shape[0]] if field.is_list else [value[name]]
            tokens.update(token for token in kept if token is not None)
        assert dict(zip(*counted.tokens[name].to_pydict().values(), strict=True)) == tokens


@given(ROWS)
@settings(deadline=None, max_examples=25)
def test_features_are_those_of_plain_python_in_training_and_serving(graphs: Graphs, rows: Rows) -> None:
    found = checked(rows).rows
    training = graphs.training(as_tft_rows(found, SPEC))
    requests = encode_examples(as_tft_rows(found, SPEC, label=False)).to_numpy(zero_copy_only=False)
    serving = graphs.serving(examples=tf.constant(requests))
    expected = [features_of(row) for row in rows]
    for name, field in SPEC.fields.items():
        features = np.asarray(training[name].flatten()).reshape(len(rows), *field.shape)
        served = serving[name].numpy()
        assert features.dtype == served.dtype
        assert features.tobytes() == served.tobytes(), name  # Bit by bit.
        wanted = [row[name] for row in expected]
        if field.dtype == "int64":
            assert features.tolist() == wanted, name
        else:
            assert_close(name, features.tolist(), wanted)


def size(value: Any) -> int:
    return sum(map(bool, value)) if isinstance(value, list) else int(value is not None)


def assert_close(name: str, found: list[float], expected: list[float]) -> None:
    """Compares float32 numbers; TensorFlow may replace those below the smallest normal one, 1.2e-38, by 0."""
    np.testing.assert_allclose(found, np.array(expected, np.float32), rtol=3e-7, atol=1.2e-38, err_msg=name)
