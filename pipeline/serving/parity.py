"""Proof of parity: raw rows through the batch pipeline and through an exported model give equal ids and scores.

The reference is a run's transform as `fieldpool transform` applies it, its rows encoded and read back as examples, and
the trained Keras model on them. Each row travels with its own request, so that nothing has to be joined.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared
from tfx_bsl.public.tfxio import TensorAdapterConfig
from tfx_bsl.tfxio.tensor_representation_util import InferTensorRepresentationsFromMixedSchema

from ...model.evaluation import scorer
from ...model.examples import feature_spec
from ...model.export import (
    EXAMPLES_SIGNATURE,
    IDS_SIGNATURE,
    PROBABILITY,
    RAW_SIGNATURE,
    argument_names,
    export_file,
    find_export,
    serving_feature_spec,
)
from ...model.run import TRANSFORM_FOLDER, Run
from ...model.training.train import MODEL_FILE, load_model
from ...transforms.errors import UserError
from ...transforms.preprocessing import raw_feature_spec
from ...transforms.spec import KEY_FEATURE, LABEL_FEATURE, Spec
from ..jobs.errors import errors_of_users
from ..jobs.options import beam_options
from ..rows import columns
from ..rows.checks import check_features
from ..runs.preprocess import raw_metadata
from ..sources.batches import SourceBatch
from ..tfrecords.encoding import encode_examples
from .exported_model import as_request, read_spec

SCORE_TOLERANCE = 1e-6

# Travel beside the features through the transform; not names that a field can have.
_REQUEST, _SOURCE, _ROW = "__request__", "__source__", "__row__"
_TOLD = 20


@dataclass(frozen=True)
class Difference:
    """One field of one row that is not the same.

    Attributes:
        source: The file of the row.
        row: Its number there, from 1.
        key: Its key, if the spec has one.
        field: The field, or "probability by …" with the way in: a signature, or the method `predict`.
        batch: What the batch pipeline and the trained model have.
        served: What the exported model has.
    """

    source: str
    row: int
    key: str | None
    field: str
    batch: Any
    served: Any


@dataclass(frozen=True)
class Parity:
    """What a comparison found.

    Attributes:
        rows: Rows compared.
        rejected: Rows set aside by both, and not compared.
        differing_ids: Rows with another id, weight or number in any field.
        differing_scores: Rows with a probability more than `SCORE_TOLERANCE` apart, by any way in.
        largest_score_difference: Of all rows and ways in.
        differences: The first of them, at most 20.
    """

    rows: int = 0
    rejected: int = 0
    differing_ids: int = 0
    differing_scores: int = 0
    largest_score_difference: float = 0.0
    differences: list[Difference] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing differs, and something was compared."""
        return self.rows > 0 and not self.differing_ids and not self.differing_scores


def verify(run: Run, model: str, rows: Callable[[], beam.PTransform], options: PipelineOptions | None = None) -> Parity:
    """Returns how a run and an exported model compare on rows.

    Ids, weights and numbers must be equal to the bit; probabilities, by each way into the exported model, within 1e-6
    of those of the Keras model that was exported.

    Args:
        run: The run that the model was trained on.
        model: The exported model, or the folder of a training with `serving/` in it.
        rows: Returns a PTransform that makes SourceBatches (with at least `quarantine.feature_columns`) out of a
            pipeline.
        options: Of the Beam pipeline.

    Raises:
        UserError: there is no exported model, or a row's source cannot be read.
    """
    export, spec = find_export(model), run.spec
    if read_spec(export).fields != spec.fields:
        raise UserError(f"{export}: was exported from a run with other fields than {run.path}; name the run it is of")
    passed_through = [(_REQUEST, columns.BAG), (_SOURCE, columns.BAG), (_ROW, pa.large_list(pa.int64()))]
    raw: Mapping[str, Any] = raw_feature_spec(spec)
    arrow = [(n, columns.BAG if feature.dtype == tf.string else columns.WEIGHTS) for n, feature in raw.items()]
    config = TensorAdapterConfig(
        pa.schema([*arrow, *passed_through]), InferTensorRepresentationsFromMixedSchema(raw_metadata(spec).schema)
    )
    with tempfile.TemporaryDirectory(prefix="fieldpool-verify-") as folder:
        found = os.path.join(folder, "parity.json")
        keys = {name for name, _ in passed_through}
        with (
            errors_of_users(folder),
            tft_beam.Context(temp_dir=folder, passthrough_keys=keys, use_deep_copy_optimization=False),
            beam.Pipeline(options=options or beam_options()) as pipeline,
        ):
            transform_fn = pipeline | "ReadTransform" >> tft_beam.ReadTransformFn(f"{run.path}/{TRANSFORM_FOLDER}")
            checked = (
                pipeline
                | "Read" >> rows()
                | "CheckRows" >> beam.ParDo(_WithRequests(spec)).with_outputs("parity", main="rows")
            )
            (transformed, _) = ((checked.rows, config), transform_fn) | "Transform" >> tft_beam.TransformDataset(
                output_record_batches=True
            )
            compared = transformed | "Compare" >> beam.ParDo(_Compare(export, spec))
            _ = (
                (checked.parity, compared)
                | "All" >> beam.Flatten()
                | "Sum" >> beam.CombineGlobally(_sum)
                | "Write" >> beam.Map(_write, found)
            )
        return _read(found)


