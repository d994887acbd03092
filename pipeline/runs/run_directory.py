"""`fieldpool transform`: builds a run directory from files and a spec.

The files are written to a work folder inside the target and moved into place once all are complete; `DONE` is last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from ...transforms.run_files import DONE_FILE
from ...transforms.runs.run import Run
from ...transforms.runs.run_stats import RunStats
from ...transforms.spec import Spec
from ...transforms.spec.inputs import raw_columns
from ..analysis.cache import CountsCache
from ..analysis.partitions import partitions_of
from ..counts.rates import rates_of_new_rows, rates_of_run, warn_of_far_rates
from ..folders.work_folder import Fingerprint, work_folder
from ..jobs.errors import translate_worker_errors
from ..jobs.options import beam_options
from ..rows.prepared_job import PreparedJob, prepare_job
from ..rows.splits import check_files
from ..sniffing.sniff import with_found_source
from ..sources.batches import SourceBatch
from ..sources.files import FileStamp, find_files
from ..sources.readers import check_input
from ..sources.sample import first_rows
from ..vectors.vector_files import vector_stamps
from .growing import Growing, growing_of
from .known_transform import opened_cache
from .list_warnings import LOOKED_AT, warn_of_long_padding, warn_of_unsplit_lists
from .row_source import RowSource
from .run_parts import write_parts
from .split_warnings import (
    warn_of_empty_splits,
    warn_of_no_negatives,
    warn_of_no_positives,
    warn_of_unseen_constants,
)


@dataclass(frozen=True)
class TransformResult:
    """A finished run: its path, the resolved spec, its counts, and the cache of counts that was used, if any."""

    path: str
    spec: Spec
    stats: RunStats
    counts_cache: CountsCache | None = None


def transform(
    spec: Spec,
    patterns: Sequence[str],
    target: str,
    options: PipelineOptions | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    using: Run | None = None,
    grow: Run | None = None,
    as_of: date | None = None,
    counts_cache: str | None = None,
) -> TransformResult:
    """Builds the run directory `target` from the files that `patterns` match.

    Warns of multivalued fields whose texts look like lists that were not split (see `list_warnings`), and, without
    `using`, of an empty eval or test split that the spec asks for, and if no label is positive.

    Args:
        spec: Describes the rows; with `using`, that run's spec.
        patterns: Paths or glob patterns of the files.
        target: The run directory to create.
        options: Beam options; by default, the job runs in this process.
        overwrite: Replace an existing run, once the new one is complete.
        resume: Continue from the files that a killed process left in the target: complete results are moved into
            place; a complete analysis is not repeated.
        using: A run whose transform is applied to the rows: same vocabularies, same ids.
        grow: A run whose vocabularies are extended: every token keeps its id. Not together with `using`.
        as_of: The date of the rows, from which the time is counted after which tokens are retired. Default None: that
            of the newest partition folder or time, if they have one.
        counts_cache: A folder of counts; partitions that it knows are not read for the analysis.

    Raises:
        SourceError: a file cannot be read, or is changed while it is read.
        TargetExists: the target is not a run, or is a run and `overwrite` is False.
        CannotResume: the files in the target were made from another spec or from other files.
        CannotWrite: there is no permission to write, or no space.
        TooManyRejected: more rows are rejected than `max_rejected`.
        EmptyTrainSplit: no row is in the train split.
    """
    older = using or grow
    job = prepare_job(patterns, target, options, run=older.path if older else None)
    run = Run(job.run) if job.run else None
    return transform_job(
        spec,
        job,
        overwrite=overwrite,
        resume=resume,
        using=run if using else None,
        grow=None if using else growing_of(spec, run, as_of),
        counts_cache=counts_cache,
    )


def transform_job(
    spec: Spec,
    job: PreparedJob,
    *,
    overwrite: bool = False,
    resume: bool = False,
    using: Run | None = None,
    grow: Growing | None = None,
    counts_cache: str | None = None,
) -> TransformResult:
    """Builds a run as `transform` does, from a prepared job.

    Raises:
        UserError: as `transform`, or a cache is given for a job on another runner, or together with `using`.
    """
    cache = None if counts_cache is None else opened_cache(counts_cache, job.options, using)
    spec = with_found_source(spec, job.paths)
    columns = raw_columns(spec)
    found = check_input(job.paths, spec.source, columns)
    other = using or (grow.older if grow else None)
    base = find_files([FileSystems.join(other.path, DONE_FILE)]) if other else []
    vectors = vector_stamps(spec) if using is None else []
    fingerprint = fingerprint_of(spec, [*job.files, *base, *vectors], found, grow)
    check_files(job.paths, spec)

    def first_of_files() -> Iterator[SourceBatch]:
        return (batch for path in job.paths for batch in first_rows(path, spec.source, columns, LOOKED_AT))

    source = RowSource(
        lambda: job.rows(spec.source, columns),
        fingerprint,
        job.check_unchanged,
        first_of_files,
        lambda: partitions_of(job.files, spec.source, job.source_name),
        cache,
        lambda: job.batches(spec.source, columns),
    )
    result = transform_rows(
        spec, source, job.target, job.options, overwrite=overwrite, resume=resume, using=using, grow=grow
    )
    warn_of_unsplit_lists(result.spec, result.stats, first_rows(job.paths[0], spec.source, columns, LOOKED_AT))
    if using is None:
        warn_of_long_padding(spec, result.spec, result.stats)
        warn_of_empty_splits(spec, result.spec, result.stats)
        warn_of_no_positives(spec, result.stats)
        warn_of_unseen_constants(Run(result.path))
    warn_of_no_negatives(result.stats)
    return result


def fingerprint_of(spec: Spec, files: list[FileStamp], columns: list[str], grow: Growing | None = None) -> Fingerprint:
    """Returns the fingerprint of work with a spec on files that have these columns."""
    growth = None if grow is None else grow.as_json()
    versions = {name: version(name) for name in ("fieldpool", "tensorflow-transform")}
    return Fingerprint(spec.model_dump(mode="json", exclude_unset=True), files, columns, versions, growth)


def transform_rows(
    spec: Spec,
    source: RowSource,
    target: str,
    options: PipelineOptions | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    using: Run | None = None,
    grow: Growing | None = None,
) -> TransformResult:
    """Builds a run as `transform` does, from any source of rows."""
    with (
        translate_worker_errors(target),
        work_folder(target, overwrite=overwrite, resume=resume, fingerprint=source.fingerprint) as work,
    ):
        if not work.is_complete:
            write_parts(spec, source, target, work, options or beam_options(), using, grow)
            source.check_unchanged()
        work.publish()
    run = Run(target)
    if using is not None and using.has_stats:
        new = {name: rates for name, rates in rates_of_new_rows(run.stats).items() if name not in run.spec.train_only}
        warn_of_far_rates(rates_of_run(using.stats), new, run.spec.check, f"the run {using.path}")
    return TransformResult(target, run.spec, run.stats, source.counts_cache)
