"""`fieldpool predict`: batch prediction by an exported model, from files of raw rows to Parquet or JSON Lines.

Readers, row checks and rejected rows are those of `fieldpool transform`; labels are not needed. Files are written to
a work folder inside the target and moved into place once all are complete; `DONE` is last.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Literal

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.parquetio import WriteToParquetBatched
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from ...model.export import check_export
from ...model.serving.graph import PROBABILITY
from ...transforms.kinds import Kind
from ...transforms.run_files import PREDICTIONS_FOLDER, REJECTED_FOLDER, STATS_FILE, find_export
from ...transforms.spec import Spec
from ...transforms.spec.inputs import feature_columns
from ..counts.counters import COUNTS_FILE, Counted, Counts, WriteCounts, read_counts
from ..counts.rates import rates_of_predictions, rates_of_run, warn_of_far_rates
from ..counts.row_counts import count_missing, count_read
from ..folders.storage import remove, write_atomically
from ..folders.work_folder import WorkFolder, work_folder
from ..jobs.errors import translate_worker_errors
from ..jobs.job import running_pipeline
from ..rows.checks import Checked
from ..rows.prepared_job import PreparedJob, prepare_job
from ..rows.read_rows import CheckRows
from ..rows.rejected import WriteRejected, check_rejected
from ..rows.tft_rows import as_tft_rows
from ..sources.readers import check_input
from .exported_model import ExportedModel, Predictions, RowsToPredict, read_spec, read_stats

Format = Literal["parquet", "jsonl"]


def predict(
    model: str,
    patterns: Sequence[str],
    target: str,
    options: PipelineOptions | None = None,
    *,
    output: Format = "parquet",
    overwrite: bool = False,
) -> dict[str, int]:
    """Writes a probability for each accepted row to the folder `target`; returns the counts.

        predictions/   part-?????-of-?????.parquet or .jsonl: key (text; key_0, key_1, … of several columns), the
                       columns of `carry` (text, empty if missing) and probability (float32); if the spec has no key,
                       source and row (its number in that file, from 1) instead; with `source.explode` also beside the
                       key, and row is a text such as 12.3
        rejected/      rejected rows, as in a run
        stats.json     read = predicted + rejected
        DONE           written last

    Bytes of a text that are not valid UTF-8 are escaped, as in `\\xff`. A row whose probability is NaN is rejected.

    Args:
        model: an exported model, or the folder of a trained model that has been exported.
        patterns: paths or glob patterns of files with the columns of the fields, the key and `carry`; label and split
            are not needed.
        target: a folder that is empty or does not exist; with `overwrite`, also one with predictions.
        options: Beam options; by default, the job runs in this process.
        output: the format of the predictions.
        overwrite: replace existing predictions, once the new ones are complete.

    Raises:
        DifferentRun: the vocabularies of the exported model are not those that it was trained with.
        UserError: there is no exported model, the target is not empty, an input cannot be read, or more rows than
            the spec's `max_rejected` were rejected.
    """
    return predict_job(prepare_job(patterns, target, options, model=model), output=output, overwrite=overwrite)


def predict_job(job: PreparedJob, *, output: Format = "parquet", overwrite: bool = False) -> dict[str, int]:
    """Writes predictions as `predict` does, from a prepared job; `job.model` is the exported model."""
    target, export = job.target, find_export(job.model or "")
    check_export(export)
    spec = read_spec(export)
    columns = feature_columns(spec)
    check_input(job.paths, spec.source, columns, is_optional=True)
    with translate_worker_errors(target), work_folder(target, kind=Kind.PREDICTIONS, overwrite=overwrite) as work:
        with running_pipeline(job.options) as pipeline:
            batches = pipeline | "Read" >> job.rows(spec.source, columns)
            write_predictions(batches, export, spec, work, output)
        counts = read_counts(FileSystems.join(work.path, COUNTS_FILE))
        stats = _checked_counts(counts, spec, work, target)
        job.check_unchanged()
        if not stats["rejected"]:
            remove(FileSystems.join(work.result, REJECTED_FOLDER))
        write_atomically(FileSystems.join(work.result, STATS_FILE), json.dumps(stats, indent=2) + "\n")
        work.publish()
    of_run = read_stats(export)
    if of_run is not None:
        warn_of_far_rates(rates_of_run(of_run), rates_of_predictions(counts, spec), spec.check, "the model's run")
    return stats


def write_predictions(batches: beam.PCollection, export: str, spec: Spec, work: WorkFolder, output: Format) -> None:
    """Adds the steps that write predictions, rejected rows and counts to the pipeline of `batches` (SourceBatch)."""
    checked = batches | "CheckRows" >> beam.ParDo(CheckRows(spec, label=False, split=False))
    requests = checked | "AsRequests" >> beam.FlatMap(_as_request, spec)
    predictions = requests | "Predict" >> RunInference(ExportedModel(export, spec))
    tables = predictions | "AsTables" >> beam.Map(_table, _schema(spec))
    prefix = FileSystems.join(work.result, PREDICTIONS_FOLDER, "part")
    if output == "parquet":
        _ = tables | "Write" >> WriteToParquetBatched(prefix, _schema(spec), "snappy", file_name_suffix=".parquet")
    else:
        _ = tables | "AsJson" >> beam.Map(_json_lines) | "Write" >> beam.io.WriteToText(prefix, ".jsonl")
    by_checks = checked | "Rejected" >> beam.FlatMap(attrgetter("rejected"))
    by_model = predictions | "RejectedByModel" >> beam.FlatMap(attrgetter("rejected"))
    rejected = (by_checks, by_model) | "AllRejected" >> beam.Flatten()
    _ = rejected | "WriteRejected" >> WriteRejected(FileSystems.join(work.result, REJECTED_FOLDER))
    counts = (
        checked | "CountRead" >> beam.Map(_count_rows, spec),
        predictions | "CountPredicted" >> beam.Map(_count_predicted),
    )
    _ = counts | "WriteCounts" >> WriteCounts(FileSystems.join(work.path, COUNTS_FILE))


def _as_request(checked: Checked, spec: Spec) -> Iterator[RowsToPredict]:
    if checked.rows.num_rows:
        features = as_tft_rows(checked.rows, spec, label=False)
        yield RowsToPredict(checked.source, checked.numbers, checked.rows, features)


def _count_rows(checked: Checked, spec: Spec) -> Counts:
    counts = count_read(checked)
    if checked.rows.num_rows:
        counts.add(count_missing(checked, spec))
    return counts


def _count_predicted(predictions: Predictions) -> Counts:
    predicted, rejected = len(predictions.probabilities), len(predictions.rejected)
    counts = Counts(Counter({Counted("predicted"): predicted, Counted("rejected"): rejected}))
    counts.add(predictions.counts)
    return counts


def _schema(spec: Spec) -> pa.Schema:
    """Returns the columns of the predictions."""
    explode = spec.source.explode is not None
    key = [(name, pa.string()) for name in spec.key_columns]
    carried = [(name, pa.string()) for name in spec.carry]
    # Exploded rows share the key of their row.
    origin = [("source", pa.string()), ("row", pa.string() if explode else pa.int64())] if explode or not key else []
    return pa.schema([*key, *origin, *carried, (PROBABILITY, pa.float32())])


def _table(predictions: Predictions, schema: pa.Schema) -> pa.Table:
    columns = {PROBABILITY: pa.array(predictions.probabilities, pa.float32())}
    columns |= {name: _text(values) for name, values in predictions.copied.items()}
    if "row" in schema.names:
        positions = pa.array([0] * len(predictions.probabilities), pa.int32())
        columns["source"] = pa.array([predictions.source]).take(positions)
        columns["row"] = pa.array(predictions.numbers.tolist(), schema.field("row").type)
    return pa.table(columns).select(schema.names)


def _text(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:  # One is not valid UTF-8.
        return pa.array([value.decode("utf-8", "backslashreplace") for value in values.to_pylist()], pa.string())


def _json_lines(table: pa.Table) -> str:
    """Returns the rows as JSON Lines, without the last line feed, which the sink adds."""
    return "\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in table.to_pylist())


def _checked_counts(counts: Counts, spec: Spec, work: WorkFolder, target: str) -> dict[str, int]:
    """Returns the numbers of rows read, predicted and rejected; of exploded rows also that of the files' rows.

    Raises:
        TooManyRejected: more rows are rejected than `max_rejected`.
        RuntimeError: a row was lost.
    """
    read, predicted, rejected = (counts.of(name) for name in ("read", "predicted", "rejected"))
    if read != predicted + rejected:
        raise RuntimeError(f"{target}: read {read} rows, but predicted {predicted} and rejected {rejected}")
    check_rejected(rejected, read, spec, work.result)
    stats = {"read": read, "predicted": predicted, "rejected": rejected}
    return stats if spec.source.explode is None else {"source_rows": counts.of("source_rows"), **stats}
