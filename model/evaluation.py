"""Scores a whole split with a model, and says how good the scores are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from . import metrics
from .examples import NoExamples, read_examples
from .run import Run

Features = dict[str, tf.Tensor]


def scorer(model: keras.Model, features: dict[str, tf.TensorSpec]) -> Callable[[Features], tf.Tensor]:
    """Returns a graph from features to logits, `[batch]`, traced once for batches of any size.

    `keras.Model.predict` would compile with XLA, and once more for the last, smaller batch.
    """

    def logits(batch: Features) -> tf.Tensor:
        return tf.squeeze(tf.cast(model(batch, training=False), tf.float32), axis=1)

    return tf.function(logits, input_signature=[features])


def score(logits_of: Callable[[Features], tf.Tensor], dataset: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels and logits of a dataset of `(features, label)`, both float32 `[n]`, in its order."""
    labels, logits = [np.zeros(0, "float32")], [np.zeros(0, "float32")]
    for features, label in dataset:
        labels.append(label.numpy())
        logits.append(logits_of(features).numpy())
    return np.concatenate(labels), np.concatenate(logits)


def evaluate(model: keras.Model, run: Run, split: str, *, batch_size: int = 1024) -> dict[str, Any]:
    """Returns how good `model` is on all of a split.

    Args:
        model: One whose inputs are the features of `run` and whose output is a logit, `[batch, 1]`.
        run: The run with the examples.
        split: train, eval or test.
        batch_size: Examples that are scored at once; changes speed and memory alone.

    Returns:
        `auc` (NaN if all labels are the same), `logloss`, `examples`, and `positives`, their share.

    Raises:
        NoExamples: if the split is empty.
    """
    dataset = read_examples(run, split, batch_size=batch_size)
    labels, logits = score(scorer(model, dataset.element_spec[0]), dataset)
    if len(labels) == 0:
        raise NoExamples(f"{run.path}: the files of the split {split!r} hold no examples; evaluate another")
    return {
        "auc": metrics.auc(labels, logits),
        "logloss": metrics.logloss(labels, logits),
        "examples": len(labels),
        "positives": float(labels.mean()),
    }
