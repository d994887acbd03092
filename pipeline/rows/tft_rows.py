"""Converts checked rows to the input of TensorFlow Transform; no other module knows their Arrow form.

The input is a RecordBatch in the Arrow form of tf.Examples: every column is a list, a missing token is the empty text,
a missing number NaN. Columns that are passed through (TFT's passthrough keys) are named `__name__`, which no field can
be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import impl_helper
from tensorflow_transform.saved.saved_transform_io_v2 import SavedModelLoader
from tfx_bsl.public.tfxio import TensorAdapter, TensorAdapterConfig
from tfx_bsl.tfxio.tensor_representation_util import InferTensorRepresentationsFromMixedSchema

from ...transforms.preprocessing import Inputs, Outputs, raw_feature_spec
from ...transforms.spec import Spec
from . import columns

NUMBERS = pa.large_list(pa.int64())


def as_tft_rows(
    rows: pa.RecordBatch, spec: Spec, *, label: bool = True, passthrough: Mapping[str, pa.Array] | None = None
) -> pa.RecordBatch:
    """Returns checked rows as input of TFT or of an exported model.

    Args:
        rows: `Checked.rows`.
        spec: The spec of the rows.
        label: Whether to include the label and its weight; a prediction request has none.
        passthrough: Columns to pass through beside the features, one value a row.
    """
    passthrough = passthrough or {}
    names = list(raw_feature_spec(spec, label=label))
    arrays = [columns.as_lists(columns.without_nulls(rows[name])) for name in names]
    arrays += [columns.as_lists(values) for values in passthrough.values()]
    return pa.RecordBatch.from_arrays(arrays, [*names, *passthrough])


def without_labels(rows: pa.RecordBatch, spec: Spec) -> pa.RecordBatch:
    """Returns checked rows with zeros as labels, and as their weights: the transform needs all of its inputs."""
    zeros = pa.array(np.zeros(rows.num_rows, np.float32))
    for name in spec.label.features:
        rows = rows.append_column(name, zeros)
    return rows


def raw_metadata(spec: Spec, *, label: bool = True) -> tft.DatasetMetadata:
    """Returns the schema of the rows that the transform takes."""
    return tft.DatasetMetadata.from_feature_spec(raw_feature_spec(spec, label=label))


def adapter_config(
    spec: Spec, *, label: bool = True, passthrough: Mapping[str, pa.DataType] | None = None
) -> TensorAdapterConfig:
    """Returns the configuration with which TFT converts the RecordBatches of `as_tft_rows` to tensors.

    Args:
        spec: The spec of the rows.
        label: As in `as_tft_rows`.
        passthrough: Types of the passthrough columns, as lists: `columns.BAG` for texts, `NUMBERS` for int64.
    """
    features = raw_feature_spec(spec, label=label)
    arrow = {name: columns.BAG if feature.dtype == tf.string else columns.WEIGHTS for name, feature in features.items()}
    return TensorAdapterConfig(
        pa.schema(list((arrow | dict(passthrough or {})).items())),
        InferTensorRepresentationsFromMixedSchema(raw_metadata(spec, label=label).schema),
    )


def tensor_adapter(spec: Spec) -> TensorAdapter:
    """Returns the adapter that converts the RecordBatches of `as_tft_rows`, without a label, to tensors."""
    return TensorAdapter(adapter_config(spec, label=False))


class SavedTransform:
    """The transform of a run, which converts batches as TFT's `TransformDataset` does, without Beam.

    Threads may share it: TensorFlow works without Python's lock.

    Args:
        spec: The resolved spec.
        folder: The `transform/` folder of a run.
        function: The transform as a function of tensors, if this process has it; default: it is loaded.
    """

    def __init__(self, spec: Spec, folder: str, function: Callable[[Inputs], Outputs] | None = None) -> None:
        config = adapter_config(spec)
        saved = tft.TFTransformOutput(folder)
        self._adapter = TensorAdapter(config)
        self._function = function or _loaded(saved.transform_savedmodel_dir, set(config.tensor_representations))
        self._converter = impl_helper.make_tensor_to_arrow_converter(saved.transformed_metadata.schema)

    def __call__(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Returns the features of rows from `as_tft_rows`, in the Arrow form of tf.Examples."""
        tensors = self._adapter.ToBatchTensors(rows, produce_eager_tensors=True)
        return self._converter.convert(self._function(tensors))


def _loaded(folder: str, inputs: set[str]) -> Callable[[Inputs], Outputs]:
    loader = SavedModelLoader(folder)
    loader.finalize(inputs, set(loader.structured_outputs))
    function: Callable[[Inputs], Outputs] = loader.apply_transform_model
    return function


def passed_through(transformed: pa.RecordBatch, name: str) -> np.ndarray:
    """Returns a passthrough column of one number a row, int64 `[rows]`."""
    return np.asarray(transformed[name].values)
