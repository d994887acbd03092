"""A DeepFM on keras-rs' DistributedEmbedding, which looks up and pools all fields; the tables are trained by Adam.

Padding has the weight 0, because the layer has no mask. A row has the vector and, last, the linear weight.
Initial values are those of `Embedding`. https://keras.io/keras_rs/api/embedding_layers/distributed_embedding/
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import keras_rs
from keras import ops

from ..task import Task, main
from .keras import StockKeras, logit_of


def deepfm(task: Task) -> keras.Model:
    """Returns the model of a task without numeric features and without L2."""
    width, size = task.dim + 1, task.batch_size
    tables = {
        name: keras_rs.layers.TableConfig(
            name, rows, width, initializer="uniform", optimizer=keras.optimizers.Adam(task.learning_rate)
        )
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
    linear = ops.sum(rows[:, :, -1], axis=1, keepdims=True)
    return keras.Model(inputs, logit_of(task, rows[:, :, :-1], linear))


if __name__ == "__main__":
    main(partial(StockKeras, build=deepfm), ["tensorflow", "keras", "keras-rs"])
