"""The graph of a transform whose vocabularies and statistics are known, without an analysis and without Beam."""

from __future__ import annotations

from collections.abc import Callable
from os.path import join

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import impl_helper
from tensorflow_transform.graph_context import TFGraphContext
from tensorflow_transform.saved import saved_transform_io_v2
from tensorflow_transform.tf_metadata import metadata_io

from .known import Known
from .preprocessing import Inputs, Outputs, preprocessing_fn, raw_feature_spec
from .spec import Spec

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
    impl_helper.analyze_in_place(
        preprocessing_fn(spec, known=known),
        force_tf_compat_v1=False,
        feature_specs=raw,
        type_specs=impl_helper.get_type_specs_from_feature_specs(raw),
        transform_output_path=folder,
    )
    metadata_io.write_metadata(tft.DatasetMetadata.from_feature_spec(raw), join(folder, RAW_METADATA_FOLDER))


def transform_function(spec: Spec, known: Known) -> Callable[[Inputs], Outputs]:
    """Returns the transform as a function in memory; nothing is written.

    Its inputs are named by `raw_feature_spec(spec, label=False)`; all are needed.

    Args:
        spec: The resolved spec.
        known: Vocabularies and statistics of the spec's fields; the function does not read the files again.

    Raises:
        ValueError: see `preprocessing_fn`.
    """
    module = tf.Module()
    traced = impl_helper.get_traced_transform_fn(
        preprocessing_fn(spec, known=known),
        impl_helper.get_type_specs_from_feature_specs(raw_feature_spec(spec, label=False)),
        TFGraphContext(module_to_export=module),
    )
    saved_transform_io_v2.trace_and_update_module(module, traced, "transform", strip_control_dependencies=False)

    def transform(inputs: Inputs) -> Outputs:
        features: Outputs = module.transform(inputs)  # The module also owns the lookup tables.
        return features

    return transform
