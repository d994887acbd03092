"""The dense layer of the MLP is Keras' own, but its bias has an accurate gradient in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fieldpool.model.layers.mlp import Dense, mlp_layers

Gradients = Callable[..., list[np.ndarray]]

KERNEL = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
BIAS = np.array([-1.0, -0.1, 0.1, 1.0], "float32")
SETTINGS = [{}, {"activation": "relu"}, {"use_bias": False}]


def inputs(rows: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, 3)).astype("float32")


def weights(settings: dict[str, Any]) -> list[np.ndarray]:
    return [KERNEL, BIAS] if settings.get("use_bias", True) else [KERNEL]


def outputs(layer: keras.layers.Layer) -> Callable[..., Any]:
    """Returns the function from inputs and weights to the outputs, as float32."""
    layer.build((None, 3))
    return lambda x, *w: keras.ops.cast(layer.stateless_call(list(w), [], x, training=True)[0], "float32")


@pytest.mark.parametrize("rows", [0, 1, 5])
@pytest.mark.parametrize("settings", SETTINGS)
def test_gradients_are_those_of_keras_layer(gradients: Gradients, settings: dict[str, Any], rows: int) -> None:
    def gradients_of(layer: keras.layers.Layer) -> list[np.ndarray]:
        function = outputs(layer)
        return gradients(lambda *arrays: function(*arrays) ** 2, inputs(rows), *weights(settings))

    found, expected = gradients_of(Dense(4, **settings)), gradients_of(keras.layers.Dense(4, **settings))
    for gradient, of_keras in zip(found, expected, strict=True):
        np.testing.assert_allclose(gradient, of_keras, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for a gradient of TensorFlow's graphs")
def test_the_gradient_of_the_bias_is_accurate_in_bfloat16() -> None:
    """In a graph, as in `fit`: eagerly, Keras' own layer has no `BiasAdd`."""
    import tensorflow as tf

    layer = Dense(4, dtype="mixed_bfloat16")
    layer.build((None, 3))

    @tf.function
    def gradient_of_bias(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(tf.cast(layer(x, training=True), tf.float32))
        return tape.gradient(total, layer.bias.value)

    # `BiasAddGrad` of TensorFlow's CPU kernels gives 256.
    np.testing.assert_allclose(gradient_of_bias(inputs(4096)), 4096, rtol=0.01)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("settings", SETTINGS)
def test_outputs_equal_those_of_keras_layer_bit_by_bit(settings: dict[str, Any], policy: str) -> None:
    x, *w = (keras.ops.convert_to_tensor(array) for array in (inputs(5), *weights(settings)))
    found, expected = (outputs(kind(4, dtype=policy, **settings))(x, *w) for kind in (Dense, keras.layers.Dense))
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(y) for y in (found, expected)))


def test_weights_of_keras_layers_can_be_loaded(tmp_path: Path) -> None:
    """As of models that were saved before the MLP had a layer of its own."""
    of_keras = [keras.layers.Dense(4), keras.layers.Activation("relu"), keras.layers.Dense(1, use_bias=False)]
    mine = mlp_layers([4], "relu", 0.0, batch_norm=False, l2=0.0, policy="float32")
    path = str(tmp_path / "a.weights.h5")
    saved, loaded = (keras.Sequential([keras.Input([3]), *layers]) for layers in (of_keras, mine))
    saved.save_weights(path)
    loaded.load_weights(path)
    for found, expected in zip(loaded.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
