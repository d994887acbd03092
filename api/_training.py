"""The functions on models: train, evaluate, load_model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from pydantic import ValidationError
from rich.console import RenderableType

from ._inputs import Path
from ._run import as_run
from ._tables import Tables
from .model import evaluation
from .model.training import folder, result
from .model.training import train as training
from .pipeline.spec_errors import messages_of
from .pipeline.terminal.tables import metrics_tables, training_table
from .transforms.errors import UserError
from .transforms.runs.run import Run as RunDirectory
from .transforms.spec import MultivaluedField, Train

# Affects only speed and memory.
_BATCH_SIZE = 4096


class Training(result.TrainingResult, Tables):
    """The result of `train`. Other functions accept it as their `model`, because `os.fspath` returns its folder.

    Attributes:
        history: For each epoch its number `epoch`, from 1, its `loss`, and the metrics of the eval split: `val_auc`,
            `val_pr_auc`, `val_logloss`, with `evaluation.gauc_by` in the spec also `val_gauc`.
        best_epoch: The epoch whose weights the model has, from 1.
        monitor: The metric that chose it, such as `val_auc`; None if the eval split is empty.
        folder: The folder of the trained model.
        model_path: The path of its `model.keras`.
        training_path: The path of its `training.json`.
        best: The numbers of the best epoch.
    """

    def __fspath__(self) -> str:
        return self.folder

    def _tables(self) -> Sequence[RenderableType]:
        return [training_table(self.history, self.best_epoch)]


def train(
    run: RunDirectory | Path,
    out: Path,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    overwrite: bool = False,
) -> Training:
    """Trains a DeepFM on a run, and keeps its best epoch in `out`/model.keras.

    Within the scope of a `tf.distribute` strategy it trains on all replicas.

    Args:
        run: The run, or its path.
        out: The folder for the model, checkpoints and logs.
        epochs: Overrides `train.epochs` of the spec.
        seed: Overrides `train.seed` of the spec.
        resume: Continue from the last complete checkpoint in `out`.
        callbacks: More Keras callbacks. They are called after the built-in ones, so their logs have `val_auc` and
            `val_logloss`.
        overwrite: Train from scratch, and replace an existing model once the new one is complete; its `serving/` and
            `report.html` are removed then.

    Raises:
        UserError: `out` has other files or, without `overwrite` and `resume`, a model or checkpoint; the train split is
            empty, the loss is not finite, or `resume` finds a checkpoint that was written with another model or other
            settings.
    """
    changes = {name: value for name, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    _check_settings(changes)
    opened = as_run(run)
    settings = opened.spec.train.model_copy(update=changes)
    done = training.train(
        opened, os.fspath(out), train_settings=settings, resume=resume, callbacks=callbacks, overwrite=overwrite
    )
    return Training(done.history, done.best_epoch, done.monitor, done.folder)


def _check_settings(changes: dict[str, int]) -> None:
    """Raises UserError if a value cannot be one of the spec's section `train`."""
    try:
        Train.model_validate(changes)
    except ValidationError as error:
        messages = messages_of(error.errors(), changes)
        raise UserError("; ".join(f"{name}: {message}" for name, message in messages.items())) from None


@dataclass(frozen=True)
class Evaluation(Tables):
    """The metrics of a model on a split.

    Attributes:
        split: train, eval or test.
        metrics: The metrics by name: `auc`, `pr_auc`, `logloss`, `calibration`, `ece`, `examples`, `positives`; with
            `gauc_by` also `gauc` and `gauc_examples`; with `rank_by` also `ndcg@5`, `ndcg@10`, `mrr`, `mrr_mind`,
            `hit_rate@5`, `hit_rate@10`, `group_auc`, `groups`, `groups_without_positives`, `groups_without_negatives`
            and `ranking_examples` (with other numbers in place of 5 and 10 if `evaluation.ranking.at` has them).
        slices: The same metrics by field and slice.
        list_fields: The multivalued fields, whose slices are list lengths.
        calibrated_on: The split that the model's calibration (`train.calibrate`) was fitted on; None without one.
    """

    split: str
    metrics: dict[str, float]
    slices: dict[str, dict[str, dict[str, float]]]
    list_fields: tuple[str, ...]
    calibrated_on: str | None = None

    def _tables(self) -> Sequence[RenderableType]:
        shown: dict[str, Any] = {**self.metrics, "slices": self.slices}
        if self.calibrated_on is not None:
            shown["calibrated_on"] = self.calibrated_on
        return metrics_tables({self.split: shown}, list_fields=self.list_fields)


def evaluate(
    run: RunDirectory | Path,
    model: keras.Model | Path,
    *,
    split: str = "test",
    gauc_by: str | None = None,
    slices: Sequence[str] | None = None,
    rank_by: str | None = None,
) -> Evaluation:
    """Returns the metrics of a model on all examples of a split.

    Args:
        run: The run, or its path.
        model: The result of `train`, the folder of a trained model, its `model.keras`, or a Keras model.
        split: train, eval or test.
        gauc_by: The categorical field or carried column whose values are the groups of GAUC. Default:
            `evaluation.gauc_by` of the spec.
        slices: Fields and carried columns by which to compute metrics of slices: by value or, for a multivalued field,
            by list length. Default: `evaluation.slices` of the spec.
        rank_by: The categorical field or carried column within whose values rows are ranked. Default:
            `evaluation.ranking` of the spec.

    Raises:
        UserError: There is no such model, the split is empty, or a field has the wrong type.
    """
    opened = as_run(run)
    loaded = load_model(model) if isinstance(model, str | os.PathLike) else model
    found: dict[str, Any] = evaluation.evaluate(
        loaded, opened, split, batch_size=_BATCH_SIZE, gauc_by=gauc_by, slices=slices, rank_by=rank_by
    )
    slices_found, calibrated_on = found.pop("slices", {}), found.pop("calibrated_on", None)
    return Evaluation(split, found, slices_found, tuple(opened.spec.fields_of(MultivaluedField)), calibrated_on)


def load_model(path: Path) -> keras.Model:
    """Returns a trained Keras model: its inputs are the features of a run, its output is a logit, float32 `[batch, 1]`.

    The model is loaded in Keras' safe mode: a model file cannot run its own code.

    Args:
        path: The result of `train`, the folder of a trained model, or its `model.keras`.

    Raises:
        UserError: There is no model, or it cannot be loaded.
    """
    return folder.load_model(os.fspath(path))
