"""Batch prediction: files of raw rows to Parquet or JSON Lines with key and probability, by an exported model.

The readers, the row checks and the quarantine are those of `fieldpool transform`; a label is not needed. The work goes
to a folder inside the target and is moved into place when it is whole; `DONE` comes last.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.parquetio import WriteToParquetBatched
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from ...model.export import PROBABILITY, find_export
from ...model.run import PREDICTIONS_FOLDER, REJECTED_FOLDER, STATS_FILE
from ...transforms.spec import KEY_FEATURE, Spec
from ..counts.counters import Counts, SumCounts
from ..folders.work_folder import WorkFolder, remove, work_folder, write_whole
from ..jobs.errors import errors_of_users
from ..jobs.job import prepare, running
from ..jobs.options import beam_options
from ..rows.checks import check_features, feature_columns
from ..rows.read_rows import ReadBatches
from ..rows.rejected import RejectedLimit, as_json_line, check_rejected
from ..runs.preprocess import COUNTS_FILE, read_counts, write_counts
from ..sources.batches import SourceBatch
from ..sources.files import check_unchanged, find_files
from ..sources.readers import read_batches
from .exported_model import ExportedModel, Predictions, RowsToPredict, as_request, read_spec

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
        target: a folder that is empty or not there yet, or, with `overwrite`, one of predictions.
        options: of the Beam pipeline.
        output: the format of the predictions.
        overwrite: replace predictions that are there, once the new ones are whole.

    Raises:
        UserError: there is no exported model, the target is not empty, an input cannot be read, or more rows than
            the spec's `max_rejected` were rejected.
    """
    options = options or beam_options()
    (*paths, model), target = prepare(options, [*patterns, model], target)
    export = find_export(model)
    spec = read_spec(export)
    files = find_files(paths)
    next(read_batches(files[0].path, spec.source, feature_columns(spec)), None)  # Fails here, in words.
    with errors_of_users(target), work_folder(target, overwrite=overwrite) as work:
        with running(options) as pipeline:
            batches = pipeline | "Read" >> ReadBatches(files, spec.source, feature_columns(spec))
            write_predictions(batches, export, spec, work, output)
        stats = _checked_counts(read_counts(FileSystems.join(work.path, COUNTS_FILE)), spec, work, target)
        check_unchanged(files, paths)
        if not stats["rejected"]:
            remove(FileSystems.join(work.run, REJECTED_FOLDER))
        write_whole(FileSystems.join(work.run, STATS_FILE), json.dumps(stats, indent=2) + "\n")
        work.publish()
    return stats


def write_predictions(batches: beam.PCollection, export: str, spec: Spec, work: WorkFolder, output: Format) -> None:
    """Adds to the pipeline of `batches` (SourceBatch) all that fills the folder of the work."""
    checked = batches | "CheckRows" >> beam.ParDo(_CheckRows(spec)).with_outputs("rejected", "counts", main="rows")
    predictions = checked.rows | "Predict" >> RunInference(ExportedModel(export, spec))
    tables = predictions | "AsTables" >> beam.Map(_table)
    counted = tables | "CountPredicted" >> beam.Map(lambda table: Counter({("predicted",): table.num_rows}))
    prefix = FileSystems.join(work.run, PREDICTIONS_FOLDER, "part")
    if output == "parquet":
        _ = tables | "Write" >> WriteToParquetBatched(prefix, _schema(spec), "snappy", file_name_suffix=".parquet")
    else:
        _ = tables | "AsJson" >> beam.Map(_json_lines) | "Write" >> beam.io.WriteToText(prefix, ".jsonl")
    _ = (
        checked.rejected
        | "RejectedAsJson" >> beam.Map(as_json_line)
        | "WriteRejected"
        >> beam.io.WriteToText(FileSystems.join(work.run, REJECTED_FOLDER, "rows"), ".jsonl", skip_if_empty=True)
    )
    _ = (
        (checked.counts, counted)
        | "AllCounts" >> beam.Flatten()
        | "SumCounts" >> beam.CombineGlobally(SumCounts())
        | "WriteCounts" >> beam.Map(write_counts, FileSystems.join(work.path, COUNTS_FILE))
    )


class _CheckRows(beam.DoFn):
    """SourceBatch → RowsToPredict; rejected rows and counts to outputs of their own."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def setup(self) -> None:
        self._limit = RejectedLimit(self._spec.max_rejected)

    def process(self, batch: SourceBatch) -> Iterator[Any]:
        read = batch.data.num_rows + len(batch.rejected)
        rows, numbers, rejected = check_features(batch, self._spec)
        self._limit.add(read, rejected)
        if rows.num_rows:
            yield RowsToPredict(batch.source, numbers, as_request(rows, self._spec))
        yield from (beam.pvalue.TaggedOutput("rejected", row) for row in rejected)
        counts: Counts = Counter({("read",): read, ("rejected",): len(rejected)})
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


def _checked_counts(counts: Counts, spec: Spec, work: WorkFolder, target: str) -> dict[str, int]:
    """Returns the counts.

    Raises:
        RuntimeError: they do not add up.
    """
    read, predicted, rejected = (counts[(name,)] for name in ("read", "predicted", "rejected"))
    if read != predicted + rejected:
        raise RuntimeError(f"{target}: read {read} rows, but predicted {predicted} and rejected {rejected}")
    check_rejected(rejected, read, spec, work.run)
    return {"read": read, "predicted": predicted, "rejected": rejected}
