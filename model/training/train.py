"""Trains the DeepFM of a run, and keeps its best epoch.

A run goes in; a folder with the model, its checkpoints, its logs and its numbers comes out. TensorFlow only.
"""

from __future__ import annotations

import math
import platform
import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from os.path import join
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...transforms.errors import UserError
from ...transforms.spec import Spec
from ...transforms.spec.training import Model, Train
from ..evaluation import evaluate
from ..examples import NoExamples, count_examples, read_examples
from ..files import write_atomically, write_json
from ..layers.deepfm import DeepFM, deepfm
from ..run import Run
from .callbacks import Checkpoints, EpochWeights, FiniteLoss, StopEarly, best_epoch, eval_metrics, weights_path
from .checkpoints import Progress, load_checkpoint
from .multi_worker import is_first_worker, same_batches, suit_to_workers
from .optimizers import optimizer
from .schedules import learning_rate

__all__ = ["TrainingResult", "evaluate", "load_model", "train"]

MODEL_FILE = "model.keras"
TRAINING_FILE = "training.json"
CHECKPOINTS_FOLDER = "checkpoints"
LOGS_FOLDER = "logs"
CACHE_FOLDER = "cache"


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training.

    Attributes:
        history: For each epoch `epoch` (from 1), `loss` (of train, with dropout and L2 penalty), and, if
            there is an eval split, `val_auc`, `val_pr_auc`, `val_logloss` and perhaps `val_gauc` of all of it.
        best_epoch: The epoch whose weights the model has, counted from 1.
        monitor: What "best" means, `val_auc` for example; None if the eval split is empty.
        model_path: The model, for `load_model`.
        training_path: All these numbers, the spec and the versions, as JSON.
    """

    history: list[dict[str, float]]
    best_epoch: int
    monitor: str | None
    model_path: str
    training_path: str

    @property
    def best(self) -> dict[str, float]:
        """The numbers of the best epoch."""
        return self.history[self.best_epoch - 1]


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
    `checkpoints/state-*.npz` (what `resume` goes on from), `logs/` (TensorBoard) and `training.json` to `out_dir`,
    whose files of an earlier training are replaced. The same seed gives the same numbers, on one machine, broken off
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
        resume: Goes on from the last whole checkpoint in `out_dir`, or starts if there is none.
        callbacks: Called after the built-in ones that measure, so that they find `val_auc` and `val_logloss` in the
            logs: progress bars, `keras.callbacks.ModelCheckpoint`, …

    Raises:
        NoExamples: if the train split is empty.
        UserError: if the loss is no number any more; if `resume` finds a checkpoint of another training.
    """
    sections = {"model": model_settings, "train": train_settings}
    spec = run.spec.model_copy(update={k: v for k, v in sections.items() if v is not None})
    settings = spec.train
    keras.utils.set_random_seed(settings.seed)

    examples = count_examples(run, "train")
    if not examples:
        raise NoExamples(f"{run.path}: the train split holds no examples; make the run again")
    monitor = _monitor(run, settings)
    if not is_first_worker():
        # Reading a model's variables takes all workers, so each of them writes everything, but one result is enough.
        with tempfile.TemporaryDirectory() as scratch:
            return _train(run, spec, examples, monitor, scratch, out_dir if resume else None, callbacks)
    return _train(run, spec, examples, monitor, out_dir, out_dir if resume else None, callbacks)


def _train(
    run: Run,
    spec: Spec,
    examples: int,
    monitor: str | None,
    out_dir: str,
    resume_from: str | None,
    callbacks: Sequence[keras.callbacks.Callback],
) -> TrainingResult:
    settings = spec.train
    checkpoints = join(out_dir, CHECKPOINTS_FOLDER)
    _make_folders(out_dir, keep=resume_from is not None)
    steps = math.ceil(examples / settings.batch_size)
    model = compiled_model(spec, run.vocabulary_sizes, steps)
    common = _common_settings(run, spec)
    start = load_checkpoint(join(resume_from, CHECKPOINTS_FOLDER), model, common) if resume_from else Progress()
    state = Checkpoints(checkpoints, start, common, settings.checkpoint_steps)
    stop = (
        StopEarly(state.history, monitor, settings.early_stopping.patience)
        if monitor and settings.early_stopping
        else None
    )
    every = [
        FiniteLoss(),
        *([eval_metrics(read_examples(run, "eval", batch_size=settings.batch_size), spec)] if monitor else []),
        EpochWeights(checkpoints),
        keras.callbacks.TensorBoard(join(out_dir, LOGS_FOLDER), write_graph=False),
        *callbacks,
        state,
        *([stop] if stop else []),
    ]
    cache = join(out_dir, CACHE_FOLDER, "train") if settings.cache == "disk" else settings.cache
    # The rest of a broken epoch is a `fit` of its own, for it has fewer steps.
    rest = start.epoch + (1 if start.step else 0)
    for first, last, skip in ((start.epoch, rest, start.step), (rest, settings.epochs, 0)):
        if first < last and not (stop and stop.is_over()):
            # Endless, with a number of steps: a step that finds no batch moves the optimizer's count all the same.
            dataset = read_examples(
                run,
                "train",
                batch_size=settings.batch_size,
                shuffle_buffer=settings.shuffle_buffer,
                seed=settings.seed,
                epoch=first,
                skip=skip,
                repeat=True,
                cache=None if cache == "none" else cache,
            )
            model.fit(
                same_batches(dataset),
                initial_epoch=first,
                epochs=last,
                steps_per_epoch=steps - skip,
                verbose=0,
                callbacks=every,
            )
    result = TrainingResult(
        history=state.history,
        best_epoch=best_epoch(state.history, monitor),
        monitor=monitor,
        model_path=join(out_dir, MODEL_FILE),
        training_path=join(out_dir, TRAINING_FILE),
    )
    # A model of its own, for the trained one would be saved with its optimizer, three times the size.
    best = DeepFM.from_config(model.get_config())
    best.build()
    best.load_weights(weights_path(checkpoints, result.best_epoch))
    write_atomically(result.model_path, best.save)
    write_json(result.training_path, _summary(run, spec, result))
    _remove_cache(out_dir)
    return result


