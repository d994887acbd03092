"""Writes the parts of a run: the transform, examples, rejected rows, metadata and counts."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult
from tensorflow_transform.tf_metadata import metadata_io

from ...transforms.errors import EmptyTrainSplit, SourceChanged
from ...transforms.run_files import (
    EXAMPLES_FOLDER,
    REJECTED_FOLDER,
    SPEC_FILE,
    STATISTICS_FOLDER,
    STATS_FILE,
    TRANSFORM_FOLDER,
)
from ...transforms.runs.run import Run
from ...transforms.runs.run_stats import RunStats
from ...transforms.spec import SPLITS, Spec
from ..analysis.lengths import with_vector_lengths
from ..counts.counters import COUNTS_FILE, Counts, read_counts
from ..counts.stats import run_stats
from ..counts.tfx_statistics import TFX_STATISTICS_FILE, tfx_statistics
from ..folders.storage import remove, write_atomically
from ..folders.work_folder import WorkFolder
from ..jobs.job import new_pipeline, run_pipeline
from ..jobs.options import FieldpoolOptions, local_threads
from ..rows.rejected import check_rejected, why_all_rejected
from ..rows.tft_rows import RowTransform, raw_metadata
from ..spec_file import dump_spec
from .growing import Growing
from .known_transform import KnownTransform, copy_vocabulary_files, known_transform, vocabularies_of_job
from .local_pass import Batches, copy_transform, write_rows
from .preprocess import write_run
from .row_source import RowSource
from .spec_resolution import resolve_spec


def write_parts(
    spec: Spec,
    source: RowSource,
    target: str,
    work: WorkFolder,
    options: PipelineOptions,
    using: Run | None,
    grow: Growing | None,
) -> None:
    """Writes all parts of the run except `DONE` to `work.result`."""
    spec = with_vector_lengths(spec, source.first_rows())
    known = known_transform(spec, source, options, work.path, using=using, grow=grow)
    resolved = known.spec if known else resolve_spec(spec, source.read_rows, options, work.path, source.first_rows())
    FileSystems.mkdirs(FileSystems.join(work.result, EXAMPLES_FOLDER))
    threads = local_threads(options)
    if known is not None:
        copy_vocabulary_files(known.folder, work.result)
        vocabularies, analyzed = known.vocabularies, known.rows
    if known is not None and source.batches is not None and threads is not None:
        counts = _write_locally(source.batches(), resolved, work, known, threads)
    else:
        result = _run_pipeline(resolved, source, work, options, known)
        counts = read_counts(FileSystems.join(work.path, COUNTS_FILE))
        if known is None:
            vocabularies = vocabularies_of_job(resolved, work.result, result)
            analyzed = counts.of("analyzed")
    columns = source.fingerprint.columns if source.fingerprint else []
    stats = run_stats(counts, resolved, vocabularies, columns)
    if known is not None:
        stats = stats.model_copy(update={"as_of": known.as_of, "extends": known.extends})
    check_rejected(stats.rejected, stats.read, spec, work.result)
    if analyzed is not None:
        _check_analyzed(analyzed, stats, target, work.result)
    _check_written(counts, stats, target)
    _write_metadata(resolved, stats, work.result)


def _write_locally(batches: Batches, spec: Spec, work: WorkFolder, known: KnownTransform, threads: int) -> Counts:
    """Transforms the rows in threads of this process; also writes the transform to the run."""
    folder = FileSystems.join(work.result, TRANSFORM_FOLDER)
    if known.graph is None:
        copy_transform(known.transform_folder, folder)
        return write_rows(batches, spec, work.path, work.result, RowTransform.saved(spec, folder), threads)
    transform = RowTransform(spec, known.graph.function(), known.graph.metadata())
    # With hundreds of fields, TensorFlow takes seconds to write the graph, and uses one core.
    with ThreadPoolExecutor(1, "write_transform") as thread:
        written = thread.submit(known.graph.write, folder)
        counts = write_rows(batches, spec, work.path, work.result, transform, threads)
        written.result()
    return counts


def _run_pipeline(
    resolved: Spec, source: RowSource, work: WorkFolder, options: PipelineOptions, known: KnownTransform | None
) -> PipelineResult:
    """Transforms the rows in a Beam pipeline, which also analyzes them if the transform is not known."""
    if known is not None and known.graph is not None:
        remove(known.transform_folder)  # A killed process may have left a part of it.
        known.graph.write(known.transform_folder)
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
    if written != checked or stats.read != sum(written.values()) + stats.rejected + (stats.sampled_out or 0):
        raise RuntimeError(
            f"{target}: read {stats.read:,} rows, rejected {stats.rejected:,}, sampled out "
            f"{stats.sampled_out or 0:,}, accepted {checked}, wrote {written}"
        )
