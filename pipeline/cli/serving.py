"""Commands that apply models: export, predict and verify."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...transforms.errors import UserError
from ...transforms.kinds import Kind
from ..terminal import console, preflight, rejected_rows, startup
from ..terminal.progress import working
from .arguments import (
    AsJson,
    BeamArguments,
    Data,
    ModelPath,
    ModeOption,
    Overwrite,
    Runner,
    RunnerOptions,
    RunPath,
    Workers,
)

if TYPE_CHECKING:
    from ..serving.comparison import Parity

# The number of rows that `fieldpool run` compares between the batch pipeline and the exported model.
SAMPLE_ROWS = 10_000

ServingModelPath = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="An exported model, or the folder of a trained model that has been exported."),
]


def export(
    run: RunPath,
    model: ModelPath,
    out: Annotated[str | None, typer.Option(help="The folder to create; default: MODEL/serving.")] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Exports a model as one SavedModel from raw rows to probabilities; plain TensorFlow loads it.

    Example: `fieldpool export runs/monday models/monday --out serving/monday`
    """
    folder = export_run(run, model, out, overwrite=overwrite)
    from ..terminal import serving_tables

    serving_tables.show_export(folder, as_json=as_json)
    if not as_json:
        console.say_next("verify", run, folder if out else model, "DATA...")


def predict(
    model: ServingModelPath,
    data: Data,
    out: Annotated[str, typer.Option(help="The folder to create.")],
    output: Annotated[Literal["parquet", "jsonl"], typer.Option("--format", help="Output format.")] = "parquet",
    mode: ModeOption = "auto",
    workers: Workers = None,
    runner: Runner = None,
    beam: BeamArguments = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Predicts a probability for each raw row; rows need no label.

    With several workers, predictions have no defined order: join them by key.

    Example: `fieldpool predict models/monday 'candidates/*.parquet' --out scores/tuesday`
    """
    if runner is None:
        preflight.check_data(data)
        preflight.check_export(model)
        preflight.check_output(out, Kind.PREDICTIONS, may_exist=overwrite)
    with startup.importing():
        from ..serving.batch_prediction import predict_job
        from ..terminal import serving_tables
        from .beam_job import prepared_job
    where = RunnerOptions(mode, workers, runner, beam)
    job = prepared_job(where, "predict", data, out, model=model)
    with working("Predicting"):
        counts = predict_job(job, output=output, overwrite=overwrite)
    serving_tables.show_predictions(counts, out, as_json=as_json)
    if not as_json:
        rejected_rows.show_rejected(out, counts["rejected"])
        console.say(f"Next: {_reading(out, output)}")


def verify(
    run: RunPath,
    model: ServingModelPath,
    data: Data,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Approximate number of rows to compare, evenly spread; default: all.")
    ] = None,
    mode: ModeOption = "auto",
    workers: Workers = None,
    runner: Runner = None,
    beam: BeamArguments = None,
    as_json: AsJson = False,
) -> None:
    """Checks for training-serving skew: compares exported model and batch pipeline. Exits with code 3 if they differ.

    Example: `fieldpool verify runs/monday models/monday clicks.parquet`
    """
    parity = verify_export(run, model, data, rows, RunnerOptions(mode, workers, runner, beam))
    from ..terminal import serving_tables

    serving_tables.show_parity(parity, as_json=as_json)
    check_parity(parity)
    if not as_json:
        console.say_next("predict", model, "DATA...", "--out", "OUT")


def check_parity(parity: Parity) -> None:
    """Exits with code 3 if batch pipeline and exported model differ."""
    if not parity.holds:
        console.error(
            "the exported model and the batch pipeline give different results; export the model again with the run "
            "that it was trained on"
        )
        raise typer.Exit(3)


def _reading(out: str, output: str) -> str:
    """Returns a command that prints predictions."""
    if output == "jsonl":
        return f"head {shlex.quote(f'{out}/predictions')}/*.jsonl"
    program = f'import pyarrow.parquet as pq; print(pq.read_table("{out}/predictions"))'
    return shlex.join(["python", "-c", program])


def export_run(run: str, model: str, out: str | None = None, *, overwrite: bool = False) -> str:
    """Exports a model; returns the folder."""
    preflight.check_run(run)
    with startup.importing():
        from ...model.export import export_model
        from ...transforms.runs.run import Run
    with working("Exporting"):
        return export_model(Run(run), model, out, overwrite=overwrite)


def verify_export(run: str, model: str, data: list[str], rows: int | None, where: RunnerOptions) -> Parity:
    """Compares a run with an exported model on all rows of the data, or on about `rows`."""
    preflight.check_run(run)
    preflight.check_data(data)
    preflight.check_export(model)
    with startup.importing():
        from ..jobs import dataflow
        from ..serving import parity
        from .beam_job import prepared_job
    if dataflow.is_dataflow(where.runner or ""):
        raise UserError("`verify` runs on this machine, or on workers that share its disk; leave --runner out")
    job = prepared_job(where, "verify", data, run=run, model=model)
    with working("Verifying"):
        return parity.verify_job(job, rows)