def compiled_model(spec: Spec, vocabulary_sizes: Mapping[str, int], steps: int) -> DeepFM:
    """Returns a spec's model with its optimizer and loss, all variables made.

    Args:
        spec: Fields, model and training settings.
        vocabulary_sizes: See `deepfm`.
        steps: Steps of an epoch, for the learning rate's decay.
    """
    settings = spec.train
    precision = settings.precision if settings.precision == "float32" else f"mixed_{settings.precision}"
    model = deepfm(spec, vocabulary_sizes, dtype=precision)
    model.compile(
        optimizer=optimizer(settings.optimizer, learning_rate(settings, settings.epochs * steps)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,  # XLA makes the tables' gradients dense, and compiles anew for the last batch.
    )
    model.optimizer.build(model.trainable_variables)
    suit_to_workers(model)
    return model


def load_model(path: str) -> keras.Model:
    """Returns a trained model: `path` is the folder of a training, or its `model.keras`.

    Loads in Keras' safe mode: a model file cannot run code of its own.

    Raises:
        UserError: if there is none, or it cannot be loaded so.
    """
    if not path.endswith(".keras"):
        path = join(path, MODEL_FILE)
    if not tf.io.gfile.exists(path):
        raise UserError(f"{path}: no such model; train one with `fieldpool train`")
    try:
        return keras.saving.load_model(path, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path}: not a model of `fieldpool train`, or damaged: {reason}") from None


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
    """Returns what two trainings must have in common for one to go on where the other stopped."""
    train_settings = spec.train.model_dump(mode="json")
    may_differ = {"early_stopping", "cache", "checkpoint_steps"} | ({"epochs"} if spec.train.decay == "none" else set())
    return {
        **{f"model.{name}": value for name, value in spec.model.model_dump(mode="json").items()},
        **{f"train.{name}": value for name, value in train_settings.items() if name not in may_differ},
        "vocabulary sizes": dict(run.vocabulary_sizes),
        "shards of train": len(run.shards("train")),
    }


def _make_folders(out_dir: str, *, keep: bool) -> None:
    """Makes the folders, and removes what an earlier training wrote: with `keep`, only what it wrote last of all."""
    _remove_cache(out_dir)
    for folder in (CHECKPOINTS_FOLDER, LOGS_FOLDER, CACHE_FOLDER):
        tf.io.gfile.makedirs(join(out_dir, folder))
    of_training = (
        join(CHECKPOINTS_FOLDER, "epoch-*.weights.h5"),
        join(CHECKPOINTS_FOLDER, "state-*.npz"),
        join(LOGS_FOLDER, "*", "events.out.tfevents.*"),
    )
    for pattern in (MODEL_FILE, TRAINING_FILE, *(() if keep else of_training)):
        for path in tf.io.gfile.glob(join(out_dir, pattern)):
            tf.io.gfile.remove(path)


def _remove_cache(out_dir: str) -> None:
    if tf.io.gfile.exists(join(out_dir, CACHE_FOLDER)):
        tf.io.gfile.rmtree(join(out_dir, CACHE_FOLDER))


def _summary(run: Run, spec: Spec, result: TrainingResult) -> dict[str, Any]:
    return {
        "run": run.path,
        "best_epoch": result.best_epoch,
        "monitor": result.monitor,
        "best": result.best,
        "history": result.history,
        "seed": spec.train.seed,
        "spec": spec.model_dump(mode="json"),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("fieldpool", "keras", "tensorflow", "numpy")},
        },
    }
