"""Workarounds for Keras' `fit` on several workers (MultiWorkerMirroredStrategy), which fails in Keras 3.15.

There are two failures: Keras tries to average a batch over workers to find the shapes of a model that is already built,
and it averages the workers' losses along an axis that scalars do not have.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def is_first_worker() -> bool:
    """Returns whether this process writes the results; True if there is only one worker."""
    resolver = getattr(tf.distribute.get_strategy(), "cluster_resolver", None)
    if resolver is None or resolver.task_type in (None, "chief"):
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs


def suit_to_workers(model: keras.Model) -> None:
    """Works around both failures in `model.fit` if the current strategy has several workers; else does nothing.

    Args:
        model: The model, built, and compiled without metrics, under the current strategy.
    """
    if not isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        return
    step = model.train_step

    def train_step(data: Any) -> dict[str, tf.Tensor]:
        return {name: tf.reshape(value, [1]) for name, value in step(data).items()}

    model.train_step = train_step
    model._maybe_symbolic_build = lambda **_: None


def same_batches(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with batches, not files, divided among workers, so that batches are those of one process."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)
