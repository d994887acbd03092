"""Runs an exported model in a Beam pipeline: checked rows → probabilities. Each process loads the model once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler
from tfx_bsl.public.tfxio import TensorAdapter

from ...model.export import PROBABILITY, export_file
from ...model.run import SPEC_FILE, read_resolved_spec
from ...transforms.spec import KEY_FEATURE, Spec
from ..rows.tft_rows import tensor_adapter


@dataclass(frozen=True)
class RowsToPredict:
    """Checked rows of one source.

    Attributes:
        source: The file's path.
        numbers: The row numbers in that file, int64 `[rows]`.
        features: The rows without labels, as `tft_rows.as_tft_rows` returns them.
    """

    source: str
    numbers: np.ndarray
    features: pa.RecordBatch


@dataclass(frozen=True)
class Predictions:
    """The probabilities of rows.

    Attributes:
        source: The file's path.
        numbers: The row numbers in that file, int64 `[rows]`.
        keys: The rows' keys, large_binary; None if the spec has no key.
        probabilities: float32 `[rows]`.
    """

    source: str
    numbers: np.ndarray
    keys: pa.Array | None
    probabilities: np.ndarray


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
        return tf.saved_model.load(self._path)

    def run_inference(
        self, batch: Sequence[RowsToPredict], model: Any, inference_args: dict[str, Any] | None = None
    ) -> Iterator[Predictions]:
        """Yields the predictions of each batch of rows."""
        self._adapter = self._adapter or tensor_adapter(self._spec)
        for rows in batch:
            outputs = model.predict(self._adapter.ToBatchTensors(rows.features))
            keys = rows.features[KEY_FEATURE].flatten() if self._spec.key is not None else None
            yield Predictions(rows.source, rows.numbers, keys, outputs[PROBABILITY].numpy())

    def get_num_bytes(self, batch: Sequence[RowsToPredict]) -> int:
        """Returns the size of the features in bytes; Beam's default would pickle them to measure it."""
        return sum(rows.features.nbytes for rows in batch)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_adapter": None}


def read_spec(export: str) -> Spec:
    """Returns the spec of the run that an exported model was trained on."""
    return read_resolved_spec(export_file(export, SPEC_FILE))
