"""The command line: one command a function, each of them a call into the library and a table of what came out.

TensorFlow and Beam take seconds to import, so each command imports what it needs itself: `--help` and
`schema` answer at once.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ...model.files import json_text
from ...transforms.errors import UserError
from ..terminal import console, serving_tables
from . import reports as cli_reports
from . import serving as cli_serving
from .arguments import (
    AsJson,
    BeamArguments,
    Data,
    DataAfterSpec,
    Epochs,
    GaucBy,
    ModelPath,
    ModeOption,
    Overwrite,
    Resume,
    Runner,
    RunPath,
    Seed,
    Slices,
    SpecOrData,
    SpecPath,
    Split,
    Strategy,
    Using,
    Where,
    Workers,
)
from .beam_options import CommandWithBeamOptions
from .check import check

app = typer.Typer(
    name="fieldpool",
    help="Click logs with multi-valued fields to trained rankers.\n\n"
    "A spec (YAML) says what the columns are; `fieldpool run` does the rest. Start with `fieldpool demo`, look "
    "at your own data with `fieldpool explain spec.yaml data.parquet`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


_STOPPED = 130


def main() -> None:
    """Runs the command line: exit code 0, 1 for a fault of ours, 2 for what the user can mend, 3 for new rows that
    are too far from a run's, 130 for ^C."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app(standalone_mode=True)
    except UserError as error:
        console.error(str(error))
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == _STOPPED:  # What typer makes of ^C.
            console.error("stopped")
        raise


@app.command()
def schema() -> None:
    """Prints the spec's JSON Schema, for editors: `fieldpool schema > fieldpool.schema.json`."""
    from ...transforms.spec import Spec

    print(json.dumps(Spec.model_json_schema(), indent=2))


