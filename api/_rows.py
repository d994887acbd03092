"""The functions on rows and runs: transform, explain, check."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from rich.console import RenderableType

from ._inputs import Data, Path, SpecLike, as_files, as_spec
from ._run import Run, as_run
from ._tables import Tables
from .pipeline.jobs import options as jobs
from .pipeline.rows.prepared_job import PreparedJob, prepare_job
from .pipeline.runs import drift, dry_run
from .pipeline.runs.growing import growing_of
from .pipeline.runs.run_directory import transform_job
from .pipeline.terminal.check_table import findings_table
from .pipeline.terminal.example_tables import explanation_tables
from .transforms.errors import UserError
from .transforms.runs.run import Run as RunDirectory
from .transforms.spec.times import parsed_date


def transform(
    spec: SpecLike | None,
    data: Data,
    out: Path,
    *,
    using: RunDirectory | Path | None = None,
    grow: RunDirectory | Path | None = None,
    as_of: date | str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    counts_cache: Path | None = None,
    mode: jobs.Mode = "auto",
    workers: int | None = None,
    runner: str | None = None,
    beam_options: Sequence[str] = (),
) -> Run:
    """Transforms raw rows into a run directory: vocabularies, padded TFRecords, counts.

    Args:
        spec: The path of a YAML file, its contents as a dict, or a `Spec`; None with `using`.
        data: File names or patterns, or a table such as a pandas DataFrame.
        out: The run directory to create, on a local disk or on gs://.
        using: A run whose spec, transform and vocabularies are applied to the rows. No vocabulary and no statistic is
            computed from these rows.
        grow: A run whose vocabularies are extended: every token keeps its id. Not together with `using`.
        as_of: The date of the rows, such as `2026-11-28`, from which `retire_after` is counted. Default: that of the
            newest partition folder or time, if they have one.
        overwrite: Replace an existing run once the new one is complete.
        resume: Continue the unfinished work that a killed process left in `out`. Only for data in files.
        counts_cache: A folder in which counts of partitions are kept: files, or folders such as `dt=2026-11-01`. The
            analysis reads only those that are not there yet. Only on this machine.
        mode: How to run on this machine: `memory` (in one thread of this process), `threads`, `processes`, or `auto`,
            which depends on the size of the data and the number of cores.
        workers: The number of threads or processes. Default: one for every two cores.
        runner: The name of a Beam runner, such as DataflowRunner. Default: this machine.
        beam_options: Options of the runner in Beam's own form, such as `["--region=europe-west1"]`.

    Returns:
        The run, opened.

    Raises:
        UserError: The spec, the data or the options are wrong. The message says what to change.
    """
    if (spec is None) == (using is None):
        found = "neither" if spec is None else "both"
        raise UserError(f"transform: expected either `spec` or `using`, found {found}; give one of them")
    if using is not None and (grow is not None or as_of is not None):
        raise UserError("transform: expected `using` or `grow` and `as_of`, found both; give one of them")
    day = parsed_date(as_of, "as_of") if isinstance(as_of, str) else as_of
    older = using if grow is None else grow
    base = None if older is None else as_run(older)
    loaded = as_spec(spec) if spec is not None else as_run(using).spec  # type: ignore[arg-type]
    options = jobs.beam_options(runner, beam_options, mode=mode, workers=workers, job="transform")
    with as_files(data) as files:
        if files.name and resume:
            raise UserError(
                f"transform: `resume` works only for data in files, found a {files.name}; write it to a Parquet file "
                "and pass its path, or leave `resume` out"
            )
        run = base.path if base else None
        job = prepare_job(files.patterns, os.fspath(out), options, run=run, source_name=files.name)
        choose_workers(job, mode, workers)
        opened = base and RunDirectory(job.run or "")
        transform_job(
            loaded,
            job,
            overwrite=overwrite,
            resume=resume,
            using=None if using is None else opened,
            grow=growing_of(loaded, opened, day) if using is None else None,
            counts_cache=None if counts_cache is None else os.fspath(counts_cache),
        )
    return Run(job.target)


def choose_workers(job: PreparedJob, mode: jobs.Mode, workers: int | None) -> None:
    """Switches to several processes for large data, unless `mode` or `workers` is given."""
    if mode == "auto" and workers is None and jobs.runs_in_process(job.options):
        jobs.choose_mode(job.options, job.input_bytes)


class Explanation(dry_run.Explanation, Tables):
    """The first rows before and after the transform.

    Attributes:
        rows: The rows shown, each with `source`, `row`, `split`, the `raw` values and the decoded `example`.
        rejected: The rows of the sample that would be rejected, each with `source`, `row`, `field` and `reason`.
        spec: The spec with lengths and time boundaries filled in from the sample.
        stats: The counts of the sample, as in `Run.stats`.
    """

    def _tables(self) -> Sequence[RenderableType]:
        return explanation_tables(self)


def explain(spec: SpecLike, data: Data, *, rows: int = 3, sample: int = 1000) -> Explanation:
    """Dry run: shows the first rows of the data before and after the transform. Writes nothing.

    Args:
        spec: The path of a YAML file, its contents as a dict, or a `Spec`.
        data: File names or patterns, or a table such as a pandas DataFrame.
        rows: The number of rows to show.
        sample: The number of rows, from the start of the data, that vocabularies are built from.

    Raises:
        UserError: As for `transform`.
    """
    loaded = as_spec(spec)
    with as_files(data) as files:
        found = dry_run.explain(loaded, files.patterns, sample=sample, shown=rows)
        shown = [replace(row, source=files.shown(row.source)) for row in found.rows]
        rejected = [replace(row, source=files.shown(row.source)) for row in found.rejected]
    return Explanation(shown, rejected, found.spec, found.stats)


@dataclass(frozen=True)
class CheckResult(Tables):
    """The comparison of new rows with a run.

    Attributes:
        findings: One comparison per field and measure: the value in the run, the value in the new rows, the threshold,
            and whether it is exceeded.
    """

    findings: list[drift.Finding]

    @property
    def broken(self) -> list[drift.Finding]:
        """The comparisons that exceed a threshold of the spec's `check` section."""
        return [finding for finding in self.findings if finding.is_broken]

    @property
    def holds(self) -> bool:
        """Whether no threshold is exceeded."""
        return not self.broken

    def _tables(self) -> Sequence[RenderableType]:
        return [findings_table(self.findings)]


def check(run: RunDirectory | Path, data: Data) -> CheckResult:
    """Compares new rows with a run: OOV, missing and truncated values, lengths, ranges, columns, label rate.

    Args:
        run: The run, or its path.
        data: File names or patterns, or a table such as a pandas DataFrame.

    Raises:
        UserError: A file cannot be read, or there are no rows.
    """
    opened = as_run(run)
    with as_files(data) as files:
        return CheckResult(drift.check(opened, files.patterns))
