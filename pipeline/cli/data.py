"""Commands on rows and runs: schema, explain, transform, check, inspect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ...transforms.errors import CheckFailed, UserError
from ...transforms.kinds import Kind
from ..terminal import console, preflight, startup
from ..terminal.progress import transforming, working
from .arguments import (
    AsJson,
    AsOf,
    BeamArguments,
    CountsCache,
    Data,
    DataAfterSpec,
    Grow,
    ModeOption,
    Overwrite,
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
    from ...transforms.runs.run_stats import RunStats
    from ..runs.run_directory import TransformResult


def schema() -> None:
    """Prints the JSON Schema of the spec, for editors: `fieldpool schema > fieldpool.schema.json`."""
    from ...transforms.spec import Spec

    print(json.dumps(Spec.model_json_schema(), indent=2))


def explain(
    spec: SpecPath,
    data: Data,
    rows: Annotated[int, typer.Option(min=1, help="Number of rows to show.")] = 3,
    sample: Annotated[
        int, typer.Option(min=1, help="Number of rows, from the start, that vocabularies are built from.")
    ] = 1000,
    as_json: AsJson = False,
) -> None:
    """Dry run: shows the first rows of the data before and after the transform. Writes nothing.

    Example: `fieldpool explain spec.yaml 'logs/*.csv'`
    """
    from ..spec_file import load_spec

    loaded = load_spec(spec)
    preflight.check_data(data, loaded)
    with startup.importing():
        from ..runs import dry_run
        from ..terminal import example_tables
    with working("Transforming the first rows"):
        explanation = dry_run.explain(loaded, data, sample=sample, shown=rows)
    example_tables.show_explanation(explanation, as_json=as_json)
    if not as_json:
        console.say_next("transform", spec, *console.shortened(data), "--out", "RUN")


def transform(
    spec: SpecOrData,
    data: DataAfterSpec = None,
    *,
    out: Annotated[str, typer.Option(help="The run directory to create.")],
    mode: ModeOption = "auto",
    workers: Workers = None,
    runner: Runner = None,
    beam: BeamArguments = None,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the unfinished work in --out.")] = False,
    using: Using = None,
    counts_cache: CountsCache = None,
    grow: Grow = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Transforms raw rows into a run directory: vocabularies, padded TFRecords, counts.

    With --using RUN, leave SPEC out: new rows get the transform and the vocabularies of that run. With --grow RUN, the
    vocabularies extend those of that run: every token keeps its id.

    Example: `fieldpool transform spec.yaml clicks.parquet --out runs/monday`
    """
    if not using and not data:
        raise UserError(
            f"no data: give files after the spec, as in `fieldpool transform {spec} 'logs/*.csv' --out RUN`"
        )
    if using and (grow or as_of):
        other = "--grow RUN extends them" if grow else "--as-of states the date of new ones"
        raise UserError(f"--using RUN applies the vocabularies of a run as they are, {other}; give one of them")
    where = RunnerOptions(mode, workers, runner, beam)
    files = [spec, *(data or [])] if using else data or []
    made = make_run(
        None if using else spec,
        files,
        out,
        where,
        overwrite=overwrite,
        resume=resume,
        using=using,
        grow=grow,
        as_of=as_of,
        counts_cache=counts_cache,
    )
    show_run(out, made.stats, as_json=as_json)
    if not as_json:
        if (cache := made.counts_cache) is not None and cache.asked:
            known = len(cache.asked - cache.counted)
            console.say(f"Partitions: {len(cache.counted):,} counted, {known:,} known from {cache.folder}")
        console.say_next(*(["evaluate", out, "MODEL"] if using else ["train", out, "--out", "MODEL"]))


def check(run: RunPath, data: Data, as_json: AsJson = False) -> None:
    """Compares new rows with a run: OOV, missing values, list lengths, ranges, columns, label rate.

    The files need neither label nor split. Exits with code 3 if a threshold in the `check:` section of the run's spec
    is exceeded. Writes nothing.

    Example: `fieldpool check runs/monday tuesday.parquet`
    """
    preflight.check_run(run)
    preflight.check_data(data)
    with startup.importing():
        from ...transforms.runs.run import Run
        from ..runs import drift
        from ..terminal import check_table
    opened = Run(run)
    with working("Reading"):
        findings = drift.check(opened, data)
    check_table.show_findings(findings, as_json=as_json)
    broken = [f"{finding.field}: {finding.measure}" for finding in findings if finding.is_broken]
    if broken:
        raise CheckFailed(
            f"{run}: the new rows exceed drift thresholds ({', '.join(broken)}); find out what changed at the source, "
            "train on newer rows, or raise the thresholds (`check:` in RUN/spec.yaml)"
        )
    if not as_json:
        console.say_next("predict", "MODEL", *console.shortened(data), "--out", "OUT")


def inspect(
    run: RunPath,
    split: Split = "train",
    rows: Annotated[int, typer.Option(min=1, help="Number of examples to show.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Shows decoded examples of a run: tokens beside ids.

    Example: `fieldpool inspect runs/monday --split test --rows 5`
    """
    preflight.check_run(run)
    with startup.importing() if preflight.is_remote(run) else working("Starting"):
        from ...transforms.runs.run import Run
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
    grow: str | None = None,
    as_of: str | None = None,
    counts_cache: str | None = None,
) -> TransformResult:
    """Creates a run with a spec, or with the transform of the run `using`.

    With `grow`, its vocabularies extend those of that run; `as_of` is the date of the rows.
    """
    from ...transforms.spec.times import parsed_date
    from ..spec_file import load_spec

    given = load_spec(spec) if spec else None
    day = None if as_of is None else parsed_date(as_of, "--as-of")
    if where.runner is None:
        preflight.check_output(out, Kind.RUN, may_exist=overwrite or resume)
        if older := using or grow:
            preflight.check_run(older)
        preflight.check_data(data, given)
    with startup.importing():
        from ...transforms.runs.run import Run
        from ..runs.growing import growing_of
        from ..runs.run_directory import transform_job
        from ..runs.spec_resolution import passes
        from .beam_job import prepared_job
    job = prepared_job(where, "transform", data, out, run=using or grow, before=passes(given) if given else [])
    run = Run(job.run) if job.run else None
    with transforming(out):
        loaded = run.spec if using and run else given
        assert loaded is not None
        return transform_job(
            loaded,
            job,
            overwrite=overwrite,
            resume=resume,
            using=run if using else None,
            grow=None if using else growing_of(loaded, run, day),
            counts_cache=counts_cache,
        )


def show_run(path: str, stats: RunStats, *, as_json: bool = False) -> None:
    """Prints the counts of a run, the boundaries of a time split, and the reasons of rejected rows."""
    from ...transforms.runs.run import Run
    from ..terminal import rejected_rows, tables

    tables.show_stats(stats, as_json=as_json)
    if not as_json:
        boundaries = tables.split_line(Run(path).spec)
        if boundaries:
            console.say(boundaries)
        rejected_rows.show_rejected(path, stats.rejected)


def checked_split(split: str) -> str:
    """Returns the value of `--split`.

    Raises:
        UserError: there is no such split.
    """
    from ...transforms.spec import SPLITS

    if split not in SPLITS:
        raise UserError(f"--split: expected one of {', '.join(SPLITS)}; found {split!r}")
    return split
