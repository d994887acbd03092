"""Trains the DeepFM of a run, and keeps its best epoch.

A run goes in; a folder with the model, its checkpoints, its logs and its numbers comes out. TensorFlow only.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os.path import join
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...transforms.spec import Spec
from ...transforms.spec.training import Model, Train
from ..examples import NoExamples, count_examples, read_examples
from ..files import write_atomically
from ..layers.deepfm import DeepFM
from ..run import Run
from .callbacks import Checkpoints, EpochWeights, FiniteLoss, StopEarly, best_epoch, eval_metrics
from .checkpoints import Progress, load_checkpoint
from .compilation import compiled_model
from .folder import (
    CACHE_FOLDER,
    CHECKPOINTS_FOLDER,
    LOGS_FOLDER,
    prepare_folder,
    remove_cache,
    weights_path,
)
from .multi_worker import is_first_worker, same_batches
from .result import TrainingResult, write_summary


def train(
    run: Run,
    out_dir: str,
    *,
    model_settings: Model | None = None,
    train_settings: Train | None = None,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> TrainingResult:
    """Trains a DeepFM on the train split, measures it on the eval split after each epoch, keeps the best.

    Writes `model.keras` (the best epoch), `checkpoints/epoch-????.weights.h5` (every epoch),
    `checkpoints/state-*.npz` (what `resume` continues from), `logs/` (TensorBoard) and `training.json` to `out_dir`,
    whose files of an earlier training are replaced. The same seed gives the same numbers, on one machine, interrupted
    and resumed or not.

    The best epoch, and early stopping if the spec has it, go by `train.early_stopping.metric`, AUC where
    there is none. If all eval labels are the same, there is no AUC, and logloss takes its place, with a
    warning. If the eval split is empty, all epochs run and the last one is kept, with a warning.

    Within the scope of a `tf.distribute` strategy (MirroredStrategy, MultiWorkerMirroredStrategy) the model is trained
    by it, on the same batches, each divided among the replicas. Of several workers the first one writes.

    Args:
        run: A finished run.
        out_dir: A folder; made if need be.
        model_settings: Instead of the `model:` section of the run's spec.
        train_settings: Instead of its `train:` section.
        resume: Whether to continue from the last complete checkpoint in `out_dir`; without one, the training starts
            from scratch.
        callbacks: Called after the built-in ones that measure, so that they find `val_auc` and `val_logloss` in the
            logs: progress bars, `keras.callbacks.ModelCheckpoint`, …

    Raises:
        NoExamples: if the train split is empty.
        UserError: if the loss becomes NaN or infinite; if `resume` finds a checkpoint of another training.
    """
    sections = {"model": model_settings, "train": train_settings}
    spec = run.spec.model_copy(update={k: v for k, v in sections.items() if v is not None})
    keras.utils.set_random_seed(spec.train.seed)

    examples = count_examples(run, "train")
    if not examples:
        raise NoExamples(f"{run.path}: the train split holds no examples; make the run again")
    training = _Training(run, spec, out_dir, math.ceil(examples / spec.train.batch_size), _monitor(run, spec.train))
    resume_from = training.checkpoints if resume else None
    if not is_first_worker():
        # Reading a model's variables takes all workers, so each of them writes everything, but one result is enough.
        with tempfile.TemporaryDirectory() as scratch:
            return _train(replace(training, folder=scratch), resume_from, callbacks)
    return _train(training, resume_from, callbacks)


@dataclass(frozen=True)
class _Training:
    """What the steps of one training have in common.

    Attributes:
        run: The run to train on.
        spec: Its spec, with the settings of this training.
        folder: Where all files go.
        steps: The steps of an epoch.
        monitor: The metric by which epochs are compared; None if there is no eval split.
    """

    run: Run
    spec: Spec
    folder: str
    steps: int
    monitor: str | None

    @property
    def checkpoints(self) -> str:
        """The folder with the checkpoints and the weights of each epoch."""
        return join(self.folder, CHECKPOINTS_FOLDER)


def _train(
    training: _Training, resume_from: str | None, callbacks: Sequence[keras.callbacks.Callback]
) -> TrainingResult:
    """Trains in `training.folder`; `resume_from` is the folder with the checkpoints to continue from."""
    run, spec, monitor = training.run, training.spec, training.monitor
    prepare_folder(training.folder, keep_checkpoints=resume_from is not None)
    model = compiled_model(spec, run.vocabulary_sizes, training.steps)
    common = _common_settings(run, spec)
    start = load_checkpoint(resume_from, model, common) if resume_from else Progress()
    checkpoints = Checkpoints(training.checkpoints, start, common, spec.train.checkpoint_steps)
    stopping = spec.train.early_stopping
    stop = StopEarly(checkpoints.history, monitor, stopping.patience) if monitor and stopping else None
    _fit(training, model, start, _callbacks(training, checkpoints, stop, callbacks), stop)
    result = TrainingResult(checkpoints.history, best_epoch(checkpoints.history, monitor), monitor, training.folder)
    _save_best(training, model, result)
    remove_cache(training.folder)
    return result


def _callbacks(
    training: _Training,
    checkpoints: Checkpoints,
    stop: StopEarly | None,
    given: Sequence[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    """Returns all callbacks of a training, those that the caller gave among them."""
    measuring = []
    if training.monitor:
        batch_size = training.spec.train.batch_size
        measuring = [eval_metrics(read_examples(training.run, "eval", batch_size=batch_size), training.spec)]
    # Keras calls them in this order at the end of an epoch. A loss of NaN ends the training before anything is
    # written. The metrics of the eval split come before all that read them from the logs: TensorBoard and the given
    # callbacks. These may add to the logs, which `checkpoints` then keeps; `stop` reads the history that it keeps.
    return [
        FiniteLoss(),
        *measuring,
        EpochWeights(training.checkpoints),
        keras.callbacks.TensorBoard(join(training.folder, LOGS_FOLDER), write_graph=False),
        *given,
        checkpoints,
        *([stop] if stop else []),
    ]


def _fit(
    training: _Training,
    model: DeepFM,
    start: Progress,
    callbacks: list[keras.callbacks.Callback],
    stop: StopEarly | None,
) -> None:
    """Trains the model from `start` to the last epoch, or until `stop` ends it."""
    # The rest of an interrupted epoch is a `fit` of its own, for it has fewer steps.
    next_epoch = start.epoch + (1 if start.step else 0)
    for first, last, skip in ((start.epoch, next_epoch, start.step), (next_epoch, training.spec.train.epochs, 0)):
        if first < last and not (stop and stop.is_over()):
            model.fit(
                same_batches(_examples(training, first, skip)),
                initial_epoch=first,
                epochs=last,
                steps_per_epoch=training.steps - skip,
                verbose=0,
                callbacks=callbacks,
            )


def _examples(training: _Training, epoch: int, skip: int) -> tf.data.Dataset:
    """Returns the train split from an epoch on, without the first `skip` batches of that epoch.

    It is endless, and `fit` counts the steps: a step that finds no batch would still advance the optimizer's count.
    """
    settings = training.spec.train
    caches = {"none": None, "memory": "memory", "disk": join(training.folder, CACHE_FOLDER, "train")}
    return read_examples(
        training.run,
        "train",
        batch_size=settings.batch_size,
        shuffle_buffer=settings.shuffle_buffer,
        seed=settings.seed,
        epoch=epoch,
        skip=skip,
        repeat=True,
        cache=caches[settings.cache],
    )


def _save_best(training: _Training, model: DeepFM, result: TrainingResult) -> None:
    """Writes the model with the weights of the best epoch, and the numbers of all."""
    # Another model, for the trained one would be saved with its optimizer, three times the size.
    best = DeepFM.from_config(model.get_config())
    best.build()
    best.load_weights(weights_path(training.checkpoints, result.best_epoch))
    write_atomically(result.model_path, best.save)
    write_summary(result, training.run, training.spec)


def _monitor(run: Run, settings: Train) -> str | None:
    """Returns the metric that epochs are compared by, or None if there is no eval split."""
    if not count_examples(run, "eval"):
        warnings.warn(f"{run.path}: the eval split is empty: no early stopping, the last epoch is kept", stacklevel=3)
        return None
    metric = settings.early_stopping.metric if settings.early_stopping else "auc"
    if metric != "logloss":
        batches = read_examples(run, "eval", batch_size=settings.batch_size)
        kinds: set[float] = set()
        for _, label in batches:
            kinds.update(np.unique(label.numpy()).tolist())
            if len(kinds) > 1:
                return f"val_{metric}"
        warnings.warn(
            f"{run.path}: all labels of the eval split are {kinds.pop():g}, which gives no AUC: the best "
            "epoch is that of the least logloss",
            stacklevel=3,
        )
    return "val_logloss"


def _common_settings(run: Run, spec: Spec) -> dict[str, Any]:
    """Returns what two trainings must have in common for one to continue where the other stopped."""
    train_settings = spec.train.model_dump(mode="json")
    may_differ = {"early_stopping", "cache", "checkpoint_steps"} | ({"epochs"} if spec.train.decay == "none" else set())
    return {
        **{f"model.{name}": value for name, value in spec.model.model_dump(mode="json").items()},
        **{f"train.{name}": value for name, value in train_settings.items() if name not in may_differ},
        "vocabulary sizes": dict(run.vocabulary_sizes),
        "shards of train": len(run.shards("train")),
    }
