"""Runs an exported model in a Beam pipeline: checked rows → probabilities. Each process loads the model once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler
from tfx_bsl.public.tfxio import TensorAdapter

from ...model.export import load_export
from ...model.serving.graph import IDS_SEEN, OOV_IDS, PROBABILITY
from ...transforms.run_files import SPEC_FILE, STATS_FILE, export_file
from ...transforms.runs.damage import reading
from ...transforms.runs.run import read_resolved_spec
from ...transforms.runs.run_stats import RunStats
from ...transforms.spec import MultivaluedField, Spec, weights_feature
from ...transforms.spec.inputs import read_fields, source_inputs
from ..counts.counters import Counted, Counts
from ..rows.tft_rows import tensor_adapter
from ..sources.batches import Reason, Rejected, as_json, raw_row


@dataclass(frozen=True)
class RowsToPredict:
    """Checked rows of one source.

    Attributes:
        source: The file's path.
        numbers: The row numbers in that file, `[rows]`, as in SourceBatch.
        rows: The rows, as `Checked.rows`.
        features: The rows without labels, as `tft_rows.as_tft_rows` returns them.
    """

    source: str
    numbers: np.ndarray
    rows: pa.RecordBatch
    features: pa.RecordBatch


@dataclass(frozen=True)
class Predictions:
    """The probabilities of rows.

    Attributes:
        source: The file's path.
        numbers: The row numbers in that file, `[rows]`, as in SourceBatch.
        copied: The rows' columns of key and `carry` by feature, large_binary; missing values are empty texts.
        probabilities: float32 `[rows]`, never NaN.
        rejected: Other rows, whose probability is NaN.
        counts: By field, the number of ids that the model sees (`seen`), and of OOV ids among them (`oov`).
    """

    source: str
    numbers: np.ndarray
    copied: dict[str, pa.Array]
    probabilities: np.ndarray
    rejected: list[Rejected] = dataclasses.field(default_factory=list)
    counts: Counts = dataclasses.field(default_factory=Counts)


class ExportedModel(ModelHandler[RowsToPredict, Predictions, Any]):
    """The ModelHandler for `RunInference`. Its elements are batches already, so Beam must not batch them again.

    Args:
        path: the folder that `export_model` wrote; remote workers must be able to read it.
        spec: the spec in that folder.
    """

    def __init__(self, path: str, spec: Spec) -> None:
        super().__init__(min_batch_size=1, max_batch_size=1)
        self._path, self._spec = path, spec
        self._adapter: TensorAdapter | None = None

    def load_model(self) -> Any:
        """Returns the SavedModel; Beam calls this once per process."""
        return load_export(self._path)

    def run_inference(
        self, batch: Sequence[RowsToPredict], model: Any, inference_args: dict[str, Any] | None = None
    ) -> Iterator[Predictions]:
        """Yields the predictions of each batch of rows."""
        self._adapter = self._adapter or tensor_adapter(self._spec)
        for rows in batch:
            # Models that earlier versions exported do not count.
            predict = getattr(model, "predict_and_count", model.predict)
            outputs = predict(self._adapter.ToBatchTensors(rows.features))
            probabilities = outputs[PROBABILITY].numpy()
            is_number = ~np.isnan(probabilities)
            copied = {name: _texts(rows.rows[name], is_number) for name in self._spec.copied_columns}
            rejected = [_rejected(rows, row, self._spec) for row in np.flatnonzero(~is_number).tolist()]
            counts = _counts(outputs, self._spec) if IDS_SEEN in outputs else Counts()
            yield Predictions(rows.source, rows.numbers[is_number], copied, probabilities[is_number], rejected, counts)

    def get_num_bytes(self, batch: Sequence[RowsToPredict]) -> int:
        """Returns the size of the features in bytes; Beam's default would pickle them to measure it."""
        return sum(rows.features.nbytes for rows in batch)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_adapter": None}


def _texts(values: pa.Array, is_in: np.ndarray) -> pa.Array:
    return values.filter(pa.array(is_in)).fill_null(b"")


def _rejected(rows: RowsToPredict, row: int, spec: Spec) -> Rejected:
    """Returns a row whose probability is NaN; its raw values are those that the model reads."""
    columns: dict[str, str | None] = {**spec.copied_columns}
    columns |= {name: source.column for name, source in source_inputs(spec).items()}
    for name, field in read_fields(spec).items():
        columns[name] = spec.column_of(name)
        if isinstance(field, MultivaluedField):
            columns[weights_feature(name)] = field.weights
    values = raw_row(rows.rows, row)
    raw = {column or name: as_json(values[name]) for name, column in columns.items() if name in values}
    return Rejected(rows.source, rows.numbers[row].item(), PROBABILITY, Reason.NAN_PROBABILITY, raw)


def _counts(outputs: dict[str, tf.Tensor], spec: Spec) -> Counts:
    names = [name for name, field in spec.fields.items() if field.has_vocabulary]
    counts = Counts()
    for what, output in (("seen", IDS_SEEN), ("oov", OOV_IDS)):
        for name, number in zip(names, outputs[output].numpy().tolist(), strict=True):
            counts.sums[Counted(what, name)] = number
    return counts


def read_spec(export: str) -> Spec:
    """Returns the spec of the run that an exported model was trained on."""
    return read_resolved_spec(export_file(export, SPEC_FILE))


def read_stats(export: str) -> RunStats | None:
    """Returns the counts of the run that an exported model was trained on; None if the export has none."""
    path = export_file(export, STATS_FILE)
    if not tf.io.gfile.exists(path):
        return None
    with reading(path, "export"), tf.io.gfile.GFile(path) as file:
        return RunStats.model_validate_json(file.read())
