"""Compares transformed rows and their scores with those of the exported model, to find training-serving skew.

Ids, weights and numbers must be equal bit by bit; probabilities may differ by at most `SCORE_TOLERANCE`. Those of
`rank` must be equal bit by bit to those of `raw` with the user repeated: the first row of a batch is the user of all.
"""

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
from ...model.export import load_export
from ...model.serving.graph import (
    EXAMPLES_SIGNATURE,
    IDS_SIGNATURE,
    PROBABILITY,
    RAW_SIGNATURE,
    argument_names,
    serving_feature_spec,
)
from ...model.serving.rank import RANK_SIGNATURE
from ...model.training.folder import MODEL_FILE, load_model
from ...transforms.run_files import export_file
from ...transforms.spec import Spec
from ..sources.batches import Rejected
from ..tfrecords.encoding import encode_examples
from .bits import differ

SCORE_TOLERANCE = 1e-6

# Columns that TFT passes through. No field can have these names.
REQUEST, SOURCE, ROW = "__request__", "__source__", "__row__"

_SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """A difference between batch pipeline and exported model in one field of one row.

    Attributes:
        source: The file of the row.
        row: The row's number in the file, from 1, or the text of `SourceBatch.numbers`.
        key: The row's key, if the spec has one; the values of several columns are joined by ", ".
        field: The field, or "probability by …" with the entry point: a signature, or the method `predict`.
        batch: The value that the batch pipeline gives, or the trained model; for `rank` that of `raw`.
        served: The value that the exported model gives.
    """

    source: str
    row: int | str
    key: str | None
    field: str
    batch: Any
    served: Any


@dataclass(frozen=True)
class Parity:
    """The result of a comparison.

    Attributes:
        rows: Rows compared.
        rejected: Rows rejected by the row checks, which are not compared.
        differing_ids: Rows with a different id, weight or number in any field.
        differing_scores: Rows whose probabilities differ by more than `SCORE_TOLERANCE` at any entry point.
        largest_score_difference: The largest difference of probabilities over all rows and entry points.
        differences: The first differences, at most 20.
        first_rejected: A rejected row: the first, if one worker reads the rows. None if no row was rejected.
    """

    rows: int = 0
    rejected: int = 0
    differing_ids: int = 0
    differing_scores: int = 0
    largest_score_difference: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    first_rejected: Rejected | None = None

    @property
    def holds(self) -> bool:
        """Whether at least one row was compared and nothing differs."""
        return self.rows > 0 and not self.differing_ids and not self.differing_scores


class Compare(beam.DoFn):
    """RecordBatch of transformed rows with their requests → Parity."""

    def __init__(self, export: str, spec: Spec) -> None:
        self._export, self._spec = export, spec
        self._shared = Shared()

    def setup(self) -> None:
        """Loads both models, once per process."""
        self._models = self._shared.acquire(lambda: _Models(self._export, self._spec))

    def process(self, transformed: tuple[pa.RecordBatch, Any]) -> Iterator[Parity]:
        """Yields the result for a batch."""
        batch, _ = transformed
        requests = tf.constant(batch[REQUEST].flatten().to_numpy(zero_copy_only=False))
        passed_through = {REQUEST, SOURCE, ROW}
        examples = encode_examples(batch.select([name for name in batch.schema.names if name not in passed_through]))
        features = tf.io.parse_example(examples.to_numpy(zero_copy_only=False), feature_spec(self._spec))
        for name in self._spec.label.features:
            del features[name]
        expected, scores = self._models.probabilities(features, requests)
        ids = self._models.served.signatures[IDS_SIGNATURE](examples=requests)

        values = {name: (value.numpy(), ids[name].numpy()) for name, value in features.items()}
        ids_differ = {name: differ(*pair) for name, pair in values.items()}
        values |= {f"probability by {entry}": (expected, score) for entry, score in scores.items()}
        ranked = {f"probability by {RANK_SIGNATURE}": pair for pair in self._models.ranked(requests)}
        values |= ranked
        distances = {name: _distance(*pair) for name, pair in values.items() if name not in ids_differ}
        scores_differ = {name: distance > SCORE_TOLERANCE for name, distance in distances.items()}
        scores_differ |= {name: differ(*pair) for name, pair in ranked.items()}  # Bit by bit.
        differing = [
            (row, name)
            for name, rows in (ids_differ | scores_differ).items()
            for row in np.flatnonzero(rows)[:_SHOWN].tolist()
        ]
        yield Parity(
            rows=batch.num_rows,
            differing_ids=_rows_with_any(ids_differ),
            differing_scores=_rows_with_any(scores_differ),
            largest_score_difference=float(np.max(list(distances.values()))),
            differences=[
                Difference(
                    source=batch[SOURCE][row].as_py()[0].decode(),
                    row=_row_number(batch[ROW][row].as_py()[0].decode()),
                    key=", ".join(_plain(features[n].numpy()[row]) for n in self._spec.key_columns) or None,
                    field=name,
                    batch=_plain(values[name][0][row]),
                    served=_plain(values[name][1][row]),
                )
                for row, name in differing[:_SHOWN]
            ],
        )


