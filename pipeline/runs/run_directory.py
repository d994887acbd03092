"""From files and a spec to a finished run directory: `transform` is `fieldpool transform`.

The work goes to a folder inside the target and is moved into place when it is whole; `DONE` comes last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult
from tensorflow_transform.tf_metadata import metadata_io

from ...model.run import (
    ASSETS_FOLDER,
    DONE_FILE,
    EXAMPLES_FOLDER,
    REJECTED_FOLDER,
    SPEC_FILE,
    STATISTICS_FOLDER,
    STATS_FILE,
    TRANSFORM_FOLDER,
    Run,
)
from ...transforms.errors import EmptyTrainSplit, SourceChanged
from ...transforms.spec import SPLITS, Spec
from ...transforms.vocabulary import METRICS_NAMESPACE
from ..counts.counters import Counts, as_json
from ..counts.spec_resolution import resolve
from ..counts.tfx_statistics import TFX_STATISTICS_FILE, tfx_statistics
from ..folders.work_folder import Fingerprint, WorkFolder, remove, work_folder, write_whole
from ..jobs.errors import errors_of_users
from ..jobs.job import new_pipeline, prepare, run
from ..jobs.options import FieldpoolOptions, beam_options
from ..rows.checks import raw_columns
from ..rows.read_rows import ReadBatches
from ..rows.rejected import check_rejected, read_rejected
from ..sources.files import check_unchanged, find_files
from ..sources.readers import all_columns, read_batches
from ..spec_file import dump_spec
from .preprocess import COUNTS_FILE, raw_metadata, read_counts, write_run

__all__ = ["TransformResult", "read_rejected", "transform", "transform_rows"]


@dataclass(frozen=True)
class TransformResult:
    """A finished run: its path, the resolved spec, and the contents of stats.json."""

    path: str
    spec: Spec
    stats: dict[str, Any]


def transform(
    spec: Spec,
    patterns: Sequence[str],
    target: str,
    options: PipelineOptions | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    using: Run | None = None,
) -> TransformResult:
    """Builds the run directory `target` from the files that `patterns` match.

    Args:
        spec: of the rows; with `using`, that run's.
        patterns: of file names.
        target: the folder to make.
        options: where Beam works; by default in this process.
        overwrite: replace a run that is there, once the new one is whole.
        resume: go on with what a killed process left in the target: work that was whole is moved into place, list
            lengths and time boundaries that were measured are not measured again.
        using: a run whose transform is applied, to rows that it need not have seen: same vocabularies, same ids.

    Raises:
        SourceError: a file cannot be read, or is written to in the meantime.
        TargetExists: the target is there, and is no run or not to be replaced.
        CannotResume: what was begun in the target is of another spec or other files.
        CannotWrite: no right to, or no space.
        TooManyRejected: more rows than `max_rejected`.
        EmptyTrainSplit: no row to take vocabularies from.
    """
    options = options or beam_options()
    paths, target = prepare(options, [*patterns, *([using.path] if using else [])], target)
    if using is not None:
        using = Run(paths.pop())
    files = find_files(paths)
    columns = raw_columns(spec)
    next(read_batches(files[0].path, spec.source, columns), None)  # Fails here, in words, before anything starts.
    versions = {name: version(name) for name in ("fieldpool", "tensorflow-transform")}
    return transform_rows(
        spec,
        lambda: ReadBatches(files, spec.source, columns),
        target,
        options,
        overwrite=overwrite,
        resume=resume,
        fingerprint=Fingerprint(
            spec.model_dump(mode="json", exclude_unset=True),
            [*files, *(find_files([FileSystems.join(using.path, DONE_FILE)]) if using else [])],
            all_columns([file.path for file in files], spec.source),
            versions,
        ),
        check_source=lambda: check_unchanged(files, paths),
        using=using,
    )


def transform_rows(
    spec: Spec,
    rows: Callable[[], beam.PTransform],
    target: str,
    options: PipelineOptions | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    fingerprint: Fingerprint | None = None,
    check_source: Callable[[], None] = lambda: None,
    using: Run | None = None,
) -> TransformResult:
    """Builds a run as `transform` does, from any source of rows.

    Args:
        spec: of the rows.
        rows: returns a PTransform that makes SourceBatches out of a pipeline; called for each reading.
        target: see `transform`.
        options: see `transform`.
        overwrite: see `transform`.
        resume: see `transform`; needs a fingerprint.
        fingerprint: what the run is made of.
        check_source: raises if the rows are not what they were.
        using: see `transform`.
    """
    with (
        errors_of_users(target),
        work_folder(target, overwrite=overwrite, resume=resume, fingerprint=fingerprint) as work,
    ):
        if not work.is_whole:
            columns = fingerprint.columns if fingerprint else []
            _make_run(spec, rows, target, work, options or beam_options(), columns, using)
            check_source()
        work.publish()
    run = Run(target)
    return TransformResult(target, run.spec, run.stats)


def _make_run(
    spec: Spec,
    rows: Callable[[], beam.PTransform],
    target: str,
    work: WorkFolder,
    options: PipelineOptions,
    columns: list[str],
    using: Run | None,
) -> None:
    """Fills `work.run` with all that a run holds but DONE."""
    resolved = using.spec if using else resolve(spec, rows, options, work.path)
    pipeline = new_pipeline(options)
    readings = {"transform": pipeline | "ReadForTransform" >> rows()}
    if using is None:
        readings["analyze"] = pipeline | "ReadForAnalysis" >> rows()
    FileSystems.mkdirs(FileSystems.join(work.run, EXAMPLES_FOLDER))
    transform_path = FileSystems.join(using.path, TRANSFORM_FOLDER) if using else None
    tft_temp = options.view_as(FieldpoolOptions).tft_temp_location
    write_run(readings, resolved, work.path, work.run, transform_path, tft_temp)
    result = run(pipeline)

    counts = read_counts(FileSystems.join(work.path, COUNTS_FILE))
    vocabularies = using.stats["vocabularies"] if using else _vocabularies(resolved, work.run, result)
    stats = as_json(counts, resolved, vocabularies) | {"columns": columns}
    check_rejected(stats["rejected"], stats["read"], spec, work.run)
    if using is None:
        _check_analyzed(counts, stats, target)
    _check_written(counts, stats, target)
    if not stats["rejected"]:
        remove(FileSystems.join(work.run, REJECTED_FOLDER))
    transform_folder = FileSystems.join(work.run, TRANSFORM_FOLDER)
    metadata_io.write_metadata(raw_metadata(resolved), FileSystems.join(transform_folder, "metadata"))
    write_whole(FileSystems.join(work.run, SPEC_FILE), dump_spec(resolved))
    write_whole(FileSystems.join(work.run, STATS_FILE), json.dumps(stats, indent=2) + "\n")
    for split, statistics in tfx_statistics(stats).items():
        folder = FileSystems.join(work.run, STATISTICS_FOLDER, f"Split-{split}")
        FileSystems.mkdirs(folder)
        with FileSystems.create(FileSystems.join(folder, TFX_STATISTICS_FILE)) as file:
            file.write(statistics.SerializeToString(deterministic=True))


def _vocabularies(spec: Spec, run: str, result: PipelineResult) -> dict[str, dict[str, int]]:
    """Returns tokens and distinct tokens of each vocabulary."""
    names = spec.vocabulary_fields()
    distinct = dict.fromkeys(names, 0)
    query = beam.metrics.MetricsFilter().with_namespace(METRICS_NAMESPACE)
    for counter in result.metrics().query(query)["counters"]:
        kind, _, vocabulary = counter.key.metric.name.partition("/")
        if kind == "distinct" and vocabulary in distinct:
            distinct[vocabulary] += counter.result
    assets = FileSystems.join(run, ASSETS_FOLDER)
    return {
        name: {"distinct": distinct[name], "tokens": _count_lines(FileSystems.join(assets, name))} for name in names
    }


def _count_lines(path: str) -> int:
    with FileSystems.open(path) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _check_analyzed(counts: Counts, stats: dict[str, Any], target: str) -> None:
    """Holds the rows that vocabularies were counted on against those that were written.

    Raises:
        SourceChanged: they are not the same number.
        EmptyTrainSplit: there are none.
    """
    if counts["analyzed",] != stats["train"]:
        raise SourceChanged(
            f"{target}: the first reading had {counts['analyzed',]:,} train rows, the second {stats['train']:,}; "
            "run again when nobody writes to the source"
        )
    if not stats["train"]:
        raise EmptyTrainSplit(
            f"{target}: no row is in the train split (eval {stats['eval']}, test {stats['test']}); "
            f"check `split` in the spec against the data"
        )


def _check_written(counts: Counts, stats: dict[str, Any], target: str) -> None:
    """Holds the counts of readers, checks and the sink against each other: no row is lost between them."""
    written = {split: counts["written", split] for split in SPLITS}
    checked = {split: stats[split] for split in SPLITS}
    if written != checked or stats["read"] != sum(written.values()) + stats["rejected"]:
        raise RuntimeError(
            f"{target}: read {stats['read']:,} rows, rejected {stats['rejected']:,}, took {checked}, wrote {written}"
        )
