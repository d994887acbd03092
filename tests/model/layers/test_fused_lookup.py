"""Pooled embeddings have the values and gradients of an `Embedding` and a masked pool per field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.model.layers.features import EmbeddedField, Table
from fieldpool.model.layers.fused_lookup import are_unique
from fieldpool.model.layers.pooled_embeddings import PooledEmbeddings
from fieldpool.model.layers.pooling import masked_pool

TABLES = {"small": Table(rows=4, dim=2), "large": Table(rows=7, dim=2), "wide": Table(rows=5, dim=3)}
POOLINGS = st.sampled_from(["mean", "sum", "sqrtn", "max"])


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, EmbeddedField], dict[str, np.ndarray]]:
    """Returns fields, and a batch for them with padding at any position, empty bags and duplicates."""
    batch = draw(st.integers(1, 4))
    fields: dict[str, EmbeddedField] = {}
    features: dict[str, np.ndarray] = {}
    for index in range(draw(st.integers(1, 4))):
        table = draw(st.sampled_from(sorted(TABLES)))
        pooling = draw(st.none() | POOLINGS)
        weighted = pooling not in (None, "max") and draw(st.booleans())
        length = 1 if pooling is None else draw(st.integers(1, 4))
        ids = draw(
            st.lists(st.integers(0, TABLES[table]["rows"] - 1), min_size=batch * length, max_size=batch * length)
        )
        shape = (batch,) if pooling is None else (batch, length)
        features[f"f{index}"] = np.array(ids).reshape(shape)
        if weighted:
            numbers = st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=batch * length, max_size=batch * length)
            features[f"w{index}"] = np.array(draw(numbers), "float32").reshape(shape)
        fields[f"f{index}"] = EmbeddedField(table=table, pooling=pooling, weights=f"w{index}" if weighted else None)
    return fields, features


def with_random_tables(fields: dict[str, EmbeddedField]) -> PooledEmbeddings:
    layer = PooledEmbeddings(TABLES, fields, dim=2)
    layer.build()
    random = np.random.default_rng(3)
    layer.set_weights([random.normal(size=w.shape).astype("float32") for w in layer.get_weights()])
    return layer


def unfused(layer: PooledEmbeddings, tables: dict[str, tf.Tensor], features: dict[str, np.ndarray]) -> tuple[Any, Any]:
    """Returns the outputs of `layer`, computed with a lookup and a pool for each field."""
    vectors, linear = [], []
    for name, field in layer.layout.fields.items():
        ids = tf.constant(features[name])
        ids = ids[:, tf.newaxis] if field["pooling"] is None else ids
        weights = None if field["weights"] is None else features[field["weights"]]
        pool = masked_pool(field["pooling"] or "sum")
        pooled = pool(tf.gather(tables[field["table"]], ids), mask=tf.not_equal(ids, 0), weights=weights)
        vector = pooled[:, :-1]
        if field["table"] in layer.projections:
            vector = vector @ layer.projections[field["table"]].kernel.value
        vectors.append(vector)
        linear.append(pooled[:, -1])
    return tf.stack(vectors, axis=1), tf.stack(linear, axis=1)


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_values_and_gradients_equal_those_of_embedding_and_pool(case: Any) -> None:
    fields, features = case
    layer = with_random_tables(fields)
    tables = {name: tf.constant(layer.table(name)) for name in TABLES}

    def loss(output: tuple[Any, Any]) -> tf.Tensor:
        m, linear = output
        return tf.reduce_sum(m * tf.reshape(tf.range(1.0, tf.size(m, tf.int32) + 1), tf.shape(m))) + tf.reduce_sum(
            linear**2
        )

    with tf.GradientTape() as tape:
        fused = layer(features)
        fused_loss = loss(fused)
    variables = {dim: variable.value for dim, variable in layer.variables_by_dim.items()}
    gradients = tape.gradient(fused_loss, variables)
    with tf.GradientTape() as tape:
        tape.watch(tables)
        expected = unfused(layer, tables, features)
        expected_loss = loss(expected)
    expected_gradients = tape.gradient(expected_loss, tables)

    for output, expected_output in zip(fused, expected, strict=True):
        np.testing.assert_allclose(output, expected_output, rtol=1e-5, atol=1e-5)
    for name, table in TABLES.items():
        if not any(field["table"] == name for field in fields.values()):
            continue
        first = layer.layout.first_rows[name]
        gradient = tf.convert_to_tensor(gradients[table["dim"]])[first : first + table["rows"]]
        np.testing.assert_allclose(gradient, tf.convert_to_tensor(expected_gradients[name]), rtol=1e-4, atol=1e-4)


def test_gradient_has_each_used_row_once() -> None:
    layer = with_random_tables({"a": EmbeddedField(table="large", pooling="mean", weights=None)})
    with tf.GradientTape() as tape:
        m, _ = layer({"a": np.array([[2, 2, 0], [5, 2, 0], [0, 0, 0]])})
    gradient = tape.gradient(m, layer.variables_by_dim[2].value)
    assert isinstance(gradient, tf.IndexedSlices)
    assert sorted(gradient.indices.numpy() - layer.layout.first_rows["large"]) == [2, 5]


@pytest.mark.parametrize("rows", [9, 900], ids=["marked rows", "groups"])
@pytest.mark.parametrize("width", [3, None])
def test_training_has_the_vectors_and_gradients_of_one_unique(width: int | None, rows: int) -> None:
    tables = {name: Table(rows=rows, dim=2) for name in "abcd"}
    weights = {"b": "w"}
    fields = {
        f"{table}{i}": EmbeddedField(table=table, pooling="mean", weights=weights.get(table))
        for table in "abcd"
        for i in range(2)
    }
    layer = PooledEmbeddings(tables, fields, dim=2)
    layer.build()
    random = np.random.default_rng(5)
    features: dict[str, Any] = {name: random.integers(0, 9, (5, 3)) for name in fields}
    features["w"] = random.random((5, 3)).astype("float32")
    specs = {name: tf.TensorSpec([None, width], x.dtype) for name, x in features.items()}
    has_unique_ids = []

    def traced(training: bool) -> tuple[Any, ...]:
        @tf.function(input_signature=[specs])
        def step(features: dict[str, tf.Tensor]) -> tuple[Any, ...]:
            with tf.GradientTape() as tape:
                vectors, linear = layer(features, training=training)
                loss = tf.reduce_sum(vectors**3) + tf.reduce_sum(linear**2)
            gradient = tape.gradient(loss, layer.variables_by_dim[2].value)
            has_unique_ids.append(are_unique(gradient.indices))
            return vectors, linear, gradient.indices, gradient.values

        outputs: tuple[Any, ...] = step({name: tf.constant(x) for name, x in features.items()})
        return outputs

    (*outputs, ids, values), (*expected, expected_ids, expected_values) = traced(True), traced(False)
    assert has_unique_ids == [True, True]
    assert ids.numpy().tolist() != expected_ids.numpy().tolist()  # Groups have another order.
    assert (ids.numpy().tolist() == sorted(ids.numpy())) == (rows == 9)  # Marked rows are in order.
    for output, of_one_group in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(output, of_one_group)
    np.testing.assert_array_equal(ids.numpy()[np.argsort(ids)], expected_ids.numpy()[np.argsort(expected_ids)])
    np.testing.assert_array_equal(values.numpy()[np.argsort(ids)], expected_values.numpy()[np.argsort(expected_ids)])


def test_nan_weights_of_padding_are_ignored() -> None:
    layer = with_random_tables({"a": EmbeddedField(table="large", pooling="mean", weights="w")})
    ids = np.array([[2, 0]])
    nan, zero = ({"a": ids, "w": np.array([[1.0, weight]], "float32")} for weight in (np.nan, 0.0))
    np.testing.assert_array_equal(layer(nan)[0], layer(zero)[0])


@pytest.mark.parametrize("training", [False, True])
def test_traced_layer_accepts_an_empty_batch(training: bool) -> None:
    layer = with_random_tables({"a": EmbeddedField(table="small", pooling="max", weights=None)})
    signature = [{"a": tf.TensorSpec([None, None], tf.int64)}]
    traced = tf.function(lambda features: layer(features, training=training), input_signature=signature)
    ids = np.array([[1, 3], [0, 0]])
    np.testing.assert_array_equal(traced({"a": tf.constant(ids)})[0], layer({"a": ids})[0])
    assert traced({"a": tf.zeros([0, 2], tf.int64)})[0].shape == (0, 1, 2)


@pytest.mark.parametrize("dtypes", [("uint8", "int32"), ("int32", "int64"), ("int8", "int8"), ("int32", "int32")])
def test_fields_may_have_ids_of_any_integer_dtype(dtypes: tuple[str, str]) -> None:
    tables = {"first": Table(rows=300, dim=2), "second": Table(rows=500, dim=2)}
    fields = {table: EmbeddedField(table=table, pooling="mean", weights=None) for table in tables}
    layer = PooledEmbeddings(tables, fields, dim=2)
    layer.build()
    ids = np.array([[3, 100, 0], [0, 0, 0]])
    expected = layer(dict.fromkeys(fields, ids))
    found = layer({field: ids.astype(dtype) for field, dtype in zip(fields, dtypes, strict=True)})
    np.testing.assert_array_equal(found[0], expected[0])