class _Models:
    """The exported model, and the Keras model that it was exported from."""

    def __init__(self, export: str, spec: Spec) -> None:
        self._spec = spec
        self.served = load_export(export)
        features = {
            name: tf.TensorSpec([None, *feature.shape], feature.dtype)
            for name, feature in feature_spec(spec).items()
            if name not in spec.label.features
        }
        self._score = scorer(load_model(export_file(export, MODEL_FILE)), features)

    def probabilities(self, features: dict[str, Any], requests: tf.Tensor) -> tuple[np.ndarray, Any]:
        """Returns the Keras model's probabilities, float32 `[rows]`, and the exported model's by entry point."""
        raw = tf.io.parse_example(requests, serving_feature_spec(self._spec))
        outputs = {
            EXAMPLES_SIGNATURE: self.served.signatures[EXAMPLES_SIGNATURE](examples=requests),
            RAW_SIGNATURE: self.served.signatures[RAW_SIGNATURE](**_padded(raw)),
            "predict": self.served.predict(raw),
        }
        expected = tf.sigmoid(self._score(features)).numpy()
        return expected, {entry: output[PROBABILITY].numpy() for entry, output in outputs.items()}

    def ranked(self, requests: tf.Tensor) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the probabilities of `raw` and of `rank`, float32 `[rows]`, of all rows with the first one's user.

        Yields nothing if the exported model has no `rank`.
        """
        rank = self.served.signatures.get(RANK_SIGNATURE)
        if rank is None:
            return
        rows = _padded(tf.io.parse_example(requests, serving_feature_spec(self._spec)))
        one = {name: rows[name][:1] for name, of in rank.structured_input_signature[1].items() if of.shape[0] == 1}
        repeated = {name: tf.repeat(tensor, len(requests), axis=0) for name, tensor in one.items()}
        by_raw, by_rank = self.served.signatures[RAW_SIGNATURE](**rows | repeated), rank(**rows | one)
        yield by_raw[PROBABILITY].numpy(), by_rank[PROBABILITY].numpy()


def _padded(raw: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Returns features as the arguments of `raw`."""
    names = argument_names(raw)
    return {names[name]: x.to_tensor() if isinstance(x, tf.RaggedTensor) else x for name, x in raw.items()}


def _distance(expected: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Returns the differences of probabilities, `[rows]`: 0 if both are NaN, 1 if one is."""
    both_nan = np.isnan(expected) & np.isnan(score)
    return np.where(both_nan, 0.0, np.nan_to_num(np.abs(expected - score), nan=1.0))


def _rows_with_any(differ: Mapping[str, np.ndarray]) -> int:
    return int(np.any(list(differ.values()), axis=0).sum())


def _plain(value: Any) -> Any:
    """Returns an element of an array as a JSON value."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value.tolist()


def _row_number(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def sum_parity(parts: Iterable[Parity]) -> Parity:
    """Returns the sum of the results of several batches."""
    total = Parity()
    for part in parts:
        total = Parity(
            rows=total.rows + part.rows,
            rejected=total.rejected + part.rejected,
            differing_ids=total.differing_ids + part.differing_ids,
            differing_scores=total.differing_scores + part.differing_scores,
            largest_score_difference=max(total.largest_score_difference, part.largest_score_difference),
            differences=(total.differences + part.differences)[:_SHOWN],
            first_rejected=total.first_rejected or part.first_rejected,
        )
    return total