@app.command()
def explain(
    spec: SpecPath,
    data: Data,
    rows: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 3,
    sample: Annotated[int, typer.Option(min=1, help="First rows to take vocabularies from.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Dry run: what the first rows of the data become. Writes nothing.

    Example: `fieldpool explain spec.yaml 'logs/*.csv'`
    """
    from ..spec_file import load_spec

    loaded = load_spec(spec)
    with console.quiet_tensorflow():
        from ..runs import dry_run as explaining
    with console.working("Transforming the first rows"):
        explanation = explaining.explain(loaded, data, sample=sample, shown=rows)
    console.show_explanation(explanation, as_json=as_json)


@app.command(cls=CommandWithBeamOptions)
def transform(
    spec: SpecOrData,
    data: DataAfterSpec = None,
    *,
    out: Annotated[str, typer.Option(help="The run directory to make.")],
    mode: ModeOption = "auto",
    workers: Workers = None,
    runner: Runner = None,
    beam: BeamArguments = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    using: Using = None,
    as_json: AsJson = False,
) -> None:
    """Raw rows to a run directory: vocabularies, padded TFRecords, counts.

    With --using RUN there is no SPEC: new rows are transformed as that run's were, with its vocabularies.

    Example: `fieldpool transform spec.yaml clicks.parquet --out runs/monday`
    """
    if not using and not data:
        raise UserError(
            f"no data: give files after the spec, as in `fieldpool transform {spec} 'logs/*.csv' --out RUN`"
        )
    where = Where(mode, workers, runner, beam)
    files = [spec, *(data or [])] if using else data or []
    stats = _transform(None if using else spec, files, out, where, overwrite=overwrite, resume=resume, using=using)
    console.show_stats(stats, as_json=as_json)


@app.command()
def train(
    run: RunPath,
    out: Annotated[str, typer.Option(help="The folder for the model, checkpoints and logs.")],
    epochs: Epochs = None,
    seed: Seed = None,
    resume: Resume = False,
    strategy: Strategy = "none",
    as_json: AsJson = False,
) -> None:
    """Trains a DeepFM on a run and keeps its best epoch. After ^C or a crash, --resume goes on.

    Example: `fieldpool train runs/monday --out models/monday`
    """
    console.show_training(_train(run, out, epochs, seed, resume=resume, strategy=strategy), as_json=as_json)


@app.command()
def evaluate(
    model: ModelPath,
    run: RunPath,
    split: Split = "test",
    gauc_by: GaucBy = None,
    slices: Slices = None,
    as_json: AsJson = False,
) -> None:
    """Metrics of a model on a split of a run: AUC, PR-AUC, logloss, GAUC, calibration; slice by slice.

    Example: `fieldpool evaluate models/monday runs/monday --gauc-by user_id --slice device --slice history`
    """
    console.show_metrics(_evaluate(model, run, [split], gauc_by=gauc_by, slices=slices), as_json=as_json)


app.command()(check)


@app.command(name="run", cls=CommandWithBeamOptions)
def run_all(
    spec: SpecPath,
    data: Data,
    out: Annotated[str, typer.Option(help="The folder to make: OUT/run and OUT/model.")],
    mode: ModeOption = "auto",
    workers: Workers = None,
    runner: Runner = None,
    beam: BeamArguments = None,
    epochs: Epochs = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """All of it: transform, train, evaluate, export, verify, report.

    Example: `fieldpool run spec.yaml clicks.parquet --out runs/monday`
    """
    where = Where(mode, workers, runner, beam)
    _run_all(spec, data, out, where, epochs=epochs, seed=seed, as_json=as_json)


@app.command()
def inspect(
    run: RunPath,
    split: Split = "train",
    rows: Annotated[int, typer.Option(min=1, help="Examples to show.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Examples of a run, decoded: tokens beside ids.

    Example: `fieldpool inspect runs/monday --split test --rows 5`
    """
    with console.quiet_tensorflow():
        from ...model.run import Run
        from ..tfrecords.decoding import decoded_examples
    console.show_examples(list(decoded_examples(Run(run), _checked_split(split), rows)), as_json=as_json)


app.command()(cli_serving.export)
app.command(cls=CommandWithBeamOptions)(cli_serving.predict)
app.command(cls=CommandWithBeamOptions)(cli_serving.verify)
app.command()(cli_reports.profile)
app.command()(cli_reports.report)


@app.command()
def demo(
    out: Annotated[str, typer.Option(help="The folder to make.")] = "demo-run",
    rows: Annotated[int, typer.Option(min=1000, help="Rows of the generated click log.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the log and of the training.")] = 0,
    as_json: AsJson = False,
) -> None:
    """The whole job on a generated click log, with the model's AUC beside the best possible one."""
    from ..demo_log import best_auc, write_click_log

    if os.path.exists(out) and os.listdir(out):
        raise UserError(f"{out}: exists already; choose another folder with --out, or remove it first")
    with console.working(f"Generating {rows:,} rows"):
        files = write_click_log(Path(out), rows=rows, seed=seed)
    if not as_json:
        console.say(f"The click log and its spec are in {out}: look at spec.yaml.")
    best = {"test": best_auc(files)}
    _run_all(str(files.spec), [str(files.clicks)], out, Where(), seed=seed, best_auc=best, as_json=as_json)
    if not as_json:
        console.say("The best possible AUC is that of the true click probabilities, which this log knows.")
        console.say(f"Look inside: fieldpool inspect {out}/run")


# -- what the commands share -------------------------------------------------------------------------


def _checked_split(split: str) -> str:
    from ...transforms.spec import SPLITS

    if split not in SPLITS:
        raise UserError(f"--split: expected one of {', '.join(SPLITS)}; found {split!r}")
    return split


def _transform(
    spec: str | None,
    data: list[str],
    out: str,
    where: Where,
    *,
    overwrite: bool = False,
    resume: bool = False,
    using: str | None = None,
) -> dict[str, Any]:
    """Returns the counts of the run that was made, by a spec or by the run `using`."""
    from ..spec_file import load_spec

    given = load_spec(spec) if spec else None
    with console.quiet_tensorflow():
        from ...model.run import Run
        from ..counts.spec_resolution import passes
        from ..runs import run_directory
        from .beam_job import beam_job
    options = beam_job(where, "transform", data, out, using, passes(given) if given else [])
    run = Run(using) if using else None
    loaded = run.spec if run else given
    assert loaded is not None
    with console.transforming(out):
        return run_directory.transform(loaded, data, out, options, overwrite=overwrite, resume=resume, using=run).stats


def _train(
    run: str, out: str, epochs: int | None, seed: int | None, *, resume: bool = False, strategy: str = "none"
) -> Any:
    """Returns the TrainingResult."""
    with console.quiet_tensorflow():
        import tensorflow as tf

        # Before any other work: TensorFlow wants to know its workers first.
        strategies = {
            "none": tf.distribute.get_strategy,
            "mirrored": tf.distribute.MirroredStrategy,
            "workers": tf.distribute.MultiWorkerMirroredStrategy,
        }
        chosen = strategies[strategy]()
        from ...model.run import Run
        from ...model.training import train as training
        from ..terminal.progress import TrainingProgress
    opened = Run(run)
    changes = {name: value for name, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    settings = opened.spec.train.model_copy(update=changes)
    with chosen.scope(), TrainingProgress(opened, settings) as progress:
        return training.train(opened, out, train_settings=settings, resume=resume, callbacks=[progress])


def _evaluate(
    model: str, run: str, splits: list[str], *, gauc_by: str | None = None, slices: list[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Returns the metrics by split."""
    with console.quiet_tensorflow():
        from ...model.run import Run
        from ...model.training.train import evaluate as evaluate_split
        from ...model.training.train import load_model
    opened, loaded = Run(run), load_model(model)
    with console.working("Evaluating"):
        return {
            split: evaluate_split(
                loaded, opened, _checked_split(split), batch_size=4096, gauc_by=gauc_by, slices=slices
            )
            for split in splits
            if len(splits) == 1 or opened.shards(split)
        }


def _run_all(
    spec: str,
    data: list[str],
    out: str,
    where: Where,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    best_auc: dict[str, float] | None = None,
    as_json: bool = False,
) -> None:
    from ..jobs.dataflow import is_dataflow

    if is_dataflow(where.runner or ""):
        raise UserError(
            "`run` also trains, on this machine; on Dataflow, use `fieldpool transform` and then `fieldpool train`"
        )
    if "://" in out:
        raise UserError(
            f"--out {out}: `run` also trains, on this machine; name a folder here, or use `fieldpool transform` with "
            "this one and then `fieldpool train`"
        )
    run, model = os.path.join(out, "run"), os.path.join(out, "model")
    stats = _transform(spec, data, run, where)
    if not as_json:
        console.show_stats(stats)
    training = _train(run, model, epochs, seed)
    metrics = _evaluate(model, run, ["train", "eval", "test"])
    export = cli_serving.exported(run, model)
    parity = cli_serving.verified(run, export, data, cli_serving.SAMPLE_ROWS)
    report = cli_reports.reported(run, model, os.path.join(out, cli_reports.REPORT_NAME), data)
    if as_json:
        made = {"run": run, "model": model, "export": export, "report": report}
        summary = {**made, "rows": stats, "metrics": metrics, "parity": asdict(parity)}
        print(json_text(summary | ({"best_auc": best_auc} if best_auc else {})))
    else:
        console.show_training(training)
        console.show_metrics(metrics, best_auc=best_auc)
        serving_tables.show_parity(parity)
        console.say(f"Run: {run}\nModel: {model}\nServing model: {export}\nReport: {report}")
        console.say(f"Curves: tensorboard --logdir {model}/logs")
    cli_serving.check_parity(parity)


if __name__ == "__main__":
    main()
