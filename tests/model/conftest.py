"""Gradients on every backend, for the tests of layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

Function = Callable[..., Any]

# Layers and metrics run on every backend of Keras. The other tests need TensorFlow, which `make test-backends` does not
# install.
if keras.backend.backend() != "tensorflow":
    collect_ignore = [
        "layers/test_fused_lookup.py",
        "layers/test_ragged.py",
        "test_evaluation.py",
        "test_examples.py",
        "test_export.py",
        "test_files.py",
        "serving",
        "training",
    ]


def _tensorflow_gradients(function: Function, arrays: list[np.ndarray]) -> list[Any]:
    import tensorflow as tf

    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        total = keras.ops.sum(function(*tensors))
    return tape.gradient(total, tensors, unconnected_gradients="zero")


def _jax_gradients(function: Function, arrays: list[np.ndarray]) -> list[Any]:
    import jax

    return list(jax.grad(lambda *a: keras.ops.sum(function(*a)), argnums=tuple(range(len(arrays))))(*arrays))


def _torch_gradients(function: Function, arrays: list[np.ndarray]) -> list[Any]:
    import torch

    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    return list(torch.autograd.grad(keras.ops.sum(function(*tensors)), tensors, materialize_grads=True))


@pytest.fixture
def gradients() -> Callable[..., list[np.ndarray]]:
    """`gradients(function, *arrays)`: the gradients of the sum of the function's result, on the current backend."""
    by_backend = {"tensorflow": _tensorflow_gradients, "jax": _jax_gradients, "torch": _torch_gradients}
    compute = by_backend[keras.backend.backend()]
    return lambda function, *arrays: [
        keras.ops.convert_to_numpy(g) for g in compute(function, [np.asarray(a) for a in arrays])
    ]
