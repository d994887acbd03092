"""Rows by batch pipeline and trained model beside the same rows by the exported model: ids to the bit, scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.utils.shared import Shared

from ...model.evaluation import scorer
from ...model.examples import feature_spec
from ...model.export import (
    EXAMPLES_SIGNATURE,
    IDS_SIGNATURE,
    PROBABILITY,
    RAW_SIGNATURE,
    argument_names,
    export_file,
    serving_feature_spec,
)
from ...model.training.folder import MODEL_FILE, load_model
from ...transforms.spec import KEY_FEATURE, LABEL_FEATURE, Spec
from ..tfrecords.encoding import encode_examples

SCORE_TOLERANCE = 1e-6

# Travel beside the features through the transform; not names that a field can have.
REQUEST, SOURCE, ROW = "__request__", "__source__", "__row__"

_SHOWN = 20


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


class Compare(beam.DoFn):
    """RecordBatch of transformed rows with their requests → Parity."""

    def __init__(self, export: str, spec: Spec) -> None:
        self._export, self._spec = export, spec
        self._shared = Shared()

    def setup(self) -> None:
        """Loads both models, once a process."""
        self._models = self._shared.acquire(lambda: _Models(self._export, self._spec))

    def process(self, transformed: tuple[pa.RecordBatch, Any]) -> Iterator[Parity]:
        """Yields what a batch gives."""
        batch, _ = transformed
        requests = tf.constant(batch[REQUEST].flatten().to_numpy(zero_copy_only=False))
        beside = {REQUEST, SOURCE, ROW}
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
            for row in np.flatnonzero(rows)[:_SHOWN].tolist()
        ]
        yield Parity(
            rows=batch.num_rows,
            differing_ids=_rows_with_any(id_faults),
            differing_scores=_rows_with_any(score_faults),
            largest_score_difference=float(np.max(list(distances.values()))),
            differences=[
                Difference(
                    source=batch[SOURCE][row].as_py()[0].decode(),
                    row=batch[ROW][row].as_py()[0],
                    key=_plain(features[KEY_FEATURE].numpy()[row]) if KEY_FEATURE in features else None,
                    field=name,
                    batch=_plain(values[name][0][row]),
                    served=_plain(values[name][1][row]),
                )
                for row, name in faults[:_SHOWN]
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


def sum_parity(parts: Iterable[Parity]) -> Parity:
    """Returns what several batches give together."""
    total = Parity()
    for part in parts:
        total = Parity(
            rows=total.rows + part.rows,
            rejected=total.rejected + part.rejected,
            differing_ids=total.differing_ids + part.differing_ids,
            differing_scores=total.differing_scores + part.differing_scores,
            largest_score_difference=max(total.largest_score_difference, part.largest_score_difference),
            differences=(total.differences + part.differences)[:_SHOWN],
        )
    return total
