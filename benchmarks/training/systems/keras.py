"""A DeepFM of stock Keras 3 layers: Embedding(mask_zero=True), a hand-written masked mean, Dense, Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from ..batches import batches
from ..task import Settings, Task, main


class MaskedMean(layers.Layer):
    """The mean over the values that are not padding."""

    def __init__(self) -> None:
        super().__init__()
        self.supports_masking = True

    def call(self, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `[batch, dim]` of `[batch, max_len, dim]`."""
        weights = ops.expand_dims(ops.cast(mask, x.dtype), -1)
        return ops.sum(x * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1)

    def compute_mask(self, x: tf.Tensor, mask: tf.Tensor | None = None) -> None:
        """Returns None: the output has no steps."""


class FactorizationMachine(layers.Layer):
    """The dot products of all pairs of fields."""

    def call(self, m: tf.Tensor) -> tf.Tensor:
        """Returns `[batch, 1]` of `[batch, fields, dim]`."""
        pairs = ops.square(ops.sum(m, axis=1)) - ops.sum(ops.square(m), axis=1)
        return 0.5 * ops.sum(pairs, axis=1, keepdims=True)


def deepfm(task: Task) -> keras.Model:
    """Returns the model of a task without numeric features and without L2."""
    inputs: dict[str, Any] = {}
    vectors: list[Any] = []
    linear: list[Any] = []
    for name, field in task.fields.items():
        ids = inputs[name] = keras.Input((field.max_len,) if field.max_len else (), dtype="int32", name=name)
        for dim, outputs in ((task.dim, vectors), (1, linear)):
            x = layers.Embedding(task.tables[field.table], dim, mask_zero=bool(field.max_len))(ids)
            outputs.append(MaskedMean()(x) if field.max_len else x)
    return keras.Model(inputs, logit_of(task, ops.stack(vectors, axis=1), layers.Add()(linear)))


def logit_of(task: Task, m: Any, linear: Any) -> Any:
    """Returns the logit, `[batch, 1]`, of the vectors, `[batch, fields, dim]`, and the linear terms, `[batch, 1]`."""
    hidden = layers.Flatten()(m)
    for units in task.hidden_units:
        hidden = layers.Dense(units, activation="relu")(hidden)
        if task.dropout:
            hidden = layers.Dropout(task.dropout)(hidden)
    return layers.Add()([linear, FactorizationMachine()(m), layers.Dense(1)(hidden)])


class StockKeras:
    """See `task.System`; `build` returns the model of a task."""

    def __init__(self, task: Task, settings: Settings, build: Callable[[Task], keras.Model] = deepfm) -> None:
        keras.utils.set_random_seed(settings.seed or 0)
        self.model = build(task)
        # XLA (`jit_compile`) makes the gradient of each table dense.
        self.model.compile(
            keras.optimizers.Adam(task.learning_rate),
            keras.losses.BinaryCrossentropy(from_logits=True),
            jit_compile=settings.variant == "xla",
            steps_per_execution=settings.steps_of_call,
        )
        self.dataset = batches(task, settings)

    def epoch(self) -> None:
        """See `task.System`."""
        self.model.fit(self.dataset, verbose=0)

    def scores(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """See `task.System`."""
        return tf.sigmoid(self.model.predict(features, batch_size=4096, verbose=0)).numpy()[:, 0]


if __name__ == "__main__":
    main(StockKeras, ["tensorflow", "keras"])
