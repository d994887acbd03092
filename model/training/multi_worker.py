"""Training by several workers (MultiWorkerMirroredStrategy) with Keras' own `fit`, which Keras 3.15 fails at.

It fails twice: it tries to average a batch to learn the shapes of a model that is built already, and it averages the
workers' losses along an axis that a number does not have.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def is_first_worker() -> bool:
    """Returns whether this process is the one whose results are kept; True without several workers."""
    resolver = getattr(tf.distribute.get_strategy(), "cluster_resolver", None)
    if resolver is None or resolver.task_type in (None, "chief"):
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs


def suit_to_workers(model: keras.Model) -> None:
    """Makes `model.fit` work under the strategy that the model was made under, if that has several workers.

    Args:
        model: Built, and compiled without metrics.
    """
    if not isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        return
    step = model.train_step

    def train_step(data: Any) -> dict[str, tf.Tensor]:
        return {name: tf.reshape(value, [1]) for name, value in step(data).items()}

    model.train_step = train_step
    model._maybe_symbolic_build = lambda **_: None


def same_batches(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with each batch divided among workers, not the files: the batches of a single process."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)
