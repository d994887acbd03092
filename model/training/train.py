"""Trains the DeepFM of a run and keeps the best epoch.

Writes a folder with the model, checkpoints, logs and metrics. TensorFlow only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os.path import join
from typing import Any

import keras
import tensorflow as tf

from ...transforms.outputs import locked_folder
from ...transforms.runs.run import Run
from ...transforms.spec import Spec
from ...transforms.spec.training import Model, Train
from ...transforms.writing import temporary_folder
from ..examples import NoExamples, count_examples, read_examples, reading_examples
from ..layers.deepfm import DeepFM
from ..metrics.groups import carried_groups
from .calibration import check_calibration, with_calibration
from .callbacks import BestWeights, Checkpoints, EpochHistory, EvalMetrics, FiniteLoss, StopEarly
from .checkpoints import Progress, load_checkpoint
from .compilation import compiled_model
from .folder import (
    CACHE_FOLDER,
    CHECKPOINTS_FOLDER,
    LOGS_FOLDER,
    check_best_weights,
    check_folder,
    prepare_folder,
    remove_cache,
    replace_model,
    weights_path,
    writing_model,
)
from .monitor import best_epoch, choose_monitor
from .result import TrainingResult, write_summary
from .rounds import Rounds
from .steps.multi_worker import is_first_worker, same_batches
from .steps.together import steps_together
from .variables import read_variables


def train(
    run: Run,
    out_dir: str,
    *,
    model_settings: Model | None = None,
    train_settings: Train | None = None,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    overwrite: bool = False,
) -> TrainingResult:
    """Trains a DeepFM on the train split, evaluates it on the eval split after each epoch, and keeps the best epoch.

    With `train.eval_steps` it does so after each such number of steps, which is then called an epoch, too.

    Writes `model.keras` (the best epoch), `checkpoints/best-????.npz` (its weights), `checkpoints/state-*.npz` (the
    checkpoints for `resume`), `logs/` (TensorBoard) and `training.json` to `out_dir`.
    With `overwrite`, an earlier model remains until the new one is complete; then its `serving/` and `report.html` are
    removed, and it is replaced. While training runs, `out_dir` has a file `UNFINISHED`, and other processes on the same
    machine cannot write there. On the same machine, the same seed gives the same numbers, whether or not training was
    interrupted and resumed.

    `train.early_stopping.metric` selects the best epoch, and is used for early stopping; without `early_stopping` the
    best epoch is that of the highest AUC. If no group of the eval split has both labels, AUC is used instead of metrics
    of groups; if all eval labels are the same, AUC is undefined and logloss is used instead. If the eval split is
    empty, all epochs run and the last one is kept. Each of these gives a warning.

    In the scope of a `tf.distribute` strategy (MirroredStrategy, MultiWorkerMirroredStrategy) the replicas share each
    batch; batches are the same as without a strategy. With several workers only the first one writes.

    Args:
        run: A finished run.
        out_dir: The folder for the files; created if it does not exist.
        model_settings: Replaces the `model:` section of the run's spec.
        train_settings: Replaces its `train:` section.
        resume: Whether to resume from the newest complete checkpoint in `out_dir`; if there is none, training starts
            from scratch.
        callbacks: More callbacks, such as progress bars or `keras.callbacks.ModelCheckpoint`. They are called after
            those that compute metrics, so the logs have `val_auc` and `val_logloss`. A training that is resumed calls
            them again at the end of the last epoch of the checkpoint. If a pass over the train split has 1000 steps or
            more, batch methods are called once for several steps: see `StepsTogether`.
        overwrite: Whether an earlier model, or an unfinished training, in `out_dir` may be replaced.

    Raises:
        TargetExists: if `out_dir` has a model or a checkpoint, without `overwrite` and `resume`; if it has other files
            but no training; if another process is working there.
        NoExamples: if the train split is empty.
        CannotWrite: if `out_dir` cannot be written to; an earlier model remains, and so does the newest checkpoint.
        UserError: if `train.calibrate` lacks eval rows of both labels; if the loss becomes NaN or infinite; if `resume`
            finds a checkpoint that was written with another model or other settings.
    """
    sections = {"model": model_settings, "train": train_settings}
    spec = run.spec.model_copy(update={k: v for k, v in sections.items() if v is not None})
    keras.utils.set_random_seed(spec.train.seed)
    check_folder(out_dir, overwrite=overwrite, resume=resume)

    examples = count_examples(run, "train")
    if not examples:
        raise NoExamples(
            f"{run.path}: the train split has no examples; change `split:` in the spec so that it has rows, and run "
            "`fieldpool transform` again"
        )
    check_calibration(run, spec)
    rounds = Rounds(math.ceil(examples / spec.train.batch_size), spec.train.epochs, spec.train.eval_steps)
    training = _Training(run, spec, out_dir, rounds, choose_monitor(run, spec))
    resume_from = training.checkpoints if resume else None
    if not is_first_worker():
        # Reading variables needs all workers, so every worker writes all files; those of the others are not kept.
        with temporary_folder("train") as scratch:
            return _train(replace(training, folder=scratch), resume_from, callbacks)
    with locked_folder(out_dir), writing_model(out_dir), reading_examples(run):
        check_folder(out_dir, overwrite=overwrite, resume=resume)  # Another process may have written to it.
        return _train(training, resume_from, callbacks)


@dataclass(frozen=True)
class _Training:
    """The arguments that the functions of this module share.

    Attributes:
        run: The run to train on.
        spec: Its spec, with the settings to train with.
        folder: The folder for all files.
        rounds: The steps between two evaluations.
        monitor: The metric that selects the best epoch; None if the eval split is empty.
    """

    run: Run
    spec: Spec
    folder: str
    rounds: Rounds
    monitor: str | None

    @property
    def checkpoints(self) -> str:
        """The folder with the checkpoints and the weights of each epoch."""
        return join(self.folder, CHECKPOINTS_FOLDER)


def _train(
    training: _Training, resume_from: str | None, callbacks: Sequence[keras.callbacks.Callback]
) -> TrainingResult:
    """Trains in `training.folder`; `resume_from` is the folder with the checkpoints to resume from, if any."""
    history, config = _fitted(training, resume_from, callbacks)
    # The trained model and its optimizer are gone, which at 10 million ids are 2 GB.
    result = TrainingResult(history, best_epoch(history, training.monitor), training.monitor, training.folder)
    _save_best(training, config, result)
    remove_cache(training.folder)
    return result


def _fitted(
    training: _Training, resume_from: str | None, callbacks: Sequence[keras.callbacks.Callback]
) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """Trains; returns the history, and the config of the model. The folder has the weights of the best epoch."""
    run, spec, monitor = training.run, training.spec, training.monitor
    model = compiled_model(spec, run, training.rounds.steps_of_epoch)
    common = _common_settings(run, spec)
    start = load_checkpoint(resume_from, model, common, run) if resume_from else Progress()
    check_best_weights(training.checkpoints, best_epoch(start.history, monitor))
    is_resumed = bool(start.epoch or start.step)
    prepare_folder(training.folder, keep_checkpoints=is_resumed)  # After the checkpoint is accepted.
    history = list(start.history)
    checkpoints = Checkpoints(training.checkpoints, start, history, common, spec.train.checkpoint_steps)
    stopping = spec.train.early_stopping
    stop = StopEarly(history, monitor, stopping.patience) if monitor and stopping else None
    every = [
        *steps_together(model, training.rounds.steps_of_epoch, spec.train.checkpoint_steps),
        FiniteLoss(),
        checkpoints,  # Before metrics are computed, which may fail or be killed.
        *_measuring_callbacks(training, history),
        # The given ones can read the metrics of the eval split from the logs, and may add to the logs.
        *callbacks,
        EpochHistory(history),
        *([stop] if stop else []),
    ]
    if len(history) < start.epoch:
        _measure_epoch(training, model, start, every)
    _fit(training, model, start, every, stop)
    return history, model.get_config()


def _measuring_callbacks(training: _Training, history: list[dict[str, float]]) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that measure the eval split, and that write weights and logs, after each epoch."""
    eval_callbacks = []
    if training.monitor:
        spec = training.spec
        dataset = read_examples(training.run, "eval", batch_size=spec.train.batch_size, columns=carried_groups(spec))
        eval_callbacks = [EvalMetrics(dataset, spec)]
    return [
        *eval_callbacks,
        BestWeights(training.checkpoints, history, training.monitor),
        keras.callbacks.TensorBoard(join(training.folder, LOGS_FOLDER), write_graph=False),
    ]


