"""A DeepFM on keras-rs' DistributedEmbedding, which looks up and pools all fields; the tables are trained by Adam.

Padding has the weight 0, because the layer has no mask. A row has the vector and, last, the linear weight.
https://keras.io/keras_rs/api/embedding_layers/distributed_embedding/
"""

from __future__ import annotations

from typing import Any

import keras
import keras_rs
import numpy as np
import tensorflow as tf
from keras import layers, ops

from ..batches import batches
from ..task import Settings, Task, main
from .keras import FactorizationMachine


class KerasRS:
    """See `task.System`."""

    def __init__(self, task: Task, settings: Settings) -> None:
        keras.utils.set_random_seed(settings.seed or 0)
        self.model = deepfm(task)
        self.model.compile(
            keras.optimizers.Adam(task.learning_rate),
            keras.losses.BinaryCrossentropy(from_logits=True),
            jit_compile=settings.variant == "xla",
        )
        self.dataset = batches(task, settings)

    def epoch(self) -> None:
        """See `task.System`."""
        self.model.fit(self.dataset, verbose=0)

    def scores(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """See `task.System`."""
        return tf.sigmoid(self.model.predict(features, batch_size=4096, verbose=0)).numpy()[:, 0]


def deepfm(task: Task) -> keras.Model:
    """Returns the model of a task without numeric features and without L2."""
    width, size = task.dim + 1, task.batch_size
    tables = {
        name: keras_rs.layers.TableConfig(name, rows, width, optimizer=keras.optimizers.Adam(task.learning_rate))
        for name, rows in task.tables.items()
    }
    inputs: dict[str, Any] = {}
    configs: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    for name, field in task.fields.items():
        shape = (field.max_len,) if field.max_len else ()
        ids = inputs[name] = keras.Input(shape, dtype="int32", name=name)
        configs[name] = keras_rs.layers.FeatureConfig(name, tables[field.table], (size, *shape), (size, width))
        weights[name] = ops.cast(ops.not_equal(ids, 0), "float32") if field.max_len else ops.ones_like(ids, "float32")
    rows = ops.stack(list(keras_rs.layers.DistributedEmbedding(configs)(inputs, weights).values()), axis=1)
    m, linear = rows[:, :, :-1], rows[:, :, -1]
    hidden = layers.Flatten()(m)
    for units in task.hidden_units:
        hidden = layers.Dense(units, activation="relu")(hidden)
        if task.dropout:
            hidden = layers.Dropout(task.dropout)(hidden)
    logit = ops.sum(linear, axis=1, keepdims=True) + FactorizationMachine()(m) + layers.Dense(1)(hidden)
    return keras.Model(inputs, logit)


if __name__ == "__main__":
    main(KerasRS, ["tensorflow", "keras", "keras-rs"])
