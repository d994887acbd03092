"""A training step in three parts: the lookup's ids, which the reader prepares, the dense part, and the update.

- The ids of a batch are made unique while the model trains on the batch before: `prepared`.
- XLA compiles the dense part of a long training, from pooled rows to the logit, in both directions: it fuses the many
  small operations between the matrix products. The lookup and the update of the tables stay outside, because XLA has
  neither `unique` nor sparse gradients.

Losses and gradients are those of Keras' own step; XLA rounds differently.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...layers.deepfm import DeepFM, Inputs

# Steps of an epoch. XLA takes seconds, once for full batches and once for the last of an epoch, and saves a tenth of
# each step. The number of epochs does not count: a training that is resumed with more of them must not change.
STEPS_WORTH_COMPILING = 1000


def use_own_step(model: DeepFM, *, compiled: bool) -> None:
    """Gives a model this `train_step`, which `fit` then calls; its datasets may be `prepared`.

    Args:
        model: The model, built, and compiled without metrics. Not under a strategy with several replicas.
        compiled: Whether to compile the dense part with XLA.
    """

    def logit_of(inputs: Inputs) -> tf.Tensor:
        return model.logit(inputs, training=True)

    if compiled:
        logit_of = tf.function(logit_of, jit_compile=True)

    def train_step(data: tuple[Any, ...]) -> dict[str, tf.Tensor]:
        features, label, weights = (*data, None)[:3]
        with tf.GradientTape() as tape:
            inputs, penalty = model.looked_up(features, training=True)
            penalties = [] if penalty is None else [penalty]
            penalties += [v.regularizer(v) for v in model.trainable_variables if v.regularizer is not None]
            # Not `compute_loss`, which also adds the penalties of layers that were called before.
            loss = tf.add_n([model.loss(label[:, tf.newaxis], logit_of(inputs), weights), *penalties])
            scaled_loss = model.optimizer.scale_loss(loss)
        variables = model.trainable_variables
        model.optimizer.apply_gradients(zip(tape.gradient(scaled_loss, variables), variables, strict=True))
        model._loss_tracker.update_state(loss, sample_weight=tf.shape(label)[0])
        return dict(model.get_metrics_result())

    model.train_step = train_step


def prepared(dataset: tf.data.Dataset, model: DeepFM) -> tf.data.Dataset:
    """Returns a dataset for `fit` with the lookups of `model` instead of ids: see `PooledEmbeddings.prepared`.

    Args:
        dataset: Batches of features, labels and, if they have them, weights.
        model: A model with this module's step.
    """
    embeddings, names = model.embeddings, set(model.feature_ranks())
    if embeddings is None:
        return dataset

    @tf.autograph.experimental.do_not_convert  # It has no loops over tensors, and AutoGraph warns of `:=`.
    def with_lookups(features: dict[str, tf.Tensor], *others: tf.Tensor) -> tuple[Any, ...]:
        return embeddings.prepared({n: x for n, x in features.items() if n in names}), *others

    return dataset.map(with_lookups).prefetch(2)
