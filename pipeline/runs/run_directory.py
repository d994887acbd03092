"""`fieldpool transform`: builds a run directory from files and a spec.

The files are written to a work folder inside the target and moved into place once all are complete; `DONE` is last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult
from tensorflow_transform.tf_metadata import metadata_io

from ...model.run import Run
from ...model.run_stats import RunStats
from ...transforms.errors import EmptyTrainSplit, SourceChanged
from ...transforms.run_files import (
    DONE_FILE,
    EXAMPLES_FOLDER,
    REJECTED_FOLDER,
    SPEC_FILE,
    STATISTICS_FOLDER,
    STATS_FILE,
    TRANSFORM_FOLDER,
)
from ...transforms.spec import SPLITS, Spec
from ..analysis.cache import CountsCache
from ..analysis.partitions import partitions_of
from ..counts.counters import COUNTS_FILE, Counts, read_counts
from ..counts.rates import rates_of_new_rows, rates_of_run, warn_of_far_rates
from ..counts.stats import run_stats
from ..counts.tfx_statistics import TFX_STATISTICS_FILE, tfx_statistics
from ..folders.storage import remove, write_atomically
from ..folders.work_folder import Fingerprint, WorkFolder, work_folder
from ..jobs.errors import translate_worker_errors
from ..jobs.job import new_pipeline, run_pipeline
from ..jobs.options import FieldpoolOptions, beam_options, local_threads
from ..rows.checks import raw_columns
from ..rows.prepared_job import PreparedJob, prepare_job
from ..rows.rejected import check_rejected, why_all_rejected
from ..rows.splits import check_files
from ..rows.tft_rows import raw_metadata
from ..sniffing.sniff import with_found_source
from ..sources.batches import SourceBatch
from ..sources.files import FileStamp, find_files
from ..sources.readers import check_input
from ..sources.sample import first_rows
from ..spec_file import dump_spec
from .known_transform import (
    KnownTransform,
    copy_vocabulary_counts,
    known_transform,
    opened_cache,
    vocabularies_of_job,
)
from .list_warnings import LOOKED_AT, warn_of_unsplit_lists
from .local_pass import copy_transform, write_rows
from .preprocess import write_run
from .row_source import RowSource
from .spec_resolution import resolve_spec
from .split_warnings import warn_of_empty_splits, warn_of_no_positives


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
        counts_cache: A folder of counts; partitions that it knows are not read for the analysis.

    Raises:
        SourceError: a file cannot be read, or is changed while it is read.
        TargetExists: the target is not a run, or is a run and `overwrite` is False.
        CannotResume: the files in the target were made from another spec or from other files.
        CannotWrite: there is no permission to write, or no space.
        TooManyRejected: more rows are rejected than `max_rejected`.
        EmptyTrainSplit: no row is in the train split.
    """
    job = prepare_job(patterns, target, options, run=using.path if using else None)
    opened = Run(job.run) if job.run else None
    return transform_job(spec, job, overwrite=overwrite, resume=resume, using=opened, counts_cache=counts_cache)


