"""Trains the DeepFM of a run, and keeps its best epoch.

A run goes in; a folder with the model, its checkpoints, its logs and its numbers comes out. TensorFlow only.
"""

from __future__ import annotations

import json
import math
import platform
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from os.path import join
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..transforms.errors import UserError
from ..transforms.spec import Model, Spec, Train
from .atomic import write_atomically
from .callbacks import EpochCheckpoints, EvalMetrics, FiniteLoss, checkpoint_path
from .deepfm import DeepFM, deepfm
from .evaluation import evaluate
from .examples import NoExamples, read_examples
from .run import Run
from .sparse_optimizers import optimizer

__all__ = ["TrainingResult", "evaluate", "load_model", "train"]

MODEL_FILE = "model.keras"
TRAINING_FILE = "training.json"
CHECKPOINTS_FOLDER = "checkpoints"
LOGS_FOLDER = "logs"


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training.

    Attributes:
        history: For each epoch `epoch` (from 1), `loss` (of train, with dropout and L2 penalty), and, if
            there is an eval split, `val_auc` and `val_logloss` of all of it.
        best_epoch: The epoch whose weights the model has, counted from 1.
        monitor: What "best" means, `val_auc` or `val_logloss`; None if the eval split is empty.
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
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> TrainingResult:
    """Trains a DeepFM on the train split, measures it on the eval split after each epoch, keeps the best.

    Writes `model.keras` (the best epoch), `checkpoints/epoch-????.weights.h5` (every epoch), `logs/`
    (TensorBoard) and `training.json` to `out_dir`, whose files of an earlier training are replaced. The same
    seed gives the same numbers, on one machine.

    The best epoch, and early stopping if the spec has it, go by `train.early_stopping.metric`, AUC where
    there is none. If all eval labels are the same, there is no AUC, and logloss takes its place, with a
    warning. If the eval split is empty, all epochs run and the last one is kept, with a warning.

    Args:
        run: A finished run.
        out_dir: A folder; made if need be.
        model_settings: Instead of the `model:` section of the run's spec.
        train_settings: Instead of its `train:` section.
        callbacks: Called after the built-in ones, so that they find `val_auc` and `val_logloss` in the logs:
            progress bars, `keras.callbacks.ModelCheckpoint`, …

    Raises:
        NoExamples: if the train split is empty.
        UserError: if the loss is no number any more.
    """
    sections = {"model": model_settings, "train": train_settings}
    spec = run.spec.model_copy(update={k: v for k, v in sections.items() if v is not None})
    settings = spec.train
    keras.utils.set_random_seed(settings.seed)

    dataset = read_examples(
        run,
        "train",
        batch_size=settings.batch_size,
        shuffle_buffer=settings.shuffle_buffer,
        seed=settings.seed,
    )
    if _is_empty(run, "train"):
        raise NoExamples(f"{run.path}: the files of the train split hold no examples; make the run again")
    monitor = _monitor(run, settings)
    checkpoints = join(out_dir, CHECKPOINTS_FOLDER)
    logs = join(out_dir, LOGS_FOLDER)
    _clear(out_dir)

    model = deepfm(spec, run.vocabulary_sizes)
    model.compile(
        optimizer=optimizer(settings.optimizer, settings.learning_rate),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,  # XLA makes the tables' gradients dense, and compiles anew for the last batch.
    )
    history = model.fit(
        dataset,
        epochs=settings.epochs,
        verbose=0,
        callbacks=[
            FiniteLoss(),
            *_measured(run, settings, monitor),
            EpochCheckpoints(checkpoints),
            keras.callbacks.TensorBoard(logs, write_graph=False),
            *callbacks,
        ],
    )

    epochs = _epochs(history.history)
    best_epoch = _best_epoch(epochs, monitor)
    # A model of its own, for the trained one would be saved with its optimizer, three times the size.
    best = DeepFM.from_config(model.get_config())
    best.build()
    best.load_weights(checkpoint_path(checkpoints, best_epoch))
    result = TrainingResult(
        history=epochs,
        best_epoch=best_epoch,
        monitor=monitor,
        model_path=join(out_dir, MODEL_FILE),
        training_path=join(out_dir, TRAINING_FILE),
    )
    write_atomically(result.model_path, best.save)
    _write_json(result.training_path, _summary(run, spec, result))
    return result