def _measure_epoch(
    training: _Training, model: DeepFM, start: Progress, callbacks: list[keras.callbacks.Callback]
) -> None:
    """Ends the epoch of a checkpoint that was written before the epoch was measured, as `fit` ends an epoch."""
    start.restore_metrics(model)
    fit = keras.callbacks.CallbackList(
        callbacks, model=model, epochs=training.rounds.count, steps=training.rounds.steps, verbose=0
    )
    fit.on_train_begin()
    fit.on_epoch_begin(start.epoch - 1)
    fit.on_epoch_end(start.epoch - 1, model.get_metrics_result())
    fit.on_train_end()


def _fit(
    training: _Training,
    model: DeepFM,
    start: Progress,
    callbacks: list[keras.callbacks.Callback],
    stop: StopEarly | None,
) -> None:
    """Trains the model from `start` to the last epoch, or until `stop` ends it."""
    for fit in training.rounds.fits(start.epoch, start.step):
        if not (stop and stop.is_over()):
            model.fit(
                _batches(training, fit.epoch, fit.skip),
                initial_epoch=fit.first,
                epochs=fit.last,
                steps_per_epoch=fit.steps,
                shuffle=False,  # The dataset shuffles; True, Keras' default, warns.
                verbose=0,
                callbacks=callbacks,
            )


