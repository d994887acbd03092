"""The Beam pipeline: raw rows → checked rows → analysis → examples → run directory.

`PreprocessClickLog` can be part of any Beam pipeline; `write_run` adds the steps that write a run directory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_transform.beam as tft_beam
from apache_beam.io.filesystems import FileSystems

from ...transforms.preprocessing import preprocessing_fn
from ...transforms.run_files import EXAMPLES_FOLDER, REJECTED_FOLDER, TRANSFORM_FOLDER, VOCABULARY_COUNTS_FOLDER
from ...transforms.spec import Spec
from ..counts.counters import COUNTS_FILE, Counted, Counts, SumCounts, WriteCounts
from ..counts.duplicate_keys import CountDuplicateKeys
from ..counts.row_counts import Ranges, count_clipped, count_ids, count_rows
from ..folders.work_folder import SHARDS_FOLDER, TFT_FOLDER
from ..rows.checks import Checked
from ..rows.read_rows import CheckRows
from ..rows.rejected import WriteRejected
from ..rows.tft_rows import NUMBERS, adapter_config, as_tft_rows, passed_through
from ..tfrecords.sink import Examples, WriteExamples

# Column that TFT passes through, with the split of each row. No field can have this name.
_SPLIT = "__split__"


class PreprocessClickLog(beam.PTransform):
    """Transforms raw rows to examples; also outputs the transform function, rejected rows and counts.

    The input is a PCollection of RecordBatches with the spec's raw columns, or of `SourceBatch`, which also has the
    source and the numbers of its rows. It can also be a dict of two such PCollections: vocabularies and statistics are
    computed from the train rows of `analyze`, and the rows of `transform` become examples. To read a source twice costs
    less than to store its rows between the two passes.

    The output is a dict of PCollections:
        examples: `Examples`, a RecordBatch in the Arrow form of tf.Examples and the split of each row.
        transform_fn: for `tft_beam.WriteTransformFn` (a transform_fn and its metadata).
        rejected: `Rejected` rows.
        counts: one `pipeline.counts.counters.Counts`.

    Args:
        spec: The resolved spec (`runs.spec_resolution.resolve_spec`): with a number for each `max_len`, and with the
            boundaries of a time split.
        temp_dir: A folder that TensorFlow can write to, on a shared file system if workers are remote. TFT already
            writes there while the pipeline is being built, hence it is separate from Beam's temp_location.
        limit_rejected: Whether to fail as soon as more rows are rejected than `max_rejected`, if that is a count.
            Default False: the caller decides what to do with rejected rows.
        transform_path: The `transform/` folder of a run, whose transform is applied; nothing is analyzed.
        ranges: Minimum and maximum by numeric field; numbers outside are counted.
        vocabulary_counts: A folder for the counts of tokens; see `transforms.vocabulary.packed_vocabularies`.
    """

    def __init__(
        self,
        spec: Spec,
        temp_dir: str,
        *,
        limit_rejected: bool = False,
        transform_path: str | None = None,
        ranges: Ranges | None = None,
        vocabulary_counts: str | None = None,
    ) -> None:
        super().__init__()
        self._spec, self._temp_dir, self._limit_rejected = spec, temp_dir, limit_rejected
        self._transform_path, self._ranges = transform_path, ranges
        self._vocabulary_counts = vocabulary_counts

    def expand(self, rows: beam.PCollection | dict[str, beam.PCollection]) -> dict[str, Any]:
        """Returns the PCollections named above."""
        spec = self._spec
        sources = rows if isinstance(rows, dict) else {"analyze": rows, "transform": rows}
        config = adapter_config(spec, passthrough={_SPLIT: NUMBERS})

        checked = sources["transform"] | "CheckRows" >> beam.ParDo(CheckRows(spec, limit_rejected=self._limit_rejected))
        tft_rows = checked | "TftRows" >> beam.FlatMap(_as_tft_rows, spec)
        counts = [checked | "CountRows" >> beam.Map(count_rows, spec, self._ranges)]
        if spec.key is not None:
            counts.append(checked | "CountDuplicateKeys" >> CountDuplicateKeys(spec.key_columns))
        # A deep copy includes an upstream reshuffle, which breaks jobs on runners that need the reshuffle.
        with tft_beam.Context(temp_dir=self._temp_dir, passthrough_keys={_SPLIT}, use_deep_copy_optimization=False):
            if self._transform_path is None:
                train = (
                    sources["analyze"]
                    | "CheckAnalyzedRows" >> beam.ParDo(CheckRows(spec, limit_rejected=self._limit_rejected))
                    | "TrainRows" >> beam.Map(Checked.of_split, "train")
                )
                counts.append(train | "CountAnalyzed" >> beam.Map(_count_analyzed))
                train_rows = train | "TrainTftRows" >> beam.FlatMap(_as_tft_rows, spec)
                preprocess = preprocessing_fn(spec, counts_folder=self._vocabulary_counts)
                transform_fn = (train_rows, config) | "Analyze" >> tft_beam.AnalyzeDataset(preprocess)
            else:
                read = tft_beam.ReadTransformFn(self._transform_path)
                transform_fn = tft_rows.pipeline | "ReadTransformFn" >> read
            (transformed, _) = (
                (tft_rows, config),
                transform_fn,
            ) | "Transform" >> tft_beam.TransformDataset(output_record_batches=True)
        examples = transformed | "Examples" >> beam.Map(_examples)
        counts.append(examples | "CountIds" >> beam.Map(count_ids, spec))
        counts.append(examples | "CountClipped" >> beam.Map(count_clipped, spec))
        return {
            "examples": examples,
            "transform_fn": transform_fn,
            "rejected": checked | "Rejected" >> beam.FlatMap(attrgetter("rejected")),
            "counts": counts | "AllCounts" >> beam.Flatten() | "SumCounts" >> beam.CombineGlobally(SumCounts()),
        }


def _as_tft_rows(checked: Checked, spec: Spec) -> Iterator[pa.RecordBatch]:
    if checked.rows.num_rows:
        yield as_tft_rows(checked.rows, spec, passthrough={_SPLIT: pa.array(checked.splits.astype(np.int64))})


def _count_analyzed(train: Checked) -> Counts:
    return Counts(Counter({Counted("analyzed"): train.rows.num_rows}))


def _examples(transformed: tuple[pa.RecordBatch, Any]) -> Examples:
    """Returns the transformed rows, with the column of splits taken out of the RecordBatch."""
    batch, _ = transformed
    return Examples(batch.drop_columns([_SPLIT]), passed_through(batch, _SPLIT).astype(np.int8))


def write_run(
    rows: dict[str, beam.PCollection],
    spec: Spec,
    work: str,
    folder: str,
    transform_path: str | None = None,
    tft_temp: str | None = None,
) -> None:
    """Adds the steps that write a run directory to the pipeline of `rows`.

    Args:
        rows: `analyze` and `transform`; see PreprocessClickLog.
        spec: The resolved spec.
        work: A folder for temporary files and the counts.
        folder: The run directory.
        transform_path: See PreprocessClickLog.
        tft_temp: TensorFlow Transform's temporary folder; default: a folder in `work`.
    """
    result = rows | "Preprocess" >> PreprocessClickLog(
        spec,
        tft_temp or FileSystems.join(work, TFT_FOLDER),
        limit_rejected=True,
        transform_path=transform_path,
        vocabulary_counts=FileSystems.join(folder, VOCABULARY_COUNTS_FOLDER),
    )
    written = result["examples"] | "WriteExamples" >> WriteExamples(
        FileSystems.join(folder, EXAMPLES_FOLDER), FileSystems.join(work, SHARDS_FOLDER)
    )
    _ = result["transform_fn"] | "WriteTransformFn" >> tft_beam.WriteTransformFn(
        FileSystems.join(folder, TRANSFORM_FOLDER)
    )
    _ = result["rejected"] | "WriteRejected" >> WriteRejected(FileSystems.join(folder, REJECTED_FOLDER))
    counts = (result["counts"], written | "CountWritten" >> beam.Map(_count_written))
    _ = counts | "WriteCounts" >> WriteCounts(FileSystems.join(work, COUNTS_FILE))


def _count_written(of_split: tuple[str, int, int]) -> Counts:
    split, examples, _ = of_split
    return Counts(Counter({Counted("written", split=split): examples}))