def transform_job(
    spec: Spec,
    job: PreparedJob,
    *,
    overwrite: bool = False,
    resume: bool = False,
    using: Run | None = None,
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
    base = find_files([FileSystems.join(using.path, DONE_FILE)]) if using else []
    fingerprint = fingerprint_of(spec, [*job.files, *base], found)
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
    result = transform_rows(spec, source, job.target, job.options, overwrite=overwrite, resume=resume, using=using)
    warn_of_unsplit_lists(result.spec, result.stats, first_rows(job.paths[0], spec.source, columns, LOOKED_AT))
    if using is None:
        warn_of_empty_splits(spec, result.spec, result.stats)
        warn_of_no_positives(spec, result.stats)
    return result


def fingerprint_of(spec: Spec, files: list[FileStamp], columns: list[str]) -> Fingerprint:
    """Returns the fingerprint of work with a spec on files that have these columns."""
    versions = {name: version(name) for name in ("fieldpool", "tensorflow-transform")}
    return Fingerprint(spec.model_dump(mode="json", exclude_unset=True), files, columns, versions)


def transform_rows(
    spec: Spec,
    source: RowSource,
    target: str,
    options: PipelineOptions | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    using: Run | None = None,
) -> TransformResult:
    """Builds a run as `transform` does, from any source of rows."""
    with (
        translate_worker_errors(target),
        work_folder(target, overwrite=overwrite, resume=resume, fingerprint=source.fingerprint) as work,
    ):
        if not work.is_complete:
            _make_run(spec, source, target, work, options or beam_options(), using)
            source.check_unchanged()
        work.publish()
    run = Run(target)
    if using is not None and using.has_stats:
        new = rates_of_new_rows(run.stats)
        warn_of_far_rates(rates_of_run(using.stats), new, run.spec.check, f"the run {using.path}")
    return TransformResult(target, run.spec, run.stats, source.counts_cache)


def _make_run(
    spec: Spec, source: RowSource, target: str, work: WorkFolder, options: PipelineOptions, using: Run | None
) -> None:
    """Writes all parts of the run except `DONE` to `work.result`."""
    known = known_transform(spec, source, options, work.path, using)
    resolved = known.spec if known else resolve_spec(spec, source.read_rows, options, work.path, source.first_rows())
    FileSystems.mkdirs(FileSystems.join(work.result, EXAMPLES_FOLDER))
    threads = local_threads(options)
    if known is not None:
        copy_vocabulary_counts(known.folder, work.result)
        vocabularies, analyzed = known.vocabularies, known.rows
    if known is not None and source.batches is not None and threads is not None:
        transform_folder = FileSystems.join(work.result, TRANSFORM_FOLDER)
        copy_transform(known.transform_folder, transform_folder)
        counts = write_rows(source.batches(), resolved, work.path, work.result, transform_folder, threads)
    else:
        result = _run_pipeline(resolved, source, work, options, known)
        counts = read_counts(FileSystems.join(work.path, COUNTS_FILE))
        if known is None:
            vocabularies = vocabularies_of_job(resolved, work.result, result)
            analyzed = counts.of("analyzed")
    columns = source.fingerprint.columns if source.fingerprint else []
    stats = run_stats(counts, resolved, vocabularies, columns)
    check_rejected(stats.rejected, stats.read, spec, work.result)
    if analyzed is not None:
        _check_analyzed(analyzed, stats, target, work.result)
    _check_written(counts, stats, target)
    _write_metadata(resolved, stats, work.result)


def _run_pipeline(
    resolved: Spec, source: RowSource, work: WorkFolder, options: PipelineOptions, known: KnownTransform | None
) -> PipelineResult:
    """Transforms the rows in a Beam pipeline, which also analyzes them if the transform is not known."""
    pipeline = new_pipeline(options)
    readings = {"transform": pipeline | "ReadForTransform" >> source.read_rows()}
    if known is None:
        readings["analyze"] = pipeline | "ReadForAnalysis" >> source.read_rows()
    tft_temp = options.view_as(FieldpoolOptions).tft_temp_location
    write_run(readings, resolved, work.path, work.result, known.transform_folder if known else None, tft_temp)
    return run_pipeline(pipeline)


def _write_metadata(spec: Spec, stats: RunStats, folder: str) -> None:
    """Writes raw metadata, spec, counts and TFX statistics; removes the folder of rejected rows if there are none."""
    if not stats.rejected:
        remove(FileSystems.join(folder, REJECTED_FOLDER))
    metadata_io.write_metadata(raw_metadata(spec), FileSystems.join(folder, TRANSFORM_FOLDER, "metadata"))
    write_atomically(FileSystems.join(folder, SPEC_FILE), dump_spec(spec))
    write_atomically(FileSystems.join(folder, STATS_FILE), json.dumps(stats.as_json(), indent=2) + "\n")
    for split, statistics in tfx_statistics(stats).items():
        of_split = FileSystems.join(folder, STATISTICS_FOLDER, f"Split-{split}")
        FileSystems.mkdirs(of_split)
        with FileSystems.create(FileSystems.join(of_split, TFX_STATISTICS_FILE)) as file:
            file.write(statistics.SerializeToString(deterministic=True))


def _check_analyzed(analyzed: int, stats: RunStats, target: str, folder: str) -> None:
    """Checks that both passes read the same number of train rows, and at least one.

    Raises:
        SourceChanged: the numbers differ.
        EmptyTrainSplit: there are no train rows.
    """
    if analyzed != stats.train:
        raise SourceChanged(
            f"{target}: the analysis read {analyzed:,} train rows, the transform {stats.train:,}, so the source has "
            "changed in between; run again when no process writes to it"
        )
    if not stats.train:
        raise EmptyTrainSplit(
            f"{target}: no row is in the train split (eval {stats.eval}, test {stats.test}); "
            + (why_all_rejected(stats.rejected, stats.read, folder) or "compare `split` in the spec with the data")
        )


def _check_written(counts: Counts, stats: RunStats, target: str) -> None:
    """Raises RuntimeError if a row was lost between readers, row checks and sink."""
    written = {split: counts.of("written", split=split) for split in SPLITS}
    checked = {split: stats.rows(split) for split in SPLITS}
    if written != checked or stats.read != sum(written.values()) + stats.rejected:
        raise RuntimeError(
            f"{target}: read {stats.read:,} rows, rejected {stats.rejected:,}, accepted {checked}, wrote {written}"
        )
