"""Batch prediction: files of raw rows to Parquet or JSON Lines with key and probability, by an exported model.

The readers, the row checks and the quarantine are those of `fieldpool transform`; a label is not needed. The work goes
to a folder inside the target and is moved into place when it is whole; `DONE` comes last.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.parquetio import WriteToParquetBatched
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from ..model.export import PROBABILITY, find_export
from ..model.run import DONE_FILE, REJECTED_FOLDER, STATS_FILE
from ..transforms.errors import UserError
from ..transforms.spec import KEY_FEATURE, Spec
from .build import COUNTS_FILE, read_counts, write_counts
from .exported_model import ExportedModel, Predictions, RowsToPredict, as_request, read_spec
from .options import beam_options
from .quarantine import check_features, feature_columns
from .readers import SourceBatch, read_batches
from .run_directory import WORK_PREFIX, check_rejected, children, errors_of_users, write_text
from .source_files import find_files
from .sources import ReadBatches
from .statistics import Counts, SumCounts

PREDICTIONS_FOLDER = "predictions"

Format = Literal["parquet", "jsonl"]


def predict(
    model: str,
    patterns: Sequence[str],
    target: str,
    options: PipelineOptions | None = None,
    *,
    output: Format = "parquet",
) -> dict[str, int]:
    """Writes a probability for every row that can be used to the folder `target`; returns the counts.

        predictions/   part-?????-of-?????.parquet or .jsonl: key (text) and probability (float32); where the spec has
                       no key, source and row, the row's number in that file from 1
        rejected/      rows that could not be used, as in a run
        stats.json     read = predicted + rejected
        DONE           written last

    Bytes of a key that are no UTF-8 are written as `\\xff`.

    Args:
        model: an exported model, or the folder of a training with `serving/` in it.
        patterns: files with the fields' columns and the key; label and split need not be there.
        target: a folder that is empty or not there yet.
        options: of the Beam pipeline.
        output: the format of the predictions.

    Raises:
        UserError: there is no exported model, the target is not empty, an input cannot be read, or more rows than
            the spec's `max_rejected` were rejected.
    """
    export = find_export(model)
    spec = read_spec(export)
    files = find_files(patterns)
    next(read_batches(files[0], spec.source, feature_columns(spec)), None)  # Fails here, in words.
    if FileSystems.exists(target) and children(target):
        raise UserError(f"{target}: exists already; choose another folder, or remove it first")
    work = FileSystems.join(target, f"{WORK_PREFIX}{uuid.uuid4().hex[:8]}")
    FileSystems.mkdirs(work)
    try:
        with errors_of_users(), beam.Pipeline(options=options or beam_options()) as pipeline:
            batches = pipeline | "Read" >> ReadBatches(files, spec.source, feature_columns(spec))
            write_predictions(batches, export, spec, work, output)
        stats = _checked_counts(read_counts(FileSystems.join(work, COUNTS_FILE)), spec, work, target)
        for folder in (PREDICTIONS_FOLDER, REJECTED_FOLDER):
            if FileSystems.exists(FileSystems.join(work, folder)):
                FileSystems.rename([FileSystems.join(work, folder)], [FileSystems.join(target, folder)])
        write_text(FileSystems.join(target, STATS_FILE), json.dumps(stats, indent=2) + "\n")
        FileSystems.delete([work])
        write_text(FileSystems.join(target, DONE_FILE), "")
    except BaseException:
        FileSystems.delete([work])
        if not children(target):
            FileSystems.delete([target])
        raise
    return stats


def write_predictions(batches: beam.PCollection, export: str, spec: Spec, work: str, output: Format) -> None:
    """Adds to the pipeline of `batches` (SourceBatch) all that fills the folder `work`."""
    checked = batches | "CheckRows" >> beam.ParDo(_CheckRows(spec)).with_outputs("rejected", "counts", main="rows")
    predictions = checked.rows | "Predict" >> RunInference(ExportedModel(export, spec))
    tables = predictions | "AsTables" >> beam.Map(_table)
    counted = tables | "CountPredicted" >> beam.Map(lambda table: Counter({("predicted",): table.num_rows}))
    prefix = FileSystems.join(work, PREDICTIONS_FOLDER, "part")
    if output == "parquet":
        _ = tables | "Write" >> WriteToParquetBatched(prefix, _schema(spec), "snappy", file_name_suffix=".parquet")
    else:
        _ = tables | "AsJson" >> beam.Map(_json_lines) | "Write" >> beam.io.WriteToText(prefix, ".jsonl")
    _ = (
        checked.rejected
        | "RejectedAsJson" >> beam.Map(lambda row: json.dumps(asdict(row), ensure_ascii=False))
        | "WriteRejected"
        >> beam.io.WriteToText(FileSystems.join(work, REJECTED_FOLDER, "rows"), ".jsonl", skip_if_empty=True)
    )
    _ = (
        (checked.counts, counted)
        | "AllCounts" >> beam.Flatten()
        | "SumCounts" >> beam.CombineGlobally(SumCounts())
        | "WriteCounts" >> beam.Map(write_counts, FileSystems.join(work, COUNTS_FILE))
    )


class _CheckRows(beam.DoFn):
    """SourceBatch → RowsToPredict; rejected rows and counts to outputs of their own."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def process(self, batch: SourceBatch) -> Iterator[Any]:
        rows, numbers, rejected = check_features(batch, self._spec)
        if rows.num_rows:
            yield RowsToPredict(batch.source, numbers, as_request(rows, self._spec))
        yield from (beam.pvalue.TaggedOutput("rejected", row) for row in rejected)
        counts: Counts = Counter({("read",): len(batch.rows) + len(batch.rejected), ("rejected",): len(rejected)})
        yield beam.pvalue.TaggedOutput("counts", counts)


def _schema(spec: Spec) -> pa.Schema:
    """Returns the columns of the predictions."""
    origin = [("source", pa.string()), ("row", pa.int64())] if spec.key is None else [(KEY_FEATURE, pa.string())]
    return pa.schema([*origin, (PROBABILITY, pa.float32())])


def _table(predictions: Predictions) -> pa.Table:
    probabilities = pa.array(predictions.probabilities, pa.float32())
    if predictions.keys is None:
        source = pa.array([predictions.source]).take(pa.array([0] * len(probabilities), pa.int32()))
        return pa.table({"source": source, "row": predictions.rows, PROBABILITY: probabilities})
    return pa.table({KEY_FEATURE: _text(predictions.keys), PROBABILITY: probabilities})


def _text(keys: pa.Array) -> pa.Array:
    try:
        return keys.cast(pa.string())
    except pa.ArrowInvalid:  # Some are no UTF-8.
        return pa.array([key.decode("utf-8", "backslashreplace") for key in keys.to_pylist()], pa.string())


def _json_lines(table: pa.Table) -> str:
    """Returns the rows as lines, without the last line feed: one element for the sink."""
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in table.to_pylist())


def _checked_counts(counts: Counts, spec: Spec, work: str, target: str) -> dict[str, int]:
    """Returns the counts.

    Raises:
        RuntimeError: they do not add up.
    """
    read, predicted, rejected = (counts[(name,)] for name in ("read", "predicted", "rejected"))
    if read != predicted + rejected:
        raise RuntimeError(f"{target}: read {read} rows, but predicted {predicted} and rejected {rejected}")
    check_rejected(rejected, read, spec, work)
    return {"read": read, "predicted": predicted, "rejected": rejected}
