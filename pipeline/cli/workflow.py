"""Commands that run the complete workflow: run, demo."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...transforms.errors import CannotResume, TargetExists, UserError
from ...transforms.kinds import Kind, kind_of, names_in
from ...transforms.outputs import REPLACE, check_folder_output, check_not_a_file, locked_folder
from ..terminal import console, preflight, startup
from ..terminal.progress import working
from .arguments import (
    AsJson,
    BeamArguments,
    Data,
    Epochs,
    ModeOption,
    Overwrite,
    ResumeWorkflow,
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

if TYPE_CHECKING:
    from ..folders.work_folder import Fingerprint
    from ..sources.files import FileStamp

# What `run` creates in OUT, and the file that identifies the inputs of OUT/run.
_PARTS, _INPUTS = ("run", "model", REPORT_NAME), "inputs.json"

# Added to errors about existing output.
RESUME_OR_REPLACE = f"exists already; continue with --resume, {REPLACE.replace('replace it', 'start from scratch')}"


@dataclass(frozen=True)
class Replacement:
    """The options of a command that say what happens to earlier output."""

    overwrite: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        if self.overwrite and self.resume:
            raise UserError("--overwrite starts from scratch and --resume continues; give one of them")

    @property
    def is_allowed(self) -> bool:
        """Whether earlier output may be replaced or continued."""
        return self.overwrite or self.resume


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
    resume: ResumeWorkflow = False,
    as_json: AsJson = False,
) -> None:
    """Runs the complete workflow: transform, train, evaluate, export, verify, report. After ^C, --resume continues.

    Example: `fieldpool run spec.yaml clicks.parquet --out runs/monday`
    """
    from ..spec_file import load_spec

    where, earlier = RunnerOptions(mode, workers, runner, beam), Replacement(overwrite, resume)
    preflight.check_data(data, load_spec(spec))  # The spec first: data in its position is recognised.
    check_output(out, where, earlier)
    with locked_folder(out):
        run_workflow(spec, data, out, where, earlier, epochs=epochs, seed=seed, as_json=as_json)
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

    where, earlier = RunnerOptions(), Replacement(overwrite)
    with locked_folder(out):
        _check_demo(out, overwrite)
        check_output(out, where, earlier)
        with working(f"Generating {rows:,} rows"):
            files = write_click_log(Path(out), rows=rows, seed=seed)
        if not as_json:
            console.say(f"The click log and its spec, spec.yaml, are in {out}.")
        with startup.importing():  # `best_auc` imports `fieldpool.model`.
            best = {"test": best_auc(files)}
        spec, data = str(files.spec), [str(files.clicks)]
        run_workflow(spec, data, out, where, earlier, seed=seed, best_auc=best, as_json=as_json)
    if not as_json:
        console.say("The best possible AUC is that of the true click probabilities, which are known for this log.")
        console.say_next("inspect", os.path.join(out, "run"))
        console.say("For your own data: fieldpool profile DATA... --out DIR")


def check_output(out: str, where: RunnerOptions, earlier: Replacement) -> None:
    """Checks that the parts of OUT do not exist, or may be replaced or resumed, before the first step.

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
            f"--out {out}: the model is trained on this machine; choose a local folder, or use `fieldpool transform` "
            "with this folder and then `fieldpool train`"
        )
    check_not_a_file(out)
    found = kind_of(out)
    if found in (Kind.RUN, Kind.UNFINISHED_RUN, Kind.MODEL, Kind.EXPORT, Kind.PREDICTIONS):
        raise TargetExists(f"{out}: exists already and is {found}; choose another folder with --out")
    run, model, report = (os.path.join(out, name) for name in _PARTS)
    is_unfinished = kind_of(run) is Kind.UNFINISHED_RUN  # `transform` starts it from scratch, or resumes it.
    if not is_unfinished:
        check_folder_output(run, Kind.RUN, overwrite=True)
    with startup.importing():
        from ...model.training.folder import check_folder
        from ..reports.pages import check_report
    check_folder(model, overwrite=True, resume=False)
    check_report(report, overwrite=True)
    if earlier.is_allowed:
        return
    made = [path for path in (run, model) if names_in(path) and not (path == run and is_unfinished)]
    made += [report] if os.path.exists(report) else []
    if made:
        raise TargetExists(f"{made[0]}: {RESUME_OR_REPLACE}")


