"""Training on several replicas under a `tf.distribute` strategy, with the losses of a single process.

Keras' `fit` minimises the mean of the replicas' mean losses, which is not that of the batch if they have different
numbers of rows, as in the last batch of an epoch. It also fails in two ways, in Keras 3.15: with parts of different
sizes, or several workers, it tries to add up the parts of a batch to find the shapes of a model that is already built;
and it averages the losses of several workers along an axis that scalars do not have.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from ...layers.deepfm import DeepFM


def suit_to_strategy(model: DeepFM) -> None:
    """Makes `model.fit` work, and exact, under the current strategy; does nothing without one.

    With several replicas, each step minimises the loss of the batch of all replicas, and batch norm uses the mean and
    variance of that batch.

    Args:
        model: The model, built, and compiled without metrics, under the current strategy.
    """
    strategy = tf.distribute.get_strategy()
    several_workers = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if strategy.num_replicas_in_sync > 1 or several_workers:
        model._maybe_symbolic_build = lambda **_: None
    if strategy.num_replicas_in_sync > 1:
        for layer in model.mlp:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
        l2 = 0.0
        for layer in model.field_layers:
            # The step adds the penalty: losses that layers add are not kept apart by replica.
            l2, layer.l2 = layer.l2, 0.0
        model.train_step = lambda data: _train_step(model, l2, data)
    if several_workers:
        step = model.train_step
        model.train_step = lambda data: {name: tf.reshape(value, [1]) for name, value in step(data).items()}


def _train_step(model: DeepFM, l2: float, data: tuple[Any, ...]) -> dict[str, tf.Tensor]:
    """Trains on one replica's part of a batch, which may be empty.

    Args:
        model: The model; its embeddings do not add an L2 penalty.
        l2: Factor of the L2 penalty on the table rows that the batch of all replicas uses, each once.
        data: The features and labels of the part, and the weights of its rows if they have some.

    Returns:
        The mean loss of the epoch until now.
    """
    features, label, *weight_of_rows = data
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    rows = tf.cast(tf.shape(label)[0], tf.float32)
    rows_of_batch = context.all_reduce(tf.distribute.ReduceOp.SUM, rows)
    # Keras divides by the number of rows of the replica and by the number of replicas.
    weights = tf.fill(tf.shape(label), replicas * rows / rows_of_batch)
    for weight in weight_of_rows:
        weight_of_batch = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(weight))
        weights = weight * tf.math.divide_no_nan(replicas * rows, weight_of_batch)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(features, label, model(features, training=True), weights)
        scaled_loss = model.optimizer.scale_loss(loss)
    variables = model.trainable_variables
    gradients = tape.gradient(scaled_loss, variables)
    for index, gradient in enumerate(gradients):
        if l2 and isinstance(gradient, tf.IndexedSlices):  # Of a table.
            penalty, of_penalty = _row_penalty(l2, variables[index].value, gradient.indices)
            loss += penalty
            values = gradient.values + model.optimizer.scale_loss(of_penalty)
            gradients[index] = tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    # The losses of the replicas add up to that of the batch.
    model._loss_tracker.update_state(replicas * loss, sample_weight=rows_of_batch / replicas)
    return model.get_metrics_result()


def _row_penalty(l2: float, table: tf.Variable, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns this replica's share of l2·Σ row² over the rows that any replica uses, and its gradient.

    The replicas that use a row have equal shares of its penalty.

    Args:
        l2: Factor of the penalty.
        table: `[rows, width]`.
        ids: The rows that this replica uses, each once, `[rows used]`.

    Returns:
        The penalty, a scalar, and its gradient, `[rows used, width]`.
    """
    ids_of_all = tf.distribute.get_replica_context().all_gather(ids, axis=0)
    _, indices, counts = tf.unique_with_counts(tf.concat([ids, ids_of_all], axis=0))
    users = tf.cast(tf.gather(counts, indices[: tf.size(ids)]) - 1, tf.float32)[:, tf.newaxis]
    rows = tf.gather(table, ids)
    return l2 * tf.reduce_sum(tf.square(rows) / users), 2 * l2 * rows / users