class _WithRequests(beam.DoFn):
    """SourceBatch → RecordBatch for TFT, each row with its request; rejected rows are counted."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def process(self, batch: SourceBatch) -> Iterator[Any]:
        rows, numbers, rejected = check_features(batch, self._spec)
        if rejected:
            yield beam.pvalue.TaggedOutput("parity", Parity(rejected=len(rejected)))
        if not rows.num_rows:
            return
        request = as_request(rows, self._spec)
        beside = {
            LABEL_FEATURE: pa.array(np.zeros(rows.num_rows, np.float32)),
            _REQUEST: encode_examples(request),
            _SOURCE: pa.array([batch.source.encode()] * rows.num_rows, columns.TEXT),
            _ROW: pa.array(numbers),
        }
        names = [*raw_feature_spec(self._spec), _REQUEST, _SOURCE, _ROW]
        arrays = [columns.as_lists(beside[name]) if name in beside else request[name] for name in names]
        yield pa.RecordBatch.from_arrays(arrays, names)


class _Compare(beam.DoFn):
    """RecordBatch of transformed rows with their requests → Parity."""

    def __init__(self, export: str, spec: Spec) -> None:
        self._export, self._spec = export, spec
        self._shared = Shared()

    def setup(self) -> None:
        self._models = self._shared.acquire(lambda: _Models(self._export, self._spec))

    def process(self, transformed: tuple[pa.RecordBatch, Any]) -> Iterator[Parity]:
        batch, _ = transformed
        requests = tf.constant(batch[_REQUEST].flatten().to_numpy(zero_copy_only=False))
        beside = {_REQUEST, _SOURCE, _ROW}
        examples = encode_examples(batch.select([name for name in batch.schema.names if name not in beside]))
        features = tf.io.parse_example(examples.to_numpy(zero_copy_only=False), feature_spec(self._spec))
        del features[LABEL_FEATURE]
        expected, scores = self._models.probabilities(features, requests)
        ids = self._models.served.signatures[IDS_SIGNATURE](examples=requests)

        values = {name: (value.numpy(), ids[name].numpy()) for name, value in features.items()}
        id_faults = {name: _differ(*pair) for name, pair in values.items()}
        values |= {f"probability by {way}": (expected, score) for way, score in scores.items()}
        distances = {name: np.abs(expected - score) for name, (_, score) in values.items() if name not in id_faults}
        score_faults = {name: ~(distance <= SCORE_TOLERANCE) for name, distance in distances.items()}
        faults = [
            (row, name)
            for name, rows in (id_faults | score_faults).items()
            for row in np.flatnonzero(rows)[:_TOLD].tolist()
        ]
        yield Parity(
            rows=batch.num_rows,
            differing_ids=_rows_with_any(id_faults),
            differing_scores=_rows_with_any(score_faults),
            largest_score_difference=float(np.max(list(distances.values()))),
            differences=[
                Difference(
                    source=batch[_SOURCE][row].as_py()[0].decode(),
                    row=batch[_ROW][row].as_py()[0],
                    key=_plain(features[KEY_FEATURE].numpy()[row]) if KEY_FEATURE in features else None,
                    field=name,
                    batch=_plain(values[name][0][row]),
                    served=_plain(values[name][1][row]),
                )
                for row, name in faults[:_TOLD]
            ],
        )


class _Models:
    """The exported model and the Keras model that it was made of, loaded once a process."""

    def __init__(self, export: str, spec: Spec) -> None:
        self._spec = spec
        self.served = tf.saved_model.load(export)
        features = {
            name: tf.TensorSpec([None, *feature.shape], feature.dtype)
            for name, feature in feature_spec(spec).items()
            if name != LABEL_FEATURE
        }
        self._score = scorer(load_model(export_file(export, MODEL_FILE)), features)

    def probabilities(self, features: dict[str, Any], requests: tf.Tensor) -> tuple[np.ndarray, Any]:
        """Returns those of the Keras model, float32 `[rows]`, and those by each way into the exported one."""
        raw = tf.io.parse_example(requests, serving_feature_spec(self._spec))
        arguments = argument_names(raw)
        padded = {arguments[n]: t.to_tensor() if isinstance(t, tf.RaggedTensor) else t for n, t in raw.items()}
        ways = {
            EXAMPLES_SIGNATURE: self.served.signatures[EXAMPLES_SIGNATURE](examples=requests),
            RAW_SIGNATURE: self.served.signatures[RAW_SIGNATURE](**padded),
            "predict": self.served.predict(raw),
        }
        expected = tf.sigmoid(self._score(features)).numpy()
        return expected, {way: outputs[PROBABILITY].numpy() for way, outputs in ways.items()}


def _differ(batch: np.ndarray, served: np.ndarray) -> np.ndarray:
    """Returns which rows differ in any bit, boolean `[rows]`."""
    if batch.shape != served.shape:
        return np.ones(len(batch), bool)
    if batch.dtype == np.float32:
        batch, served = batch.view(np.int32), served.view(np.int32)
    return (batch != served).reshape(len(batch), -1).any(axis=1)


def _rows_with_any(faults: Mapping[str, np.ndarray]) -> int:
    return int(np.any(list(faults.values()), axis=0).sum())


def _plain(value: Any) -> Any:
    """Returns an element of an array as JSON has it."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value.tolist()


def _sum(parts: Iterable[Parity]) -> Parity:
    total = Parity()
    for part in parts:
        total = Parity(
            rows=total.rows + part.rows,
            rejected=total.rejected + part.rejected,
            differing_ids=total.differing_ids + part.differing_ids,
            differing_scores=total.differing_scores + part.differing_scores,
            largest_score_difference=max(total.largest_score_difference, part.largest_score_difference),
            differences=(total.differences + part.differences)[:_TOLD],
        )
    return total


def _write(parity: Parity, path: str) -> None:
    with FileSystems.create(path) as file:
        file.write(json.dumps(asdict(parity)).encode())


def _read(path: str) -> Parity:
    with FileSystems.open(path) as file:
        found = json.loads(file.read())
    return Parity(**found | {"differences": [Difference(**difference) for difference in found["differences"]]})
