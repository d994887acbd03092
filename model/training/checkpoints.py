"""Checkpoints of a training: all that a process needs to continue as if it had never stopped.

Weights, the optimizer's slots and step, the random states of dropout, the epoch's metrics so far, and the history: one
file, complete or not there, with checksums. The two newest are kept, so that one that a full disk or a broken copy
has truncated does not end the training.

Keras' `BackupAndRestore` repeats an interrupted epoch from its first step with weights that have seen part of it, and
keeps neither history nor settings: a resumed training would end with other numbers.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from dataclasses import asdict, dataclass, field
from os.path import join
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...transforms.errors import UserError
from ..files import write_atomically

_KEPT = 2
_ABOUT = "about"


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        epoch: Complete epochs, and so the number of the next one, counted from 0.
        step: Steps of that epoch that are done.
        history: The numbers of each complete epoch.
        metrics: The state of Keras' metrics, the mean loss for example, after those steps.
    """

    epoch: int = 0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    metrics: list[Any] = field(default_factory=list)


def save_checkpoint(folder: str, model: keras.Model, progress: Progress, settings: dict[str, Any]) -> None:
    """Writes a checkpoint, then removes all but the newest two.

    Args:
        folder: Where checkpoints go.
        model: Compiled, and built.
        progress: How far it is.
        settings: What the training must have in common with one that continues from here, for `load_checkpoint`.
    """
    arrays = [keras.ops.convert_to_numpy(variable) for variable in _variables(model)]
    about = json.dumps({"progress": asdict(progress), "settings": settings, "variables": _shapes(model)})

    def write(path: str) -> None:
        named: dict[str, Any] = {f"{i:05d}": array for i, array in enumerate(arrays)}
        np.savez(path, **named | {_ABOUT: np.frombuffer(about.encode(), np.uint8)})

    write_atomically(join(folder, f"state-{progress.epoch:04d}-{progress.step:09d}.npz"), write)
    for path in checkpoints(folder)[:-_KEPT]:
        tf.io.gfile.remove(path)


def load_checkpoint(folder: str, model: keras.Model, settings: dict[str, Any]) -> Progress:
    """Puts the newest complete checkpoint into the model and its optimizer; returns how far that was.

    One that is truncated or damaged is skipped, with a warning, and the one before it taken. Without any, the training
    is at its start.

    Raises:
        UserError: if the checkpoint is that of another model or of other settings.
    """
    for path in reversed(checkpoints(folder)):
        try:
            about, arrays = _read(path)
        except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError, tf.errors.OpError) as error:
            warnings.warn(f"{path}: not a complete checkpoint ({error}); taking the one before it", stacklevel=2)
            continue
        different = [
            f"{name} ({about['settings'].get(name)} there, {value} here)"
            for name, value in settings.items()
            if about["settings"].get(name) != value
        ]
        if not different and about["variables"] != _shapes(model):
            different = ["the model's weights"]
        if different:
            raise UserError(
                f"{path}: a checkpoint of another training: {', '.join(different)}. Continue with the same run "
                "and settings, or train from scratch without --resume"
            )
        for variable, array in zip(_variables(model), arrays, strict=True):
            variable.assign(array)
        return Progress(**about["progress"])
    return Progress()


def checkpoints(folder: str) -> list[str]:
    """Returns the paths of a folder's checkpoints, the newest last."""
    return sorted(tf.io.gfile.glob(join(folder, "state-*.npz")))


def _read(path: str) -> tuple[dict[str, Any], list[np.ndarray]]:
    with tf.io.gfile.GFile(path, "rb") as file:
        content = io.BytesIO(file.read())
    with np.load(content, allow_pickle=False) as arrays:  # A pickle could run code of its own.
        about = json.loads(arrays[_ABOUT].tobytes())
        return about, [arrays[f"{i:05d}"] for i in range(len(about["variables"]))]


def _variables(model: keras.Model) -> list[Any]:
    """Returns all that changes in training but metrics: weights, random states, the optimizer's slots and step."""
    metrics = {id(variable) for variable in model.metrics_variables}
    return [*(v for v in model.variables if id(v) not in metrics), *model.optimizer.variables]


def _shapes(model: keras.Model) -> list[list[int]]:
    return [list(variable.shape) for variable in _variables(model)]