def _batches(training: _Training, epoch: int, skip: int) -> tf.data.Dataset:
    """Returns the train split for `fit` from an epoch on, without the first `skip` batches of that epoch.

    The dataset is endless and `fit` counts the steps, because a step without a batch would still increase the
    optimizer's step.
    """
    settings = training.spec.train
    caches = {"none": None, "memory": "memory", "disk": join(training.folder, CACHE_FOLDER, "train")}
    examples = read_examples(
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
    return same_batches(examples)


def _save_best(training: _Training, config: dict[str, Any], result: TrainingResult) -> None:
    """Writes the model with the weights of the best epoch, and `training.json`."""
    # A new model: the trained one would be saved with its optimizer, at three times the size.
    best = DeepFM.from_config(config)
    best.build()
    read_variables(weights_path(training.checkpoints, result.best_epoch), best.weights)
    if training.spec.train.calibrate == "isotonic":
        best = with_calibration(best, training.run, training.spec)
    replace_model(training.folder, best, lambda: write_summary(result, training.run, training.spec))


def _common_settings(run: Run, spec: Spec) -> dict[str, Any]:
    """Returns the settings that must be the same when training is resumed."""
    train_settings = spec.train.model_dump(mode="json")
    may_differ = {"early_stopping", "checkpoint_steps", "calibrate"} | (
        {"epochs"} if spec.train.decay == "none" and not spec.train.eval_steps else set()
    )
    return {
        **{f"model.{name}": value for name, value in spec.model.model_dump(mode="json").items()},
        **{f"train.{name}": value for name, value in train_settings.items() if name not in may_differ},
        **{f"fields.{name}.pooling": field.combiner for name, field in spec.fields.items() if field.is_list},
        "vocabulary sizes": dict(run.vocabulary_sizes),
        "examples of train": count_examples(run, "train"),
        "shards of train": len(run.shards("train")),
    }
