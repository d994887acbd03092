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
        gradients = [_computed_last(gradient) for gradient in tape.gradient(scaled_loss, variables)]
        model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        model._loss_tracker.update_state(loss, sample_weight=tf.shape(label)[0])
        return dict(model.get_metrics_result())

    model.train_step = train_step


def _computed_last(gradient: Any) -> Any:
    """Returns the gradient, computed after that of the layer's inputs if it is of a kernel or bias of a dense layer.

    The backward pass of the layers below waits for the gradient of the inputs, and only the optimizer for the others.
    TensorFlow would start all three at once. The others can fill the cores beside the backward pass of the lookup,
    whose operations have one thread: on 2 cores a step takes 0.97 of the time. The results are the same.
    """
    if not isinstance(gradient, tf.Tensor) or not tf.is_symbolic_tensor(gradient):
        return gradient
    op = gradient.op.inputs[0].op if gradient.op.type == "Reshape" else gradient.op
    if op.type not in ("MatMul", "Sum"):
        return gradient
    # Of y = x·W + b they are xᵀ·g, the sum of g and, for the inputs, g·Wᵀ, where g is the gradient of y.
    g = op.inputs[1] if op.type == "MatMul" else op.inputs[0]
    of_inputs = [use for use in g.consumers() if use.type == "MatMul" and use.get_attr("transpose_b")]
    with tf.control_dependencies(of_inputs):
        # The same operation again. Nothing uses the first one then, so TensorFlow drops it.
        if op.type == "MatMul":
            again = tf.matmul(
                *op.inputs, transpose_a=op.get_attr("transpose_a"), transpose_b=op.get_attr("transpose_b")
            )
        else:
            again = tf.raw_ops.Sum(input=g, axis=op.inputs[1])
        return tf.reshape(again, gradient.shape)
