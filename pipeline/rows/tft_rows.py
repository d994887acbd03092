"""Checked rows as TensorFlow Transform takes them: the one place that knows their Arrow form.

A RecordBatch in the Arrow form of tf.Examples: every column is a list, a missing token is the empty text, a missing
number NaN. Columns that travel beside the features (TFT's passthrough keys) are named `__so__`: no field can be.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public.tfxio import TensorAdapter, TensorAdapterConfig
from tfx_bsl.tfxio.tensor_representation_util import InferTensorRepresentationsFromMixedSchema

from ...transforms.preprocessing import raw_feature_spec
from ...transforms.spec import Spec
from . import columns

NUMBERS = pa.large_list(pa.int64())


def as_tft_rows(
    rows: pa.RecordBatch, spec: Spec, *, label: bool = True, passthrough: Mapping[str, pa.Array] | None = None
) -> pa.RecordBatch:
    """Returns checked rows as TFT, or an exported model, takes them.

    Args:
        rows: `Checked.rows`.
        spec: Of the rows.
        label: Whether the label is among the columns: a request has none.
        passthrough: Columns that travel beside the features, one value a row.
    """
    passthrough = passthrough or {}
    names = list(raw_feature_spec(spec, label=label))
    arrays = [columns.as_lists(columns.without_nulls(rows[name])) for name in names]
    arrays += [columns.as_lists(values) for values in passthrough.values()]
    return pa.RecordBatch.from_arrays(arrays, [*names, *passthrough])


def raw_metadata(spec: Spec, *, label: bool = True) -> tft.DatasetMetadata:
    """Returns the schema of the rows that the transform takes."""
    return tft.DatasetMetadata.from_feature_spec(raw_feature_spec(spec, label=label))


def adapter_config(
    spec: Spec, *, label: bool = True, passthrough: Mapping[str, pa.DataType] | None = None
) -> TensorAdapterConfig:
    """Returns how TFT turns the RecordBatches of `as_tft_rows` into tensors.

    Args:
        spec: Of the rows.
        label: As of `as_tft_rows`.
        passthrough: Types of the columns beside the features, as lists: `columns.BAG` for texts, `NUMBERS` for int64.
    """
    features = raw_feature_spec(spec, label=label)
    arrow = {name: columns.BAG if feature.dtype == tf.string else columns.WEIGHTS for name, feature in features.items()}
    return TensorAdapterConfig(
        pa.schema(list((arrow | dict(passthrough or {})).items())),
        InferTensorRepresentationsFromMixedSchema(raw_metadata(spec, label=label).schema),
    )


def tensor_adapter(spec: Spec) -> TensorAdapter:
    """Returns what turns the RecordBatches of `as_tft_rows`, without a label, into tensors."""
    return TensorAdapter(adapter_config(spec, label=False))


def passed_through(transformed: pa.RecordBatch, name: str) -> np.ndarray:
    """Returns a column of one number a row that travelled beside the features, int64 `[rows]`."""
    return np.asarray(transformed[name].values)
