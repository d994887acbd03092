"""Transforms the rows of `rows.py` to TFRecords, as in TensorFlow Transform's guide.

    python -m benchmarks.pipelines.with_tft rows.parquet out/

It uses one `tft.compute_and_apply_vocabulary` per field, one `tft.scale_to_z_score` per number, RecordBatches as input
and output (the guide's fast path), tfx_bsl's encoder, Beam's TFRecord sink, and the in-process runner.
See https://www.tensorflow.org/tfx/transform/get_started.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder
from tfx_bsl.public.tfxio import TensorAdapterConfig
from tfx_bsl.tfxio.tensor_representation_util import InferTensorRepresentationsFromMixedSchema

from .measured import report
from .rows import MAX_LENS, columns_of

BATCH_ROWS = 8192
ARROW = {tf.string: pa.large_binary(), tf.float32: pa.float32(), tf.int64: pa.int64()}
OOV = 1  # The number of OOV buckets. Ids are those of fieldpool: 0 is padding.


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns ids, padded lists and z-scores."""
    outputs = {"label": inputs["label"], "key": inputs["row_id"]}
    for name, x in inputs.items():
        if name.startswith("single"):
            ids = tft.compute_and_apply_vocabulary(x, default_value=-OOV, vocab_filename=name)
            outputs[name] = tf.squeeze(tf.sparse.to_dense(ids, default_value=-OOV - 1), 1) + OOV + 1
        elif name.startswith("multi"):
            ids = tft.compute_and_apply_vocabulary(x, default_value=-OOV, vocab_filename=name)
            outputs[name] = (ids + OOV + 1).to_tensor(shape=[None, MAX_LENS[name.split("_")[0]]])
        elif name.startswith("number"):
            scaled = tft.scale_to_z_score(x)
            outputs[name] = tf.squeeze(tf.sparse.to_dense(scaled), 1)
    return outputs


def feature_spec(columns: list[str]) -> dict[str, Any]:
    """Returns the features of the columns."""
    features: dict[str, Any] = {
        "row_id": tf.io.FixedLenFeature([], tf.int64),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    for name in columns:
        if name.startswith("single"):
            features[name] = tf.io.VarLenFeature(tf.string)
        elif name.startswith("multi"):
            features[name] = tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64)
        elif name.startswith("number"):
            features[name] = tf.io.VarLenFeature(tf.float32)
    return features


def read(path: str, split: str, features: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one split; a missing value is a list without elements."""
    for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS):
        batch = batch.filter(pa.compute.equal(batch["split"], split))
        arrays = []
        for name, feature in features.items():
            column = batch[name]
            if name.startswith("multi"):
                arrays.append(column.cast(pa.large_list(pa.large_binary())))
                continue
            present = column.is_valid().cast(pa.int64()).to_numpy(zero_copy_only=False)
            offsets = pa.array([0, *present.cumsum()], pa.int64())
            arrays.append(pa.LargeListArray.from_arrays(offsets, column.drop_null().cast(ARROW[feature.dtype])))
        yield pa.RecordBatch.from_arrays(arrays, list(features))


class Encode(beam.DoFn):
    """RecordBatch → serialized tf.Examples."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    def setup(self) -> None:
        """Creates the encoder, which does not pickle."""
        self._encoder = RecordBatchToExamplesEncoder(self._schema)

    def process(self, element: tuple[pa.RecordBatch, Any]) -> Iterator[bytes]:
        """Yields one example a row."""
        yield from self._encoder.encode(element[0])


def main(path: str, out: str) -> None:
    """Analyses the train rows, and writes the examples of each split."""
    features = feature_spec(columns_of(path))
    metadata = tft.DatasetMetadata.from_feature_spec(features)
    config = TensorAdapterConfig(
        pa.schema([(name, pa.large_list(ARROW[feature.dtype])) for name, feature in features.items()]),
        InferTensorRepresentationsFromMixedSchema(metadata.schema),
    )
    with (
        beam.Pipeline(options=beam.options.pipeline_options.PipelineOptions(["--runner=FnApiRunner"])) as pipeline,
        tft_beam.Context(temp_dir=tempfile.mkdtemp()),
    ):
        rows = {
            split: pipeline
            | f"Path {split}" >> beam.Create([path], reshuffle=False)
            | f"Read {split}" >> beam.FlatMap(read, split, features)
            for split in ("train", "eval", "test")
        }
        transform_fn = (rows["train"], config) | tft_beam.AnalyzeDataset(preprocessing_fn)
        _ = transform_fn | tft_beam.WriteTransformFn(os.path.join(out, "transform"))
        for split, batches in rows.items():
            transformed, transformed_metadata = (
                (batches, config),
                transform_fn,
            ) | f"Transform {split}" >> tft_beam.TransformDataset(output_record_batches=True)
            _ = (
                transformed
                | f"Encode {split}" >> beam.ParDo(Encode(transformed_metadata.schema))
                | f"Write {split}"
                >> beam.io.WriteToTFRecord(os.path.join(out, "examples", split), file_name_suffix=".tfrecord.gz")
            )


if __name__ == "__main__":
    report(lambda: main(sys.argv[1], sys.argv[2]))
