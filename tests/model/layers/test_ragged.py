"""Ragged tensors of TensorFlow are pooled like padded ones."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from pool_reference import MASK, POOLS, X, reference

from fieldpool.model.layers.features import EmbeddedField
from fieldpool.model.layers.pooled_embeddings import PooledEmbeddings
from fieldpool.model.layers.pooling import MaskedMeanPool, masked_pool

LENGTHS = [2, 0, 1, 3]
VALUES = np.arange(12, dtype="float32").reshape(6, 2) - 4
WEIGHTS = np.array([1, 3, 2, 0, 5, 2], "float32")
DENSE_MASK = np.arange(3) < np.array(LENGTHS)[:, None]


def ragged(values: np.ndarray) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_lengths(values, LENGTHS)


def dense(values: np.ndarray) -> np.ndarray:
    return ragged(values).to_tensor().numpy()


@pytest.mark.parametrize(
    ("kind", "weighted"), [*((kind, False) for kind in POOLS), ("mean", True), ("sum", True), ("sqrtn", True)]
)
def test_pool(kind: str, weighted: bool) -> None:
    expected = reference(kind, dense(VALUES), DENSE_MASK, dense(WEIGHTS) if weighted else None)
    pooled = masked_pool(kind)(ragged(VALUES), weights=ragged(WEIGHTS) if weighted else None)
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)


@pytest.mark.parametrize("is_ragged", [False, True])
def test_mask_hides_more_values_of_a_pool(is_ragged: bool) -> None:
    shown = np.array([True, False, True, False, True, True])
    mask = ragged(shown) if is_ragged else dense(shown) | ~DENSE_MASK  # True at padding, which does not count.
    pooled = MaskedMeanPool()(ragged(VALUES), mask=mask)
    np.testing.assert_allclose(pooled, reference("mean", dense(VALUES), dense(shown)), rtol=1e-6)


def test_gradient_of_a_pool() -> None:
    values = tf.Variable(VALUES)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(MaskedMeanPool()(ragged(values)))
    gradient = tf.convert_to_tensor(tape.gradient(total, values))
    np.testing.assert_allclose(gradient[:, 0], [1 / 2, 1 / 2, 1, 1 / 3, 1 / 3, 1 / 3])


def test_pool_in_a_functional_model() -> None:
    inputs = keras.Input((None, 2), ragged=True)
    model = keras.Model(inputs, MaskedMeanPool()(inputs))
    assert model.output_shape == (None, 2)
    np.testing.assert_allclose(
        model.predict(ragged(VALUES), verbose=0), reference("mean", dense(VALUES), DENSE_MASK), rtol=1e-6
    )


def test_pool_of_padded_inputs_takes_a_ragged_mask() -> None:
    mask = tf.ragged.constant([[True, True], [True]])
    x = X[:, :2]
    np.testing.assert_allclose(MaskedMeanPool()(x, mask=mask), reference("mean", x, MASK[:, :2]), rtol=1e-6)


def test_weights_of_other_lengths_are_an_error() -> None:
    weights = tf.RaggedTensor.from_row_lengths(WEIGHTS, LENGTHS[::-1])
    with pytest.raises(tf.errors.InvalidArgumentError):
        MaskedMeanPool()(ragged(VALUES), weights=weights)


def test_several_ragged_dimensions_are_an_error() -> None:
    nested = tf.ragged.constant([[[1.0], []], [[2.0, 3.0]]])
    with pytest.raises(ValueError, match=r"received one with 2 ragged dimensions. Pad it with `to_tensor"):
        MaskedMeanPool()(nested)


@pytest.mark.parametrize("training", [False, True])
def test_pooled_embeddings(training: bool) -> None:
    fields: dict[str, EmbeddedField] = {
        "a": {"table": "t", "pooling": "mean", "weights": "w"},
        "b": {"table": "t", "pooling": "max", "weights": None},
    }
    layer = PooledEmbeddings({"t": {"rows": 10, "dim": 2}}, fields, dim=2)
    ids = np.array([1, 2, 3, 4, 5, 9])
    features = {"a": ids, "w": WEIGHTS, "b": ids}
    expected = layer({name: dense(values) for name, values in features.items()}, training=training)
    found = layer({name: ragged(values) for name, values in features.items()}, training=training)
    for part, expected_part in zip(found, expected, strict=True):
        np.testing.assert_array_equal(part, expected_part)
