"""The transform of a run, if it is known before the rows are transformed, and the statistics of its vocabularies.

It is that of another run (`--using`), or the result of an analysis in this process. On other runners, TensorFlow
Transform analyzes the rows in the job that also transforms them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult

from ...transforms.errors import UserError
from ...transforms.kinds import check_cloud_access, kind_of
from ...transforms.process.cores import cores
from ...transforms.run_files import (
    ASSETS_FOLDER,
    LEDGERS_FOLDER,
    TRANSFORM_FOLDER,
    VECTORS_FOLDER,
    VOCABULARY_COUNTS_FOLDER,
)
from ...transforms.runs.run import Run
from ...transforms.runs.run_stats import Ancestor, VocabularyStats
from ...transforms.spec import Spec
from ...transforms.spec.inputs import vector_files
from ...transforms.transform_graph import TransformGraph
from ...transforms.vocabulary_counts import METRICS_NAMESPACE
from ...transforms.writing import writing
from ..analysis.analysis import analyze, is_complete, read_analysis
from ..analysis.cache import OPTION, CountsCache
from ..folders.storage import children, make_folder
from ..folders.work_folder import ANALYSIS_FOLDER
from ..jobs.options import runs_in_process
from ..vectors.normalized import check_normalized
from ..vectors.vector_files import read_vector_files
from .growing import Growing
from .row_source import RowSource


@dataclass(frozen=True)
class KnownTransform:
    """A transform that is known before the rows are transformed.

    Attributes:
        spec: The resolved spec.
        folder: The folder with `transform/`, once that is written, and, unless another program made it,
            `vocabulary_counts/`.
        vocabularies: Statistics of its vocabularies.
        rows: The number of train rows that were analyzed; None if it is the transform of another run.
        as_of: See `RunStats`.
        extends: See `RunStats`.
        graph: The transform, if this process has built it; it is not yet written.
    """

    spec: Spec
    folder: str
    vocabularies: Mapping[str, VocabularyStats]
    rows: int | None
    as_of: date | None = None
    extends: list[Ancestor] | None = None
    graph: TransformGraph | None = None

    @property
    def transform_folder(self) -> str:
        """The folder of TensorFlow Transform's output."""
        return FileSystems.join(self.folder, TRANSFORM_FOLDER)


def known_transform(
    spec: Spec, source: RowSource, options: PipelineOptions, work: str, *, using: Run | None, grow: Growing | None
) -> KnownTransform | None:
    """Returns the transform of `using`, or analyzes the rows if this process runs the job; None for other runners.

    Args:
        spec: The spec of the rows.
        source: The rows.
        options: The options of the job.
        work: The work folder; an analysis that a killed process left there is used.
        using: Another run, whose transform is applied.
        grow: The run whose vocabularies are extended, and the date of the rows.

    Raises:
        UserError: another runner cannot extend vocabularies, or take tokens from files of vectors.
        SourceError: a file of vectors is wrong.
    """
    if using is not None:
        stats = using.stats
        return KnownTransform(using.spec, using.path, stats.vocabularies, None, stats.as_of, stats.extends)
    if source.partitions is None or not runs_in_process(options):
        if grow is not None and grow.is_given:
            raise UserError(
                "--grow and --as-of: expected a job in this process, found another runner, which cannot extend "
                "vocabularies yet. Create the run on this machine (without --runner); the runner can then transform "
                "more rows with it: `fieldpool transform --using RUN`"
            )
        if files := vector_files(spec):
            raise UserError(
                f"vectors of the vocabulary {next(iter(files))}: expected a job in this process, found another runner, "
                "which cannot add the tokens of a file yet. Create the run on this machine (without --runner); the "
                "runner can then transform more rows with it: `fieldpool transform --using RUN`"
            )
        return None
    growth = None if grow is None else grow.growth(spec)
    folder = FileSystems.join(work, ANALYSIS_FOLDER)
    if is_complete(folder):
        analysis = read_analysis(folder)
    else:
        vectors = read_vector_files(spec)  # Before rows are read, which takes longer.
        check_normalized(spec, vectors)
        analysis = analyze(
            spec, source.partitions(), folder, cores(), source.first_rows(), source.counts_cache, growth, vectors
        )
    graph = TransformGraph(analysis.spec, analysis.known)
    extends = grow.extends() if grow else None
    return KnownTransform(analysis.spec, folder, analysis.vocabularies, analysis.rows, analysis.as_of, extends, graph)


def opened_cache(folder: str, options: PipelineOptions, using: Run | None) -> CountsCache:
    """Returns the cache of counts in a folder, which need not exist yet.

    Raises:
        UserError: the rows are not analyzed in this process, or the folder is a file or on gs:// without access.
    """
    if using is not None:
        raise UserError(f"{OPTION}: --using has no analysis, so nothing is counted; leave one of them out")
    if not runs_in_process(options):
        raise UserError(
            f"{OPTION}: only jobs on this machine count in partitions, on {options.view_as(StandardOptions).runner} "
            "TensorFlow Transform analyzes all rows; leave it out, or run on this machine"
        )
    check_cloud_access(folder)
    if "://" not in folder and os.path.exists(folder) and not os.path.isdir(folder):
        raise UserError(f"{folder}: is a file; {OPTION} needs a folder")
    if (found := kind_of(folder)) is not None:
        raise UserError(f"{folder}: is {found}; give a new folder, or one of earlier counts, with {OPTION}")
    try:
        with writing(folder, OPTION):
            make_folder(folder)
    except ValueError as error:  # Beam does not know the scheme, or lacks a package for it.
        raise UserError(f"{folder}: cannot be used for {OPTION}: {error}") from None
    return CountsCache(folder)


def vocabularies_of_job(spec: Spec, run: str, result: PipelineResult) -> dict[str, VocabularyStats]:
    """Returns the number of tokens in each vocabulary, and the number of distinct tokens in its train rows."""
    names = spec.vocabulary_fields()
    distinct = dict.fromkeys(names, 0)
    query = beam.metrics.MetricsFilter().with_namespace(METRICS_NAMESPACE)
    for counter in result.metrics().query(query)["counters"]:
        kind, _, vocabulary = counter.key.metric.name.partition("/")
        if kind == "distinct" and vocabulary in distinct:
            distinct[vocabulary] += counter.result
    assets = FileSystems.join(run, ASSETS_FOLDER)
    tokens = {name: _count_lines(FileSystems.join(assets, name)) for name in names}
    counted = {name: _count_lines(FileSystems.join(run, VOCABULARY_COUNTS_FOLDER, name)) for name in names}
    if tokens != counted:
        raise RuntimeError(f"{run}: the vocabularies have {tokens} tokens, but there are counts of {counted}")
    return {name: VocabularyStats(distinct=distinct[name], tokens=tokens[name]) for name in names}


def copy_vocabulary_files(run: str, new: str) -> None:
    """Copies counts, ledgers and vectors of a run's vocabularies, if it has them: another program may write none."""
    for part in (VOCABULARY_COUNTS_FOLDER, LEDGERS_FOLDER, VECTORS_FOLDER):
        source, target = (FileSystems.join(folder, part) for folder in (run, new))
        names = children(source)
        if names:
            make_folder(target)
            FileSystems.copy(*([FileSystems.join(folder, name) for name in names] for folder in (source, target)))


def _count_lines(path: str) -> int:
    with FileSystems.open(path) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
