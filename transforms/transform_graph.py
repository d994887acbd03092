"""The graph of a transform whose vocabularies and statistics are known, without an analysis and without Beam."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os.path import join

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow.python.trackable.resource import ResourceTracker, resource_tracker_scope
from tensorflow_transform import impl_helper
from tensorflow_transform.graph_context import TFGraphContext
from tensorflow_transform.tf_metadata import metadata_io

from .known import Known
from .preprocessing import Inputs, Outputs, RawFeature, preprocessing_fn, raw_feature_spec
from .spec import Spec
from .tensors.lookup_tables import LookupTables

RAW_METADATA_FOLDER = "metadata"


def write_transform(spec: Spec, known: Known, folder: str) -> None:
    """Writes what TensorFlow Transform writes after an analysis with the same result; `tft.TFTransformOutput` reads it.

    The folder then has `transform_fn/`, a SavedModel with one asset per vocabulary, `transformed_metadata/`, the schema
    of the features, and `metadata/`, the schema of raw rows.

    Args:
        spec: The resolved spec.
        known: Vocabularies and statistics of the spec's fields.
        folder: The folder to write, on any file system that TensorFlow supports.

    Raises:
        ValueError: see `preprocessing_fn`.
    """
    raw = raw_feature_spec(spec)
    module = _traced(spec, known, raw)
    tf.saved_model.save(module, join(folder, tft.TFTransformOutput.TRANSFORM_FN_DIR))
    outputs = {
        name: tf.io.FixedLenFeature(tensor.shape[1:], tensor.dtype)
        for name, tensor in module.transform_fn.structured_outputs.items()
    }
    for part, features in ((tft.TFTransformOutput.TRANSFORMED_METADATA_DIR, outputs), (RAW_METADATA_FOLDER, raw)):
        metadata_io.write_metadata(tft.DatasetMetadata.from_feature_spec(features), join(folder, part))


def transform_function(spec: Spec, known: Known) -> Callable[[Inputs], Outputs]:
    """Returns the transform as a function in memory; nothing is written.

    Its inputs are named by `raw_feature_spec(spec, label=False)`; all are needed.

    Args:
        spec: The resolved spec.
        known: Vocabularies and statistics of the spec's fields; the function does not read the files again.

    Raises:
        ValueError: see `preprocessing_fn`.
    """
    module = _traced(spec, known, raw_feature_spec(spec, label=False))
    for resource in module.resources:
        if isinstance(resource, LookupTables):
            resource.fill()

    def transform(inputs: Inputs) -> Outputs:
        features: Outputs = module.transform_fn(inputs)  # The module also owns the lookup tables.
        return features

    return transform


def _traced(spec: Spec, known: Known, raw: Mapping[str, RawFeature]) -> tf.Module:
    """Returns a module with the attribute `transform_fn`, the transform as a concrete function, and all it needs.

    `tensorflow_transform.saved.saved_transform_io_v2` does the same, and then copies the graph without operations that
    no output needs. Here there are few of them, and the copy takes a third of the time.
    """
    module, tracker = tf.Module(), ResourceTracker()
    function = impl_helper.get_traced_transform_fn(
        preprocessing_fn(spec, known=known),
        impl_helper.get_type_specs_from_feature_specs(raw),
        TFGraphContext(module_to_export=module),
    )
    with resource_tracker_scope(tracker):
        module.transform_fn = function.get_concrete_function()
    module.resources = tracker.resources
    paths = module.transform_fn.graph.get_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS)
    # Empty vocabularies have no lookup table, but an asset.
    module.assets = [tf.saved_model.Asset(path) for path in paths]
    return module
