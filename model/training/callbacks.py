"""Keras callbacks for training: exact metrics of the eval split, checkpoints, early stopping."""

from __future__ import annotations

import math
from operator import itemgetter
from os.path import join
from typing import Any

import keras
import tensorflow as tf

from ...transforms.spec import Spec
from .. import metrics
from ..evaluation import ranking_measures, score, scorer, warn_of_nan
from ..metrics.groups import group_ids
from .checkpoints import Progress, not_finite, save_checkpoint
from .folder import WEIGHTS_FILES, weights_path
from .monitor import best_epoch
from .variables import write_variables

Logs = dict[str, Any] | None


class EvalMetrics(keras.callbacks.Callback):
    """Adds `val_auc`, `val_pr_auc`, `val_logloss` and, with groups, `val_gauc` of the eval split to the logs.

    A ranking metric is added if it is that of `train.early_stopping`, such as `val_ndcg@5`.

    Later callbacks can use them: `EarlyStopping(monitor="val_auc", mode="max")`,
    `ModelCheckpoint`, `TensorBoard`. Keras' validation would give means over batches, and an AUC from 200
    buckets.

    Args:
        dataset: The complete eval split: batches of `(features, label)`, or with weights, which weight the metrics.
        spec: The spec of its run. The dataset must have the features `metrics.groups.carried_groups`.
    """

    def __init__(self, dataset: tf.data.Dataset, spec: Spec) -> None:
        super().__init__()
        self._dataset, self._spec = dataset, spec
        self._logits_of: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Creates the scoring graph, once for all epochs."""
        self._logits_of = scorer(self.model, self._dataset.element_spec[0])

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Scores the eval split and adds its metrics to the logs."""
        if logs is None:
            return
        gauc_by, ranking = self._spec.evaluation.gauc_by, self._spec.evaluation.ranking
        metric, by = self._spec.stopping_metric
        scores = score(self._logits_of, self._dataset, {name: itemgetter(name) for name in (gauc_by, by) if name})
        labels, logits, columns, weights = scores
        warn_of_nan(logits, "the eval split")
        logs["val_auc"] = metrics.auc(labels, logits, weights)
        logs["val_pr_auc"] = metrics.pr_auc(labels, logits, weights)
        logs["val_logloss"] = metrics.logloss(labels, logits, weights)
        if gauc_by:
            group, is_group = group_ids(self._spec, gauc_by, columns[gauc_by])
            labels, logits, _, weights = scores.only(is_group)
            logs["val_gauc"] = metrics.gauc(labels, logits, group[is_group], weights)
        if ranking and metric != "gauc" and by:
            logs[f"val_{metric}"] = ranking_measures(scores, self._spec, ranking)[metric]


class FiniteLoss(keras.callbacks.Callback):
    """Ends training if the loss is NaN or infinite. It must come before `Checkpoints`.

    Raises:
        UserError: after a step with such a loss, or the call of several steps that has it.
    """

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Keeps the number of the epoch for the message."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Checks the mean loss of the epoch so far, which one such step makes NaN or infinite."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise not_finite(f"epoch {self._epoch + 1}: the loss is {loss}")


class BestWeights(keras.callbacks.Callback):
    """Writes the weights after each epoch that is the best until then, atomically, and removes earlier ones.

    The best ones of the two epochs before remain as well, because training may resume there with another learning rate.

    Args:
        folder: The folder of the files; see `weights_path`.
        history: The metrics of each epoch; `EpochHistory`, which must come after this callback, extends it.
        monitor: The metric that selects the best epoch; None: the last one is the best.
    """

    def __init__(self, folder: str, history: list[dict[str, float]], monitor: str | None) -> None:
        super().__init__()
        self._folder, self._history, self._monitor = folder, history, monitor

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Writes the weights, if they are the best."""
        history = [*self._history, {"epoch": epoch + 1, **(logs or {})}]
        best = {best_epoch(history[: len(history) - ago], self._monitor) for ago in range(min(3, len(history)))}
        if epoch + 1 in best:
            write_variables(weights_path(self._folder, epoch + 1), self.model.weights, {"epoch": epoch + 1})
        kept = {weights_path(self._folder, number) for number in best}
        for path in tf.io.gfile.glob(join(self._folder, WEIGHTS_FILES)):
            if path not in kept:
                tf.io.gfile.remove(path)


class Checkpoints(keras.callbacks.Callback):
    """Writes a checkpoint after each epoch, optionally also within epochs.

    It must come before the callbacks that compute metrics, so that an error or a kill there loses no epoch. The
    checkpoint after an epoch therefore lacks the metrics of that epoch.

    Args:
        folder: The folder of the checkpoints.
        start: The progress from which training starts. The model already has that state.
        history: The metrics of each measured epoch; `EpochHistory` extends it.
        settings: See `save_checkpoint`.
        steps: The number of steps between checkpoints within an epoch; None: only after each epoch.
    """

    def __init__(
        self,
        folder: str,
        start: Progress,
        history: list[dict[str, float]],
        settings: dict[str, Any],
        steps: int | None,
    ) -> None:
        super().__init__()
        self._folder, self._start, self._history, self._settings, self._steps = folder, start, history, settings, steps
        self._epoch = self._skipped = self._done = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Restores the metrics of an interrupted epoch, which Keras has reset."""
        resumes = epoch == self._start.epoch and self._start.step > 0
        self._epoch, self._skipped = epoch, self._start.step if resumes else 0
        self._done = self._skipped
        if resumes:
            self._start.restore_metrics(self.model)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Writes a checkpoint within an epoch."""
        before, self._done = self._done, batch + 1 + self._skipped
        # A call of several steps may pass the step at which a checkpoint is due, if training resumed at another one.
        is_due = self._steps is not None and self._done // self._steps > before // self._steps
        # Not after the last step: the checkpoint of the epoch follows, and `fit` cannot run an epoch without steps.
        if is_due and batch + 1 < self.params["steps"]:
            self._save(self._epoch, self._done)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Writes the checkpoint of a complete epoch, unless training has started from it."""
        if epoch + 1 > self._start.epoch:
            self._save(epoch + 1, 0)

    def _save(self, epoch: int, step: int) -> None:
        metrics = [keras.ops.convert_to_numpy(v).tolist() for v in self.model.metrics_variables]
        save_checkpoint(self._folder, self.model, Progress(epoch, step, self._history, metrics), self._settings)


class EpochHistory(keras.callbacks.Callback):
    """Adds the logs of each epoch to a history. It must come after all callbacks that add to the logs.

    Args:
        history: The list to extend.
    """

    def __init__(self, history: list[dict[str, float]]) -> None:
        super().__init__()
        self._history = history

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Adds an epoch."""
        self._history.append({"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}})


class StopEarly(keras.callbacks.Callback):
    """Ends training if a metric has not improved for `patience` epochs.

    Keras' `EarlyStopping` counts from the start of `fit`. This callback uses the history, so a resumed training ends
    after the same epoch as an uninterrupted one.

    Args:
        history: The list that `EpochHistory` extends; this callback must come after it.
        monitor: The metric to compare, `val_auc` for example.
        patience: The number of epochs without improvement; 0 is the same as 1.
    """

    def __init__(self, history: list[dict[str, float]], monitor: str, patience: int) -> None:
        super().__init__()
        self._history, self._monitor, self._patience = history, monitor, patience

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Stops training if `is_over`."""
        if self.is_over():
            self.model.stop_training = True

    def is_over(self) -> bool:
        """Returns whether the metric has not improved for `patience` epochs."""
        if not self._history:
            return False
        return len(self._history) - best_epoch(self._history, self._monitor) >= max(self._patience, 1)
