"""A training step whose dense part, from pooled rows to the logit, XLA compiles in both directions.

XLA fuses the many small operations between the matrix products. The lookup and the update of the tables stay outside,
because XLA has neither `unique` nor sparse gradients. Losses and gradients are those of Keras' own step, but XLA rounds
differently, and draws other random numbers for dropout.

To make the ids of the next batch unique in the reader's thread was measured, too: it took 10 to 30 % more processor
time, and no less time.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...layers.deepfm import DeepFM, Inputs

# Steps of an epoch. XLA takes seconds, once for full batches and once for the last of an epoch, and saves a tenth of
# each step. The number of epochs does not count: a training that is resumed with more of them must not change.
STEPS_WORTH_COMPILING = 1000


def use_own_step(model: DeepFM, *, compiled: bool) -> None:
    """Gives a model this `train_step`, which `fit` then calls.

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
