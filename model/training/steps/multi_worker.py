"""Reading and writing with several workers (MultiWorkerMirroredStrategy)."""

from __future__ import annotations

import tensorflow as tf


def is_first_worker() -> bool:
    """Returns whether this process writes the results; True if there is only one worker."""
    resolver = getattr(tf.distribute.get_strategy(), "cluster_resolver", None)
    if resolver is None or resolver.task_type in (None, "chief"):
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs


def same_batches(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with batches, not files, divided among workers, so that batches are those of one process."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)
