"""The Beam pipeline, top to bottom: raw rows → checked rows → analysis → examples → run directory.

`PreprocessClickLog` is the part that fits into anyone's Beam pipeline; `write_run` puts it between a run's
files.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.io.filesystems import FileSystems
from tfx_bsl.public.tfxio import TensorAdapterConfig
from tfx_bsl.tfxio.tensor_representation_util import InferTensorRepresentationsFromMixedSchema

from ...model.run import EXAMPLES_FOLDER, REJECTED_FOLDER, TRANSFORM_FOLDER
from ...transforms.preprocessing import preprocessing_fn, raw_feature_spec
from ...transforms.spec import SPLITS, Spec
from ..counts.counters import Counts, Examples, Ranges, SumCounts, count_oov, count_rows
from ..folders.work_folder import write_whole
from ..rows import columns
from ..rows.checks import check_rows
from ..rows.rejected import RejectedLimit, as_json_line
from ..sources.batches import SourceBatch
from ..tfrecords.sink import WriteExamples

# Travels beside the features through the transform; not a name that a field can have.
_SPLIT = "__split__"

COUNTS_FILE = "counts.json"


class PreprocessClickLog(beam.PTransform):
    """Raw rows in; examples, transform function, rejected rows and counts out.

    The input is a PCollection of RecordBatches with the spec's raw columns (or of `SourceBatch`, which knows
    where its rows come from), or a dict of two: `analyze`, of which the train rows make
    vocabularies and statistics, and `transform`, of which all rows become examples. Two readings of a
    source cost less than keeping it between the two passes.

    The output is a dict of PCollections:
        examples: `Examples`, a RecordBatch in the Arrow form of tf.Examples and the split of each row.
        transform_fn: for `tft_beam.WriteTransformFn` (a transform_fn and its metadata).
        rejected: `Rejected` rows.
        counts: one Counter; see `pipeline.statistics`.

    Args:
        spec: with every `max_len` a number and a time split's boundaries given (`measure.resolve`).
        temp_dir: a folder that TensorFlow can write to, on a shared file system if workers are elsewhere.
            TFT writes there while the pipeline is being built, so it is apart from Beam's temp_location.
        limit_rejected: Whether to stop as soon as more rows are rejected than `max_rejected`, where that is a count.
            Default False: what becomes of them is up to whoever takes the output.
        transform_path: the `transform/` of a run: rows are transformed as there, and nothing is analyzed.
        ranges: of numeric fields; the numbers outside are counted.
    """

    def __init__(
        self,
        spec: Spec,
        temp_dir: str,
        *,
        limit_rejected: bool = False,
        transform_path: str | None = None,
        ranges: Ranges | None = None,
    ) -> None:
        super().__init__()
        self._spec, self._temp_dir = spec, temp_dir
        self._transform_path, self._ranges = transform_path, ranges
        self._most = spec.max_rejected if limit_rejected else math.inf

    def expand(self, rows: beam.PCollection | dict[str, beam.PCollection]) -> dict[str, Any]:
        """Returns the PCollections named above."""
        spec = self._spec
        sources = rows if isinstance(rows, dict) else {"analyze": rows, "transform": rows}
        config = raw_tensor_adapter_config(spec)

        checked = sources["transform"] | "CheckRows" >> beam.ParDo(
            _CheckRows(spec, self._most, ranges=self._ranges)
        ).with_outputs("rejected", "counts", main="rows")
        counts = [checked.counts]
        # Deep copies would break runners that need a reshuffle upstream (design, traps).
        with tft_beam.Context(temp_dir=self._temp_dir, passthrough_keys={_SPLIT}, use_deep_copy_optimization=False):
            if self._transform_path is None:
                train = sources["analyze"] | "TrainRows" >> beam.ParDo(
                    _CheckRows(spec, self._most, only_train=True)
                ).with_outputs("counts", main="rows")
                counts.append(train.counts)
                preprocess = preprocessing_fn(spec)
                transform_fn = (train.rows, config) | "Analyze" >> tft_beam.AnalyzeDataset(preprocess)
            else:
                transform_fn = checked.rows.pipeline | "ReadTransformFn" >> tft_beam.ReadTransformFn(
                    self._transform_path
                )
            (transformed, _) = (
                (checked.rows, config),
                transform_fn,
            ) | "Transform" >> tft_beam.TransformDataset(output_record_batches=True)
        examples = transformed | "Examples" >> beam.Map(_examples)
        counts.append(examples | "CountOov" >> beam.Map(count_oov, spec))
        total = counts | "AllCounts" >> beam.Flatten() | "SumCounts" >> beam.CombineGlobally(SumCounts())
        return {
            "examples": examples,
            "transform_fn": transform_fn,
            "rejected": checked.rejected,
            "counts": total,
        }


def raw_metadata(spec: Spec) -> tft.DatasetMetadata:
    """Returns the schema of the rows that the transform takes."""
    return tft.DatasetMetadata.from_feature_spec(raw_feature_spec(spec))


def raw_tensor_adapter_config(spec: Spec) -> TensorAdapterConfig:
    """Returns how TFT turns a RecordBatch of checked rows into tensors."""
    arrow = [(name, _arrow_type(feature)) for name, feature in raw_feature_spec(spec).items()]
    return TensorAdapterConfig(
        arrow_schema=pa.schema([*arrow, (_SPLIT, pa.large_list(pa.int64()))]),
        tensor_representations=InferTensorRepresentationsFromMixedSchema(raw_metadata(spec).schema),
    )


def _arrow_type(feature: Any) -> pa.DataType:
    return columns.BAG if feature.dtype.name == "string" else columns.WEIGHTS


class _CheckRows(beam.DoFn):
    """SourceBatch → RecordBatch for TFT; rejected rows and counts to outputs of their own."""

    def __init__(
        self, spec: Spec, most_rejected: float, *, only_train: bool = False, ranges: Ranges | None = None
    ) -> None:
        self._spec, self._most_rejected, self._only_train, self._ranges = spec, most_rejected, only_train, ranges
        self._names = list(raw_feature_spec(spec))

    def setup(self) -> None:
        self._limit = RejectedLimit(self._most_rejected)

    def process(self, batch: SourceBatch | pa.RecordBatch) -> Iterator[Any]:
        if isinstance(batch, pa.RecordBatch):
            batch = SourceBatch("(rows)", np.arange(1, batch.num_rows + 1), batch)
        read = batch.data.num_rows + len(batch.rejected)
        rows, splits, rejected = check_rows(batch, self._spec)
        self._limit.add(read, rejected)
        if self._only_train and rows.num_rows:
            is_train = splits == SPLITS.index("train")
            rows, splits = rows.filter(pa.array(is_train)), splits[is_train]
        if rows.num_rows:
            arrays = [columns.as_lists(columns.without_nulls(rows[name])) for name in self._names]
            arrays.append(columns.as_lists(pa.array(splits.astype(np.int64))))
            yield pa.RecordBatch.from_arrays(arrays, [*self._names, _SPLIT])
        if self._only_train:
            yield beam.pvalue.TaggedOutput("counts", Counter({("analyzed",): rows.num_rows}))
            return
        yield from (beam.pvalue.TaggedOutput("rejected", row) for row in rejected)
        counts: Counts = count_rows(rows, splits, self._spec, self._ranges) if rows.num_rows else Counter()
        counts["read",] += read
        counts["rejected",] += len(rejected)
        yield beam.pvalue.TaggedOutput("counts", counts)


def _examples(transformed: tuple[pa.RecordBatch, Any]) -> Examples:
    """Returns the examples with the column that tells their splits apart taken out."""
    batch, _ = transformed
    return Examples(batch.drop_columns([_SPLIT]), np.asarray(batch[_SPLIT].values).astype(np.int8))


def write_run(
    rows: dict[str, beam.PCollection],
    spec: Spec,
    work: str,
    run: str,
    transform_path: str | None = None,
    tft_temp: str | None = None,
) -> None:
    """Adds all that fills a run directory to the pipeline that `rows` belongs to.

    Args:
        rows: `analyze` and `transform`; see PreprocessClickLog.
        spec: resolved.
        work: a folder for what is needed on the way, and for the counts.
        run: the folder to fill.
        transform_path: see PreprocessClickLog.
        tft_temp: TensorFlow Transform's own temporary folder; default: in `work`.
    """
    result = rows | "Preprocess" >> PreprocessClickLog(
        spec, tft_temp or FileSystems.join(work, "tft-temp"), limit_rejected=True, transform_path=transform_path
    )
    written = result["examples"] | "WriteExamples" >> WriteExamples(
        FileSystems.join(run, EXAMPLES_FOLDER), FileSystems.join(work, "shards-temp")
    )
    _ = result["transform_fn"] | "WriteTransformFn" >> tft_beam.WriteTransformFn(
        FileSystems.join(run, TRANSFORM_FOLDER)
    )
    rejected = FileSystems.join(run, REJECTED_FOLDER, "rows")
    _ = (
        result["rejected"]
        | "RejectedAsJson" >> beam.Map(as_json_line)
        | "WriteRejected" >> beam.io.WriteToText(rejected, ".jsonl", skip_if_empty=True)
    )
    _ = (
        (result["counts"], written | "CountWritten" >> beam.Map(_count_written))
        | "WithWritten" >> beam.Flatten()
        | "SumAllCounts" >> beam.CombineGlobally(SumCounts())
        | "WriteCounts" >> beam.Map(write_counts, FileSystems.join(work, COUNTS_FILE))
    )


def _count_written(of_split: tuple[str, int, int]) -> Counts:
    split, examples, _ = of_split
    return Counter({("written", split): examples})


def write_counts(counts: Counts, path: str) -> None:
    """Writes counts to `path`, whole or not at all, as a JSON list of [key, number]."""
    write_whole(path, json.dumps([[list(key), number] for key, number in counts.items()]))


def read_counts(path: str) -> Counts:
    """Returns what `write_counts` wrote."""
    with FileSystems.open(path) as file:
        return Counter({tuple(key): number for key, number in json.loads(file.read())})
