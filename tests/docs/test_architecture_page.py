"""docs/architecture.md has the types that one row really has on its way from a file to a logit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from page_words import text_of
from pages import ROOT
from tfx_bsl.public.tfxio import TensorAdapter

import fieldpool
from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.rows.tft_rows import adapter_config, as_tft_rows
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.transforms.spec.inputs import raw_columns

FIELDS = {"user": "user_id", "genres": "genres", "age": "age"}
SHAPES = {1: "[batch]", 2: "[batch, max_len]"}


def cells(step: str) -> dict[str, str]:
    """Returns what the page says of each field in a step of the way of one row."""
    page = text_of(ROOT / "docs/architecture.md")
    row = re.search(rf"^\| {step} \|(.*)\|$", page, re.MULTILINE)
    assert row is not None, step
    return dict(zip(FIELDS, [cell.strip().replace("`", "") for cell in row[1].split("|")][2:], strict=True))


def arrow_types(schema: pa.Schema) -> dict[str, str]:
    return {name: str(schema.field(field).type) for name, field in FIELDS.items()}


def tensor_types(tensors: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name, field in FIELDS.items():
        tensor = tensors[field]
        ragged = isinstance(tensor, tf.RaggedTensor)
        found[name] = (
            f"{'ragged ' * ragged}{tensor.dtype.name} {'[batch, (values)]' if ragged else SHAPES[tensor.ndim]}"
        )
    return found


def agrees(step: str, types: dict[str, str]) -> None:
    """Checks that each cell begins with the type; what follows explains it."""
    said = cells(step)
    assert {name: text[: len(types[name])] for name, text in said.items()} == types


@pytest.mark.usefixtures("in_tutorial")
def test_the_way_of_one_row_has_the_types_of_the_page(tmp_path: Path) -> None:
    run = fieldpool.Run("runs/monday")
    batch = next(iter(read_batches("monday.csv", run.spec.source, raw_columns(run.spec))))
    agrees("1 read", arrow_types(batch.data.schema))

    checked = check_rows(batch, run.spec)
    agrees("2 check", arrow_types(checked.rows.schema))

    rows = as_tft_rows(checked.rows, run.spec)
    agrees("3 convert", arrow_types(rows.schema))

    tensors = TensorAdapter(adapter_config(run.spec)).ToBatchTensors(rows)
    agrees("4 to TensorFlow", tensor_types(tensors))

    transform = tft.TFTransformOutput("runs/monday/transform").transform_features_layer()
    agrees("5 transform", tensor_types(transform(tensors)))

    schema = tmp_path / "schema"
    with beam.Pipeline(options=beam_options()) as pipeline:
        results = (
            pipeline | beam.Create([batch], reshuffle=False) | fieldpool.PreprocessClickLog(run.spec, str(tmp_path))
        )
        _ = results["examples"] | beam.Map(lambda examples: schema.write_bytes(examples.rows.schema.serialize()))
    agrees("6 to Arrow", arrow_types(pa.ipc.read_schema(pa.py_buffer(schema.read_bytes()))))

    record = next(iter(tf.data.TFRecordDataset(run.shards("train"), "GZIP")))
    features = tf.train.Example.FromString(record.numpy()).features.feature
    agrees("7 write", {name: str(features[field].WhichOneof("kind")) for name, field in FIELDS.items()})

    parsed, _ = next(iter(fieldpool.read_examples(run, "train", batch_size=2)))
    agrees("8 parse", tensor_types(parsed))

    model = fieldpool.load_model("models/monday")
    vectors, linear = model.fields_of(parsed)
    assert (vectors.shape, vectors.dtype) == ((2, 5, 8), tf.float32)
    assert linear.shape == (2, 5)
    assert set(cells("9 pool").values()) == {"float32 [batch, dim]"}
    logit = model(parsed)
    assert (logit.shape, logit.dtype) == ((2, 1), tf.float32)
