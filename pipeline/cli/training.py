"""Commands that train and measure models: train, evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...transforms.kinds import Kind
from ..terminal import console, preflight, startup
from ..terminal.progress import working
from .arguments import (
    AsJson,
    Epochs,
    GaucBy,
    ModelPath,
    OverwriteModel,
    RankBy,
    ResumeTraining,
    RunPath,
    Seed,
    Slices,
    Split,
    Strategy,
)
from .data import checked_split

if TYPE_CHECKING:
    from ...model.training.result import TrainingResult


def train(
    run: RunPath,
    out: Annotated[str, typer.Option(help="The folder for the model, checkpoints and logs.")],
    epochs: Epochs = None,
    seed: Seed = None,
    resume: ResumeTraining = False,
    overwrite: OverwriteModel = False,
    strategy: Strategy = "none",
    as_json: AsJson = False,
) -> None:
    """Trains a DeepFM on a run and keeps the best epoch. After ^C or a crash, --resume continues.

    Example: `fieldpool train runs/monday --out models/monday`
    """
    result = train_run(run, out, epochs, seed, resume=resume, overwrite=overwrite, strategy=strategy)
    from ..terminal import tables

    tables.show_training(result, as_json=as_json)
    if not as_json:
        console.say_next("evaluate", run, out)


def evaluate(
    run: RunPath,
    model: ModelPath,
    split: Split = "test",
    gauc_by: GaucBy = None,
    slices: Slices = None,
    rank_by: RankBy = None,
    as_json: AsJson = False,
) -> None:
    """Measures a model on a split of a run: AUC, PR-AUC, logloss, calibration, ranking metrics, also by slice.

    Example: `fieldpool evaluate runs/monday models/monday --gauc-by user_id --slice device --slice history`
    """
    metrics = evaluate_splits(run, model, [split], gauc_by=gauc_by, slices=slices, rank_by=rank_by)
    from ..terminal import tables

    tables.show_metrics(metrics, list_fields=list_fields(run), as_json=as_json)
    if not as_json:
        console.say_next("export", run, model)


def train_run(
    run: str,
    out: str,
    epochs: int | None,
    seed: int | None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    strategy: str = "none",
) -> TrainingResult:
    """Trains a model on a run; returns the result."""
    preflight.check_run(run)
    preflight.check_output(out, Kind.MODEL, may_exist=resume or overwrite)
    with startup.importing():
        import tensorflow as tf

        # Before any other work: TensorFlow must know its workers first.
        strategies = {
            "none": tf.distribute.get_strategy,
            "mirrored": tf.distribute.MirroredStrategy,
            "workers": tf.distribute.MultiWorkerMirroredStrategy,
        }
        chosen = strategies[strategy]()
        from ...model.examples import count_examples
        from ...model.training import train as training
        from ...transforms.runs.run import Run
        from ..terminal.training_progress import TrainingProgress
    opened = Run(run)
    changes = {name: value for name, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    settings = opened.spec.train.model_copy(update=changes)
    with chosen.scope(), TrainingProgress(count_examples(opened, "train"), settings) as progress:
        return training.train(
            opened, out, train_settings=settings, resume=resume, overwrite=overwrite, callbacks=[progress]
        )


def evaluate_splits(
    run: str,
    model: str,
    splits: list[str],
    *,
    gauc_by: str | None = None,
    slices: list[str] | None = None,
    rank_by: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Returns the metrics of a model by split; if several splits are given, those without examples are left out."""
    preflight.check_run(run)
    with startup.importing():
        from ...model import evaluation
        from ...model.training.folder import load_model
        from ...transforms.runs.run import Run
    opened, loaded = Run(run), load_model(model)
    with working("Evaluating"):
        return {
            split: evaluation.evaluate(
                loaded,
                opened,
                checked_split(split),
                batch_size=4096,
                gauc_by=gauc_by,
                slices=slices,
                rank_by=rank_by,
            )
            for split in splits
            if len(splits) == 1 or opened.shards(split)
        }


def list_fields(run: str) -> list[str]:
    """Returns the names of the multivalued fields of a run."""
    from ...transforms.runs.run import Run

    return [name for name, field in Run(run).spec.fields.items() if field.is_list]
