"""Commands on rows and runs: schema, explain, transform, check, inspect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ...transforms.errors import CheckFailed, UserError
from ..terminal import startup
from ..terminal.progress import transforming, working
from .arguments import (
    AsJson,
    BeamArguments,
    Data,
    DataAfterSpec,
    ModeOption,
    Overwrite,
    Resume,
    Runner,
    RunnerOptions,
    RunPath,
    SpecOrData,
    SpecPath,
    Split,
    Using,
    Workers,
)

if TYPE_CHECKING:
    from ...model.run_stats import RunStats


def schema() -> None:
    """Prints the spec's JSON Schema, for editors: `fieldpool schema > fieldpool.schema.json`."""
    from ...transforms.spec import Spec

    print(json.dumps(Spec.model_json_schema(), indent=2))


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
    with startup.importing():
        from ..runs import dry_run
        from ..terminal import example_tables
    with working("Transforming the first rows"):
        explanation = dry_run.explain(loaded, data, sample=sample, shown=rows)
    example_tables.show_explanation(explanation, as_json=as_json)


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
    where = RunnerOptions(mode, workers, runner, beam)
    files = [spec, *(data or [])] if using else data or []
    made = make_run(None if using else spec, files, out, where, overwrite=overwrite, resume=resume, using=using)
    from ..terminal import tables

    tables.show_stats(made, as_json=as_json)


def check(run: RunPath, data: Data, as_json: AsJson = False) -> None:
    """Compares new rows with a run: OOV, missing, lengths, truncated values, ranges, columns, label rate.

    Leaves with exit code 3 if a threshold of the run's spec, its `check:` section, is broken. Writes nothing.

    Example: `fieldpool check runs/monday tuesday.parquet`
    """
    with startup.importing():
        from ...model.run import Run
        from ..runs import drift
        from ..terminal import check_table
    opened = Run(run)
    with working("Reading"):
        findings = drift.check(opened, data)
    check_table.show_findings(findings, as_json=as_json)
    broken = [f"{finding.field}: {finding.measure}" for finding in findings if finding.is_broken]
    if broken:
        raise CheckFailed(
            f"{run}: the new rows are too far from this run's ({', '.join(broken)}); look for what changed at their "
            "source, train on newer rows, or widen the thresholds (`check:` in RUN/spec.yaml)"
        )


def inspect(
    run: RunPath,
    split: Split = "train",
    rows: Annotated[int, typer.Option(min=1, help="Examples to show.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Examples of a run, decoded: tokens beside ids.

    Example: `fieldpool inspect runs/monday --split test --rows 5`
    """
    with startup.importing():
        from ...model.run import Run
        from ..terminal import example_tables
        from ..tfrecords.decoding import decoded_examples
    examples = decoded_examples(Run(run), checked_split(split), rows)
    example_tables.show_examples(list(examples), as_json=as_json)


def make_run(
    spec: str | None,
    data: list[str],
    out: str,
    where: RunnerOptions,
    *,
    overwrite: bool = False,
    resume: bool = False,
    using: str | None = None,
) -> RunStats:
    """Makes a run by a spec, or by the run `using`; returns its counts."""
    from ..spec_file import load_spec

    given = load_spec(spec) if spec else None
    with startup.importing():
        from ...model.run import Run
        from ..counts.spec_resolution import passes
        from ..runs.run_directory import transform_job
        from .beam_job import prepared_job
    job = prepared_job(where, "transform", data, out, run=using, before=passes(given) if given else [])
    run = Run(job.run) if job.run else None
    loaded = run.spec if run else given
    assert loaded is not None
    with transforming(out):
        return transform_job(loaded, job, overwrite=overwrite, resume=resume, using=run).stats


def checked_split(split: str) -> str:
    """Returns the split that an option names.

    Raises:
        UserError: there is none of that name.
    """
    from ...transforms.spec import SPLITS

    if split not in SPLITS:
        raise UserError(f"--split: expected one of {', '.join(SPLITS)}; found {split!r}")
    return split
