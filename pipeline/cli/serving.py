"""Commands from training to use: export, predict and verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...transforms.errors import UserError
from ..terminal import console, serving_tables
from .arguments import AsJson, BeamArguments, Data, ModelPath, ModeOption, Overwrite, Runner, RunPath, Where, Workers

if TYPE_CHECKING:
    from ..serving.parity import Parity

# Rows of `fieldpool run` that are replayed through the exported model.
SAMPLE_ROWS = 10_000

ServingModelPath = Annotated[
    str, typer.Argument(metavar="MODEL", help="An exported model, or the folder of a training that has one.")
]


def export(
    run: RunPath,
    model: ModelPath,
    out: Annotated[str | None, typer.Option(help="The folder to make; default: MODEL/serving.")] = None,
    as_json: AsJson = False,
) -> None:
    """One SavedModel that takes raw rows and gives probabilities; plain TensorFlow loads it.

    Example: `fieldpool export runs/monday models/monday --out serving/monday`
    """
    serving_tables.show_export(exported(run, model, out), as_json=as_json)


def predict(
    model: ServingModelPath,
    data: Data,
    out: Annotated[str, typer.Option(help="The folder to make.")],
    output: Annotated[Literal["parquet", "jsonl"], typer.Option("--format", help="Of the predictions.")] = "parquet",
    mode: ModeOption = "auto",
    workers: Workers = None,
    runner: Runner = None,
    beam: BeamArguments = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Raw rows to files of key and probability; the rows need no label.

    Example: `fieldpool predict models/monday 'candidates/*.parquet' --out scores/tuesday`
    """
    with console.quiet_tensorflow():
        from ..serving.batch_prediction import predict as predict_rows
        from .beam_job import beam_job
    options = beam_job(Where(mode, workers, runner, beam), "predict", data, out, model)
    with console.working("Predicting"):
        counts = predict_rows(model, data, out, options, output=output, overwrite=overwrite)
    serving_tables.show_predictions(counts, out, as_json=as_json)


def verify(
    run: RunPath,
    model: ServingModelPath,
    data: Data,
    rows: Annotated[int | None, typer.Option(min=1, help="About so many rows, evenly spread; default: all.")] = None,
    mode: ModeOption = "auto",
    workers: Workers = None,
    runner: Runner = None,
    beam: BeamArguments = None,
    as_json: AsJson = False,
) -> None:
    """Proof of parity: raw rows through the batch pipeline and through the exported model. Exit code 3 if they differ.

    Example: `fieldpool verify runs/monday models/monday clicks.parquet`
    """
    with console.quiet_tensorflow():
        from ..jobs import dataflow
        from ..jobs.options import beam_options
    if dataflow.is_dataflow(runner or ""):
        raise UserError("verify compares on this machine or workers that share its disk; leave --runner out")
    options = beam_options(runner, beam or [], mode=mode, workers=workers)
    parity = verified(run, model, data, rows, options)
    serving_tables.show_parity(parity, as_json=as_json)
    check_parity(parity)


def check_parity(parity: Parity) -> None:
    """Leaves with exit code 3 if batch pipeline and exported model differ."""
    if not parity.holds:
        console.error("the exported model does not give what the batch pipeline gives")
        raise typer.Exit(3)


def exported(run: str, model: str, out: str | None = None) -> str:
    """Exports a model; returns the folder."""
    with console.quiet_tensorflow():
        from ...model.export import export_model
        from ...model.run import Run
    with console.working("Exporting"):
        return export_model(Run(run), model, out)


def verified(run: str, model: str, data: list[str], rows: int | None, options: object = None) -> Parity:
    """Compares a run with an exported model on all rows of the data, or on about `rows`."""
    with console.quiet_tensorflow():
        import apache_beam as beam

        from ...model.run import Run
        from ..rows.checks import feature_columns
        from ..rows.read_rows import ReadBatches, sample_rows
        from ..serving.parity import verify as verify_rows
        from ..sources.files import find_files
    opened, files = Run(run), find_files(data)
    source, columns = opened.spec.source, feature_columns(opened.spec)
    with console.working("Verifying"):
        if rows is None:
            return verify_rows(opened, model, lambda: ReadBatches(files, source, columns), options)
        sample = sample_rows([file.path for file in files], source, columns, rows)
        return verify_rows(opened, model, lambda: beam.Create(sample, reshuffle=False), options)
