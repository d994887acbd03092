"""A training step that XLA compiles between the lookup and the MLP, in both directions.

There are many small operations, for each field, which XLA fuses. The lookup and the update of the tables stay outside,
because XLA has neither `unique` nor sparse gradients. So does the MLP: on processors, matrix products of XLA take a
fifth longer than those of TensorFlow, and its random numbers, those of dropout, 200 times as long. Losses and gradients
are those of Keras' own step, but XLA rounds differently.

To make the ids of the next batch unique in the reader's thread was measured, too: it took 10 to 30 % more processor
time, and no less time.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...layers.deepfm import DeepFM

# Steps of an epoch. XLA takes seconds, once for full batches and once for the last of an epoch, and saves a tenth of
# each step. The number of epochs does not count: a training that is resumed with more of them must not change.
STEPS_WORTH_COMPILING = 1000


def use_own_step(model: DeepFM, *, compiled: bool) -> None:
    """Gives a model this `train_step`, which `fit` then calls.

    Args:
        model: The model, built, and compiled without metrics. Not under a strategy with several replicas.
        compiled: Whether to compile with XLA.
    """
    terms_of = tf.function(model.terms, jit_compile=True) if compiled else model.terms

    def train_step(data: tuple[Any, ...]) -> dict[str, tf.Tensor]:
        features, label, weights = (*data, None)[:3]
        with tf.GradientTape() as tape:
            inputs, penalty = model.looked_up(features, training=True)
            penalties = [] if penalty is None else [penalty]
            penalties += [v.regularizer(v) for v in model.trainable_variables if v.regularizer is not None]
            # Not `compute_loss`, which also adds the penalties of layers that were called before.
            logit = model.logit(terms_of(inputs), training=True)
            loss = tf.add_n([model.loss(label[:, tf.newaxis], logit, weights), *penalties])
            scaled_loss = model.optimizer.scale_loss(loss)
        variables = model.trainable_variables
        model.optimizer.apply_gradients(zip(tape.gradient(scaled_loss, variables), variables, strict=True))
        model._loss_tracker.update_state(loss, sample_weight=tf.shape(label)[0])
        return dict(model.get_metrics_result())

    model.train_step = train_step
