"""Proof that there is no training-serving skew: raw rows through the batch pipeline and through an exported model.

The reference is a run's transform as `fieldpool transform` applies it, its rows encoded and read back as examples, and
the trained Keras model on them. Each row travels with its own request, so that nothing has to be joined.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_transform.beam as tft_beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from ...model.export import find_export
from ...model.run import TRANSFORM_FOLDER, Run
from ...transforms.errors import UserError
from ...transforms.spec import LABEL_FEATURE, Spec
from ..counts.spec_resolution import ReadRows
from ..jobs.errors import translate_worker_errors
from ..jobs.job import running_pipeline
from ..jobs.options import beam_options
from ..rows import columns
from ..rows.checks import Checked, CheckRows
from ..rows.tft_rows import NUMBERS, adapter_config, as_tft_rows
from ..tfrecords.encoding import encode_examples
from .comparison import REQUEST, ROW, SOURCE, Compare, Difference, Parity, sum_parity
from .exported_model import read_spec


def verify(run: Run, model: str, read_rows: ReadRows, options: PipelineOptions | None = None) -> Parity:
    """Returns how a run and an exported model compare on rows.

    Ids, weights and numbers must be equal to the bit; probabilities, by each way into the exported model, within 1e-6
    of those of the Keras model that was exported.

    Args:
        run: The run that the model was trained on.
        model: The exported model, or the folder of a training with `serving/` in it.
        read_rows: Returns a PTransform that makes SourceBatches (with at least `checks.feature_columns`) out of a
            pipeline.
        options: Of the Beam pipeline.

    Raises:
        UserError: there is no exported model, or a row's source cannot be read.
        TimeLimitExceeded: the job took longer than `--time_limit`.
    """
    export, spec = find_export(model), run.spec
    if read_spec(export).fields != spec.fields:
        raise UserError(f"{export}: was exported from a run with other fields than {run.path}; name the run it is of")
    beside = {REQUEST: columns.BAG, SOURCE: columns.BAG, ROW: NUMBERS}
    config = adapter_config(spec, passthrough=beside)
    with tempfile.TemporaryDirectory(prefix="fieldpool-verify-") as folder:
        found = os.path.join(folder, "parity.json")
        with (
            translate_worker_errors(folder),
            tft_beam.Context(temp_dir=folder, passthrough_keys=set(beside), use_deep_copy_optimization=False),
            running_pipeline(options or beam_options()) as pipeline,
        ):
            transform_fn = pipeline | "ReadTransform" >> tft_beam.ReadTransformFn(f"{run.path}/{TRANSFORM_FOLDER}")
            checks = CheckRows(spec, for_prediction=True, limit_rejected=False)
            checked = pipeline | "Read" >> read_rows() | "CheckRows" >> beam.ParDo(checks)
            with_requests = checked | "WithRequests" >> beam.FlatMap(_with_requests, spec)
            (transformed, _) = ((with_requests, config), transform_fn) | "Transform" >> tft_beam.TransformDataset(
                output_record_batches=True
            )
            compared = transformed | "Compare" >> beam.ParDo(Compare(export, spec))
            rejected = checked | "CountRejected" >> beam.Map(lambda batch: Parity(rejected=len(batch.rejected)))
            _ = (
                (rejected, compared)
                | "All" >> beam.Flatten()
                | "Sum" >> beam.CombineGlobally(sum_parity)
                | "Write" >> beam.Map(_write, found)
            )
        return _read(found)


def _with_requests(checked: Checked, spec: Spec) -> Iterator[pa.RecordBatch]:
    """Yields checked rows for TFT, each with its own request beside it."""
    rows = checked.rows
    if not rows.num_rows:
        return
    beside = {
        REQUEST: encode_examples(as_tft_rows(rows, spec, label=False)),
        SOURCE: pa.array([checked.source.encode()] * rows.num_rows, columns.TEXT),
        ROW: pa.array(checked.numbers),
    }
    no_labels = pa.array(np.zeros(rows.num_rows, np.float32))
    yield as_tft_rows(rows.append_column(LABEL_FEATURE, no_labels), spec, passthrough=beside)


def _write(parity: Parity, path: str) -> None:
    with FileSystems.create(path) as file:
        file.write(json.dumps(asdict(parity)).encode())


def _read(path: str) -> Parity:
    with FileSystems.open(path) as file:
        found = json.loads(file.read())
    return Parity(**found | {"differences": [Difference(**difference) for difference in found["differences"]]})
