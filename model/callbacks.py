"""Keras callbacks of a training: exact metrics of the eval split, and a checkpoint an epoch."""

from __future__ import annotations

import math
from os.path import join
from typing import Any

import keras
import tensorflow as tf

from ..transforms.errors import UserError
from . import metrics
from .atomic import write_atomically
from .evaluation import score, scorer


class EvalMetrics(keras.callbacks.Callback):
    """Adds `val_auc` and `val_logloss`, of the whole eval split, to the logs of each epoch.

    Callbacks that come after it can use them: `EarlyStopping(monitor="val_auc", mode="max")`,
    `ModelCheckpoint`, `TensorBoard`. Keras' own validation would give means over batches, and an AUC of
    200 buckets.

    Args:
        dataset: The eval split: `(features, label)`, always in the same order.
    """

    def __init__(self, dataset: tf.data.Dataset) -> None:
        super().__init__()
        self._dataset = dataset
        self._logits_of: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Makes the scoring graph, once for all epochs."""
        self._logits_of = scorer(self.model, self._dataset.element_spec[0])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Scores the eval split."""
        if logs is not None:
            labels, logits = score(self._logits_of, self._dataset)
            logs["val_auc"] = metrics.auc(labels, logits)
            logs["val_logloss"] = metrics.logloss(labels, logits)


class FiniteLoss(keras.callbacks.Callback):
    """Ends a training whose loss is no number any more.

    Raises:
        UserError: at the end of such an epoch.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the loss."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise UserError(
                f"epoch {epoch + 1}: the loss is {loss}; expected a number. Lower `train.learning_rate`, or "
                "scale the numeric fields (`scale: zscore`)"
            )


class EpochCheckpoints(keras.callbacks.Callback):
    """Writes the weights after each epoch, each file complete or not there at all.

    Args:
        folder: Where the files go; see `checkpoint_path`.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the weights."""
        write_atomically(checkpoint_path(self._folder, epoch + 1), self.model.save_weights)


def checkpoint_path(folder: str, epoch: int) -> str:
    """Returns the file with the weights after `epoch`, counted from 1."""
    return join(folder, f"epoch-{epoch:04d}.weights.h5")
