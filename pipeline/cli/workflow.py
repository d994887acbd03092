"""Commands that run the complete workflow: run, demo."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ...transforms.errors import TargetExists, UserError
from ...transforms.kinds import Kind, kind_of, names_in
from ...transforms.outputs import REPLACE, check_folder_output, check_not_a_file, locked_folder
from ..terminal import console, startup
from ..terminal.progress import working
from .arguments import (
    AsJson,
    BeamArguments,
    Data,
    Epochs,
    ModeOption,
    Overwrite,
    Runner,
    RunnerOptions,
    Seed,
    SpecPath,
    Workers,
)
from .data import make_run, show_run
from .reports import REPORT_NAME, write_report
from .serving import SAMPLE_ROWS, check_parity, export_run, verify_export
from .training import evaluate_splits, list_fields, train_run

# What `run` creates in OUT.
_PARTS = ("run", "model", REPORT_NAME)


def run(
    spec: SpecPath,
    data: Data,
    out: Annotated[str, typer.Option(help="The folder to create, with OUT/run and OUT/model.")],
    mode: ModeOption = "auto",
    workers: Workers = None,
    runner: Runner = None,
    beam: BeamArguments = None,
    epochs: Epochs = None,
    seed: Seed = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Runs the complete workflow: transform, train, evaluate, export, verify, report.

    Example: `fieldpool run spec.yaml clicks.parquet --out runs/monday`
    """
    where = RunnerOptions(mode, workers, runner, beam)
    _check_output(out, where, overwrite)
    with locked_folder(out):
        run_workflow(spec, data, out, where, epochs=epochs, seed=seed, overwrite=overwrite, as_json=as_json)
    if not as_json:
        console.say_next("predict", os.path.join(out, "model"), "DATA...", "--out", "OUT")


def demo(
    out: Annotated[str, typer.Option(help="The folder to create.")] = "demo-run",
    rows: Annotated[int, typer.Option(min=1000, help="Number of rows of the generated click log.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the log and of training.")] = 0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Runs the complete workflow on a generated click log; compares the AUC with the best possible one.

    Example: `fieldpool demo --rows 10000`
    """
    from ..demo_log import best_auc, write_click_log

    where = RunnerOptions()
    with locked_folder(out):
        _check_demo(out, overwrite)
        _check_output(out, where, overwrite)
        with working(f"Generating {rows:,} rows"):
            files = write_click_log(Path(out), rows=rows, seed=seed)
        if not as_json:
            console.say(f"The click log and its spec, spec.yaml, are in {out}.")
        with startup.importing():  # `best_auc` imports `fieldpool.model`.
            best = {"test": best_auc(files)}
        spec, data = str(files.spec), [str(files.clicks)]
        run_workflow(spec, data, out, where, seed=seed, best_auc=best, overwrite=overwrite, as_json=as_json)
    if not as_json:
        console.say("The best possible AUC is that of the true click probabilities, which are known for this log.")
        console.say_next("inspect", os.path.join(out, "run"))
        console.say("For your own data: fieldpool profile DATA... --out DIR")


def _check_output(out: str, where: RunnerOptions, overwrite: bool) -> None:
    """Checks that the parts of OUT do not exist, or may be replaced, before the first step.

    Raises:
        TargetExists: they may not be replaced, or OUT is something else.
        UserError: OUT or the runner is remote.
    """
    from ..jobs.dataflow import is_dataflow

    if is_dataflow(where.runner or ""):
        raise UserError(
            "`run` also trains, on this machine; on Dataflow, use `fieldpool transform` and then `fieldpool train`"
        )
    if "://" in out:
        raise UserError(
            f"--out {out}: `run` also trains, on this machine; choose a local folder, or use `fieldpool transform` "
            "with this folder and then `fieldpool train`"
        )
    check_not_a_file(out)
    found = kind_of(out)
    if found in (Kind.RUN, Kind.UNFINISHED_RUN, Kind.MODEL, Kind.EXPORT, Kind.PREDICTIONS):
        raise TargetExists(f"{out}: exists already and is {found}; choose another folder with --out")
    run, model, report = (os.path.join(out, name) for name in _PARTS)
    if kind_of(run) is not Kind.UNFINISHED_RUN:  # `transform` starts it from scratch.
        check_folder_output(run, Kind.RUN, overwrite=overwrite)
    with startup.importing():
        from ...model.training.folder import check_folder
        from ..reports.pages import check_report
    check_folder(model, overwrite=overwrite, resume=False)
    check_report(report, overwrite=overwrite)


def _check_demo(out: str, overwrite: bool) -> None:
    """Checks that a folder is empty, or a demo that may be replaced: one that has the true probabilities.

    Raises:
        TargetExists: it has other files, or `overwrite` is false.
    """
    from ..demo_log import FILE_NAMES, TRUTH_NAME

    names = names_in(out)
    other = sorted(names - {*FILE_NAMES, *_PARTS})
    if other or (names and TRUTH_NAME not in names):
        shown = ", ".join((other or sorted(names))[:3])
        raise TargetExists(
            f"{out}: exists already and is not a demo (it contains {shown}); choose another folder with --out"
        )
    if names and not overwrite:
        raise TargetExists(f"{out}: exists already and is a demo; {REPLACE}")


def run_workflow(
    spec: str,
    data: list[str],
    out: str,
    where: RunnerOptions,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    best_auc: dict[str, float] | None = None,
    overwrite: bool = False,
    as_json: bool = False,
) -> None:
    """Runs all steps and prints their results."""
    run, model, report = (os.path.join(out, name) for name in _PARTS)
    stats = make_run(spec, data, run, where, overwrite=overwrite)
    from ..terminal import serving_tables, tables

    if not as_json:
        show_run(run, stats)
    training = train_run(run, model, epochs, seed, overwrite=overwrite)
    metrics = evaluate_splits(run, model, ["train", "eval", "test"])
    export = export_run(run, model, overwrite=overwrite)
    parity = verify_export(run, export, data, SAMPLE_ROWS, RunnerOptions())
    write_report(run, model, report, data, overwrite=overwrite)
    if as_json:
        from ...model.json_text import json_text

        made = {"run": run, "model": model, "export": export, "report": report}
        summary = {**made, "rows": stats.as_json(), "metrics": metrics, "parity": asdict(parity)}
        print(json_text(summary | ({"best_auc": best_auc} if best_auc else {})))
    else:
        tables.show_training(training)
        tables.show_metrics(metrics, best_auc=best_auc, list_fields=list_fields(run))
        serving_tables.show_parity(parity)
        console.say(f"Run: {run}\nModel: {model}\nExported model: {export}\nReport: {report}")
        console.say(f"Curves: tensorboard --logdir {model}/logs")
    check_parity(parity)
