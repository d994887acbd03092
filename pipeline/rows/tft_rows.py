"""Converts checked rows to the input of TensorFlow Transform; no other module knows their Arrow form.

The input is a RecordBatch in the Arrow form of tf.Examples: every column is a list, a missing token is the empty text,
a missing number NaN. Columns that are passed through (TFT's passthrough keys) are named `__name__`, which no field can
be.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import impl_helper
from tensorflow_transform.saved.saved_transform_io_v2 import SavedModelLoader
from tfx_bsl.public.tfxio import TensorAdapter, TensorAdapterConfig
from tfx_bsl.tfxio.tensor_representation_util import InferTensorRepresentationsFromMixedSchema

from ...transforms.preprocessing import Outputs, raw_feature_spec
from ...transforms.spec import Spec
from ...transforms.spec.inputs import of_changed_values
from ...transforms.tensors import bags
from ...transforms.values.field_values import Inputs, Values, field_values, numbers_of_tokens
from ..arrow_lists import lists_of, offsets
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
    types = {tf.string: columns.BAG, tf.float32: columns.WEIGHTS, tf.int64: NUMBERS}
    arrow = {name: types[feature.dtype] for name, feature in features.items()}
    return TensorAdapterConfig(
        pa.schema(list((arrow | dict(passthrough or {})).items())),
        InferTensorRepresentationsFromMixedSchema(raw_metadata(spec, label=label).schema),
    )


def tensor_adapter(spec: Spec) -> TensorAdapter:
    """Returns the adapter that converts the RecordBatches of `as_tft_rows`, without a label, to tensors."""
    return TensorAdapter(adapter_config(spec, label=False))


def computed_values(rows: pa.RecordBatch, spec: Spec, *, texts: bool) -> dict[str, pa.Array]:
    """Returns the columns of derived, normalized and limited fields, computed by the function that the graph has.

    See `columns.with_values`.
    """
    part = of_changed_values(spec)
    with _TRACING:
        compute = _compute_of(_Key(part.model_dump_json(include={"fields", "vocabularies"}), texts, part))
    return compute(rows)


# Threads that count rows at the same time share one function.
_TRACING = threading.Lock()


@dataclass(frozen=True)
class _Key:
    """A spec as a key of a cache: equal if what is computed is equal."""

    computed: str
    texts: bool
    spec: Spec = field(compare=False)


@functools.lru_cache(maxsize=8)
def _compute_of(key: _Key) -> Callable[[pa.RecordBatch], dict[str, pa.Array]]:
    """Returns the function from checked rows to the columns that the graph computes; traced once per process."""
    spec = key.spec
    adapter = tensor_adapter(spec)
    changed = {name: of for name, of in spec.fields.items() if of.changes_values}

    @tf.function(input_signature=[adapter.TypeSpecs()], autograph=False)  # To convert the code takes seconds.
    def parts(inputs: Mapping[str, Any]) -> dict[str, tuple[tf.Tensor, ...]]:
        values = field_values(inputs, spec)
        return {name: _parts(name, values, spec, texts=key.texts) for name in changed}

    traced = parts.get_concrete_function()

    def compute(rows: pa.RecordBatch) -> dict[str, pa.Array]:
        found = traced(adapter.ToBatchTensors(as_tft_rows(rows, spec, label=False), produce_eager_tensors=True))
        return {name: _column(changed[name].is_list, *(part.numpy() for part in found[name])) for name in changed}

    return compute


def _parts(name: str, values: Values, spec: Spec, *, texts: bool) -> tuple[tf.Tensor, ...]:
    """Returns numbers; or the number of tokens in each row and, with `texts`, the text of all and their lengths."""
    if name in values.numbers:
        return (values.numbers[name],)
    if not texts or name in values.hashed:
        return (numbers_of_tokens(name, values, spec),)
    found = values.lists.get(name, values.tokens.get(name))
    tokens = bags.flat(found)
    rows = found.row_lengths() if isinstance(found, tf.RaggedTensor) else tf.ones_like(tokens, tf.int64)
    return rows, tf.strings.reduce_join(tokens), tf.strings.length(tokens)


def _column(is_list: bool, values: np.ndarray, text: Any = None, lengths: np.ndarray | None = None) -> pa.Array:
    """Returns the column of the parts: float32, large_binary or lists of it; null where a value is missing."""
    if values.dtype == np.float32:
        return pa.array(values, mask=np.isnan(values))
    if lengths is None:
        flat = pa.repeat(pa.scalar(b"#", columns.TEXT), int(values.sum()) if is_list else len(values))
        is_missing = values == 0
    else:
        buffers = [None, *map(pa.py_buffer, (offsets(lengths), text))]
        flat = pa.Array.from_buffers(columns.TEXT, len(lengths), buffers)
        is_missing = lengths == 0
    if is_list:
        return lists_of(values, flat)
    return pc.if_else(pa.array(is_missing), pa.scalar(None, columns.TEXT), flat)


class RowTransform:
    """The transform of a run, which converts batches as TFT's `TransformDataset` does, without Beam.

    Threads may share it: TensorFlow works without Python's lock.

    Args:
        spec: The resolved spec.
        function: The transform as a function of tensors.
        features: The schema of its features.
    """

    def __init__(self, spec: Spec, function: Callable[[Inputs], Outputs], features: tft.DatasetMetadata) -> None:
        self._adapter = TensorAdapter(adapter_config(spec))
        self._function = function
        self._converter = impl_helper.make_tensor_to_arrow_converter(features.schema)

    @classmethod
    def saved(cls, spec: Spec, folder: str) -> RowTransform:
        """Returns the transform in the `transform/` folder of a run."""
        saved = tft.TFTransformOutput(folder)
        loader = SavedModelLoader(saved.transform_savedmodel_dir)
        loader.finalize(set(adapter_config(spec).tensor_representations), set(loader.structured_outputs))
        return cls(spec, loader.apply_transform_model, saved.transformed_metadata)

    def __call__(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Returns the features of rows from `as_tft_rows`, in the Arrow form of tf.Examples."""
        tensors = self._adapter.ToBatchTensors(rows, produce_eager_tensors=True)
        return self._converter.convert(self._function(tensors))


def passed_through(transformed: pa.RecordBatch, name: str) -> np.ndarray:
    """Returns a passthrough column of one number a row, int64 `[rows]`."""
    return np.asarray(transformed[name].values)