def load_model(path: str) -> keras.Model:
    """Returns a trained model: `path` is the folder of a training, or its `model.keras`.

    Loads in Keras' safe mode: a model file cannot run code of its own.

    Raises:
        UserError: if there is none.
    """
    if not path.endswith(".keras"):
        path = join(path, MODEL_FILE)
    if not tf.io.gfile.exists(path):
        raise UserError(f"{path}: no such model; train one with `fieldpool train`")
    return keras.saving.load_model(path, safe_mode=True)


def _is_empty(run: Run, split: str) -> bool:
    return next(iter(read_examples(run, split, batch_size=1)), None) is None


def _monitor(run: Run, settings: Train) -> str | None:
    """Returns the metric that epochs are compared by, or None if there is no eval split."""
    if not run.shards("eval") or _is_empty(run, "eval"):
        warnings.warn(f"{run.path}: the eval split is empty: no early stopping, the last epoch is kept", stacklevel=3)
        return None
    metric = settings.early_stopping.metric if settings.early_stopping else "auc"
    if metric == "auc":
        batches = read_examples(run, "eval", batch_size=settings.batch_size)
        kinds: set[float] = set()
        for _, label in batches:
            kinds.update(np.unique(label.numpy()).tolist())
            if len(kinds) > 1:
                return "val_auc"
        warnings.warn(
            f"{run.path}: all labels of the eval split are {kinds.pop():g}, which gives no AUC: the best "
            "epoch is that of the least logloss",
            stacklevel=3,
        )
    return "val_logloss"


def _measured(run: Run, settings: Train, monitor: str | None) -> list[keras.callbacks.Callback]:
    if monitor is None:
        return []
    callbacks: list[keras.callbacks.Callback] = [
        EvalMetrics(read_examples(run, "eval", batch_size=settings.batch_size))
    ]
    if settings.early_stopping is not None:
        mode = "max" if monitor == "val_auc" else "min"
        callbacks.append(keras.callbacks.EarlyStopping(monitor, mode=mode, patience=settings.early_stopping.patience))
    return callbacks


def _clear(out_dir: str) -> None:
    """Makes the folders, and removes what an earlier training wrote."""
    for folder in (CHECKPOINTS_FOLDER, LOGS_FOLDER):
        tf.io.gfile.makedirs(join(out_dir, folder))
    ours = (
        MODEL_FILE,
        TRAINING_FILE,
        join(CHECKPOINTS_FOLDER, "epoch-*.weights.h5"),
        join(LOGS_FOLDER, "*", "events.out.tfevents.*"),
    )
    for pattern in ours:
        for path in tf.io.gfile.glob(join(out_dir, pattern)):
            tf.io.gfile.remove(path)


def _epochs(history: dict[str, list[float]]) -> list[dict[str, float]]:
    return [
        {"epoch": i + 1, **{name: float(values[i]) for name, values in history.items()}}
        for i in range(len(history["loss"]))
    ]


def _best_epoch(epochs: list[dict[str, float]], monitor: str | None) -> int:
    if monitor is None:
        return len(epochs)
    sign = 1 if monitor == "val_auc" else -1
    return int(max(epochs, key=lambda e: sign * e[monitor])["epoch"])  # The first of equals.


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


def _write_json(path: str, content: dict[str, Any]) -> None:
    def write(temporary: str) -> None:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(_without_nan(content), file, indent=2, allow_nan=False)
            file.write("\n")

    write_atomically(path, write)


def _without_nan(value: Any) -> Any:
    """Returns `value` with None for NaN, which JSON has not."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
