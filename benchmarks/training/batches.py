"""The rows of a task as a tf.data dataset, for the systems on TensorFlow (2.10 and later)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .task import Settings, Task


def batches(task: Task, settings: Settings, ids: tf.DType = tf.int32) -> tf.data.Dataset:
    """Returns the train rows in full batches from memory; with a seed, shuffled again in each epoch.

    `ids` is the dtype of the ids that a system reads, int32 or int64. The pipeline is not tuned at run time: the end of
    an epoch would often wait for the thread that tunes it, up to as long as the epoch took.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    features, label = task.splits["train"]
    features = {name: x.astype(ids.as_numpy_dtype) if name in task.fields else x for name, x in features.items()}
    if settings.seed is not None:
        dataset = tf.data.Dataset.from_tensor_slices((features, label))
        shuffled = dataset.shuffle(len(label), seed=settings.seed).batch(task.batch_size)
        return shuffled.prefetch(2).with_options(options)
    steps = len(label) // task.batch_size

    def in_batches(x: np.ndarray) -> np.ndarray:
        return x[: steps * task.batch_size].reshape(steps, task.batch_size, *x.shape[1:])

    dataset = tf.data.Dataset.from_tensor_slices(({n: in_batches(x) for n, x in features.items()}, in_batches(label)))
    return dataset.cache().prefetch(2).with_options(options)