def _check_demo(out: str, overwrite: bool) -> None:
    """Checks that a folder is empty, or a demo that may be replaced: one that has the true probabilities.

    Raises:
        TargetExists: it has other files, or `overwrite` is false.
    """
    from ..demo_log import FILE_NAMES, TRUTH_NAME

    names = names_in(out)
    other = sorted(names - {*FILE_NAMES, *_PARTS, _INPUTS})
    if other or (names and TRUTH_NAME not in names):
        shown = ", ".join((other or sorted(names))[:3])
        raise TargetExists(
            f"{out}: exists already and is not a demo (it contains {shown}); choose another folder with --out"
        )
    if names and not overwrite:
        raise TargetExists(f"{out}: exists already and is a demo; {REPLACE}")


def _is_kept(spec: str, data: list[str], out: str, earlier: Replacement) -> bool:
    """Returns whether OUT/run is complete, so that only the later steps remain.

    Raises:
        CannotResume: it was made from other inputs, or these are unknown.
    """
    from ..folders.work_folder import WORK_PREFIX
    from ..sources.files import find_files

    run, recorded = os.path.join(out, "run"), os.path.join(out, _INPUTS)
    is_complete = kind_of(run) is Kind.RUN and not any(name.startswith(WORK_PREFIX) for name in names_in(run))
    if not (earlier.resume and is_complete):
        return False
    differences = ["this file is missing"]
    if os.path.exists(recorded):
        with open(recorded, encoding="utf-8") as file:
            differences = _inputs_of(spec, find_files(data), out).differences(json.load(file))
    if differences:
        raise CannotResume(
            f"{recorded}: {run} was made from other inputs; changed since: {', '.join(differences[:5])}. Give the same "
            "spec and data, or start from scratch with --overwrite"
        )
    return True


def _inputs_of(spec: str, files: list[FileStamp], out: str) -> Fingerprint:
    """Returns the fingerprint of spec, data files and the `DONE` file of OUT/run, which is new for each run."""
    from ..runs.run_directory import fingerprint_of
    from ..sources.files import find_files
    from ..spec_file import load_spec
    from ..vectors.vector_files import vector_stamps

    loaded, done = load_spec(spec), find_files([os.path.join(out, "run", "DONE")])
    return fingerprint_of(loaded, [*files, *vector_stamps(loaded), *done], [])


def run_workflow(
    spec: str,
    data: list[str],
    out: str,
    where: RunnerOptions,
    earlier: Replacement,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    best_auc: dict[str, float] | None = None,
    profile: dict[str, str] | None = None,
    as_json: bool = False,
) -> None:
    """Runs all steps and prints their results; with `as_json` also the paths of the `profile`."""
    run, model, report = (os.path.join(out, name) for name in _PARTS)
    overwrite = earlier.is_allowed
    with startup.importing():
        from ...model.files import write_json
        from ...model.training.folder import has_checkpoint, remove_checkpoints
        from ...transforms.runs.run import Run
        from ..sources.files import find_files
    from ..terminal import serving_tables, tables

    if _is_kept(spec, data, out, earlier):
        stats = Run(run).stats
    else:
        files = find_files(data)
        stats = make_run(spec, data, run, where, overwrite=overwrite, resume=earlier.resume).stats
        remove_checkpoints(model)  # Of an earlier run: before the new inputs are recorded, so --resume never uses them.
        write_json(os.path.join(out, _INPUTS), asdict(_inputs_of(spec, files, out)))
    if not as_json:
        show_run(run, stats)
    resume = earlier.resume and has_checkpoint(model)
    training = train_run(run, model, epochs, seed, resume=resume, overwrite=overwrite and not resume)
    metrics = evaluate_splits(run, model, ["train", "eval", "test"])
    export = export_run(run, model, overwrite=overwrite)
    parity = verify_export(run, export, data, SAMPLE_ROWS, RunnerOptions())
    write_report(run, model, report, data, overwrite=overwrite)
    if as_json:
        from ...model.json_text import json_text

        made = {**(profile or {}), "run": run, "model": model, "export": export, "report": report}
        summary = {**made, "rows": stats.as_json(), "metrics": metrics, "parity": asdict(parity)}
        print(json_text(summary | ({"best_auc": best_auc} if best_auc else {})))
    else:
        tables.show_training(training)
        tables.show_metrics(metrics, best_auc=best_auc, list_fields=list_fields(run))
        serving_tables.show_parity(parity)
        console.say(f"Run: {run}\nModel: {model}\nExported model: {export}\nReport: {report}")
        console.say(f"Curves: tensorboard --logdir {model}/logs")
    check_parity(parity)
