"""Checkpoints: the complete state of training, so that it gives the same numbers after it is resumed.

A checkpoint has the weights, the optimizer's slots and step, the random states of dropout, the metrics of the epoch so
far, and the history. It is one file with checksums, written atomically. The two newest are kept, in case the newest is
truncated by a full disk or an incomplete copy. Numbers that are not finite are never written: they would replace the
last state from which training can continue.

Keras' `BackupAndRestore` restarts an interrupted epoch from its first step, with weights that were already trained on a
part of it, and saves neither history nor settings, so training would give other numbers after it is resumed.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, field
from os.path import join
from typing import Any

import keras
import tensorflow as tf

from ...transforms.errors import FieldpoolWarning, UserError
from ...transforms.runs.identity import Identity
from ...transforms.runs.run import Run
from ..layers.deepfm import DeepFM
from .variables import DAMAGED, NotFinite, check_variables, read_variables, write_variables

_KEPT = 2  # The number of checkpoints to keep.

# May be different at the start of an epoch, but not within one: each cache has its own order of examples.
_FIXED_WITHIN_EPOCHS = "train.cache"

# May always be different: a lower one can continue a training that diverged.
_LEARNING_RATE = "train.learning_rate"


@dataclass(frozen=True)
class Progress:
    """The progress of training.

    Attributes:
        epoch: The number of completed epochs; also the number of the current epoch, counted from 0.
        step: The number of completed steps in the current epoch.
        history: The loss and metrics of each measured epoch. The last completed epoch may not be measured yet.
        metrics: The state of Keras' metrics, such as the mean loss, after those steps, or of the last completed epoch.
    """

    epoch: int = 0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    metrics: list[Any] = field(default_factory=list)

    def restore_metrics(self, model: keras.Model) -> None:
        """Gives the metrics of the model the state that they had."""
        for variable, value in zip(model.metrics_variables, self.metrics, strict=True):
            variable.assign(value)


def save_checkpoint(folder: str, model: DeepFM, progress: Progress, settings: dict[str, Any]) -> None:
    """Writes a checkpoint, then removes all but the newest two.

    Args:
        folder: The folder of the checkpoints.
        model: The model, compiled and built; `load_checkpoint` compares its identity with that of the run.
        progress: The progress of training.
        settings: Settings that must be the same when training is resumed; `load_checkpoint` compares them.
            `train.learning_rate` may be different, and `train.cache` if the checkpoint is at the end of an epoch.

    Raises:
        UserError: if a weight or a slot is NaN or infinite; nothing is written.
    """
    content = {"progress": asdict(progress), "settings": settings, "variables": _shapes(model)}
    path = join(folder, f"state-{progress.epoch:04d}-{progress.step:09d}.npz")
    try:
        write_variables(path, _variables(model), content | {"identity": model.identity})
    except NotFinite as error:
        where = f"after epoch {progress.epoch}, step {progress.step}"
        raise not_finite(f"{where}: {error} has NaN or infinity") from None
    for path in checkpoints(folder)[:-_KEPT]:
        tf.io.gfile.remove(path)


def not_finite(what: str) -> UserError:
    """Returns the error that ends a training whose numbers overflow; `what` describes them."""
    return UserError(
        f"{what}; expected finite numbers. Lower `train.learning_rate` in the run's spec.yaml, and continue from the "
        "last checkpoint with --resume. If that fails, scale the numeric fields (`scale: zscore`), or train from "
        "scratch with --overwrite"
    )


def load_checkpoint(folder: str, model: DeepFM, settings: dict[str, Any], run: Run) -> Progress:
    """Loads the newest complete checkpoint into the model and its optimizer, and returns its progress.

    A truncated or damaged checkpoint is skipped with a warning. If there is no checkpoint, the model is not changed and
    the progress is that before the first step.

    Args:
        folder: The folder of the checkpoints.
        model: The model, compiled and built.
        settings: The settings of this training; see `save_checkpoint`.
        run: The run of this training.

    Raises:
        UserError: if the checkpoint was written with another model or other settings, or for a run whose ids or numbers
            have another meaning.
    """
    for path in reversed(checkpoints(folder)):
        try:
            about = check_variables(path)
        except DAMAGED as error:
            message = f"{path}: not a complete checkpoint ({error}); trying the previous one"
            warnings.warn(message, FieldpoolWarning, stacklevel=2)
            continue
        progress = Progress(**about["progress"])
        different = [
            f"{name} ({about['settings'].get(name)} in the checkpoint, {value} now)"
            for name, value in settings.items()
            if about["settings"].get(name) != value
            and name != _LEARNING_RATE
            and (progress.step or settings.get("train.eval_steps") or name != _FIXED_WITHIN_EPOCHS)
        ]
        if about.get("identity") is not None:
            identity = Identity.from_json(about["identity"])
            of_run = identity.differences(run.identity, "the checkpoint", "the run")
            older = run.extended(identity) if of_run else None
            if older is not None:
                of_run.insert(0, f"the run extends the older run {older.run}, for which the checkpoint was written")
            different += of_run
        if not different and about["variables"] != _shapes(model):
            different = ["the model's weights"]
        if different:
            raise UserError(
                f"{path}: cannot resume from this checkpoint on the run {run.path}, because these differ: "
                f"{'; '.join(different)}. Resume with the same run and settings, or train from scratch without --resume"
            )
        is_other_rate = about["settings"].get(_LEARNING_RATE) != settings.get(_LEARNING_RATE)
        read_variables(path, [None if is_other_rate and v.name == "learning_rate" else v for v in _variables(model)])
        return progress
    return Progress()


def checkpoints(folder: str) -> list[str]:
    """Returns the paths of the checkpoints in a folder, the newest last."""
    return sorted(tf.io.gfile.glob(join(folder, "state-*.npz")))


def _variables(model: keras.Model) -> list[Any]:
    """Returns all variables except metrics: weights, random states, the optimizer's slots and step."""
    metrics = {id(variable) for variable in model.metrics_variables}
    return [*(v for v in model.variables if id(v) not in metrics), *model.optimizer.variables]


def _shapes(model: keras.Model) -> list[list[int]]:
    return [list(variable.shape) for variable in _variables(model)]
