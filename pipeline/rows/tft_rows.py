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
from ...transforms.values.field_values import Inputs, Values, field_values
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


def with_changed_values(rows: pa.RecordBatch, spec: Spec) -> pa.RecordBatch:
    """Returns checked rows with the values that the graph computes, so that they can be counted.

    The columns of derived fields are added, and those of normalized or limited ones replaced. They are computed by the
    function that the graph has. Crosses with `hash_buckets` have no tokens: each value is the text `#`.

    Args:
        rows: `Checked.rows`, not empty.
        spec: The spec of the rows.
    """
    part = of_changed_values(spec)
    with _TRACING:
        compute = _compute_of(_Key(part.model_dump_json(include={"fields", "vocabularies"}), part))
    return pa.RecordBatch.from_pydict(dict(zip(rows.schema.names, rows.columns, strict=True)) | compute(rows))


# Threads that check rows at the same time share one function.
_TRACING = threading.Lock()


@dataclass(frozen=True)
class _Key:
    """A spec as a key of a cache: equal if what is computed is equal."""

    computed: str
    spec: Spec = field(compare=False)


@functools.lru_cache(maxsize=8)
def _compute_of(key: _Key) -> Callable[[pa.RecordBatch], dict[str, pa.Array]]:
    """Returns the function from checked rows to the columns that the graph computes; traced once per process."""
    spec = key.spec
    adapter = tensor_adapter(spec)

    @tf.function(input_signature=[adapter.TypeSpecs()], autograph=False)  # To convert the code takes seconds.
    def changed(inputs: Mapping[str, Any]) -> dict[str, tuple[tf.Tensor, ...]]:
        values = field_values(inputs, spec)
        return {name: _parts(name, values) for name, of in spec.fields.items() if of.changes_values}

    traced = changed.get_concrete_function()

    def compute(rows: pa.RecordBatch) -> dict[str, pa.Array]:
        found = traced(adapter.ToBatchTensors(as_tft_rows(rows, spec, label=False), produce_eager_tensors=True))
        return {name: _column(*(part.numpy() for part in parts)) for name, parts in found.items()}

    return compute


def _parts(name: str, values: Values) -> tuple[tf.Tensor, ...]:
    """Returns numbers; or the text of all tokens and their lengths; for lists also the number of tokens in each row."""
    if name in values.numbers:
        return (values.numbers[name],)
    found = values.lists.get(name, values.tokens.get(name))
    if found is None:
        found = values.hashed[name]
        if isinstance(found, tf.Tensor):
            found = tf.where(tf.equal(found, 0), "", "#")
        else:
            found = found.with_flat_values(tf.fill([tf.size(found.flat_values)], "#"))
    tokens = bags.flat(found)
    text = tf.strings.reduce_join(tokens), tf.strings.length(tokens)
    return (*text, found.row_lengths()) if isinstance(found, tf.RaggedTensor) else text


def _column(values: Any, lengths: np.ndarray | None = None, rows: np.ndarray | None = None) -> pa.Array:
    """Returns the column of the parts: float32, large_binary or lists of it; null where a value is missing."""
    if lengths is None:
        return pa.array(values, mask=np.isnan(values))
    flat = pa.Array.from_buffers(columns.TEXT, len(lengths), [None, *map(pa.py_buffer, (offsets(lengths), values))])
    if rows is not None:
        return lists_of(rows, flat)
    return pc.if_else(pa.array(lengths == 0), pa.scalar(None, columns.TEXT), flat)


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
