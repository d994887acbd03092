"""The graph of a transform whose vocabularies and statistics are known, without an analysis and without Beam."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os.path import join

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow.python.trackable.resource import ResourceTracker, resource_tracker_scope
from tensorflow_transform import impl_helper
from tensorflow_transform.tf_metadata import metadata_io

from .known import Known
from .preprocessing import Outputs, RawFeature, preprocessing_fn, raw_feature_spec
from .spec import Spec
from .tensors.lookup_tables import LookupTables
from .values.field_values import Inputs

RAW_METADATA_FOLDER = "metadata"


class TransformGraph:
    """The transform of a spec with known vocabularies and statistics: it can be applied at once, and written.

    Args:
        spec: The resolved spec.
        known: Vocabularies and statistics of the spec's fields.
        label: Whether the label and its weight are inputs.

    Raises:
        ValueError: see `preprocessing_fn`.
    """

    def __init__(self, spec: Spec, known: Known, *, label: bool = True) -> None:
        raw = raw_feature_spec(spec)
        self._raw = {name: feature for name, feature in raw.items() if label or name not in spec.label.features}
        self._module = _traced(spec, known, self._raw)

    def write(self, folder: str) -> None:
        """Writes what TensorFlow Transform writes after an analysis with the same result, for `tft.TFTransformOutput`.

        The folder then has `transform_fn/`, a SavedModel with one asset per vocabulary, `transformed_metadata/`, the
        schema of the features, and `metadata/`, the schema of raw rows.

        Args:
            folder: The folder to write, on any file system that TensorFlow supports.
        """
        tf.saved_model.save(self._module, join(folder, tft.TFTransformOutput.TRANSFORM_FN_DIR))
        raw = tft.DatasetMetadata.from_feature_spec(self._raw)
        metadata = {tft.TFTransformOutput.TRANSFORMED_METADATA_DIR: self.metadata(), RAW_METADATA_FOLDER: raw}
        for part, of_part in metadata.items():
            metadata_io.write_metadata(of_part, join(folder, part))

    def metadata(self) -> tft.DatasetMetadata:
        """Returns the schema of the features."""
        outputs = self._module.transform_fn.structured_outputs
        features = {name: tf.io.FixedLenFeature(tensor.shape[1:], tensor.dtype) for name, tensor in outputs.items()}
        return tft.DatasetMetadata.from_feature_spec(features)

    def function(self) -> Callable[[Inputs], Outputs]:
        """Reads the vocabularies, and returns the transform as a function.

        It computes what the SavedModel does, which takes seconds to load if it has hundreds of fields. Its inputs are
        named by `raw_feature_spec`; all are needed.
        """
        for resource in self._module.resources:
            if isinstance(resource, LookupTables):
                resource.fill()

        def transform(inputs: Inputs) -> Outputs:
            features: Outputs = self._module.transform_fn(inputs)  # The module also owns the lookup tables.
            return features

        return transform


def _traced(spec: Spec, known: Known, raw: Mapping[str, RawFeature]) -> tf.Module:
    """Returns a module with the attribute `transform_fn`, the transform as a concrete function, and all it needs.

    `tensorflow_transform.saved.saved_transform_io_v2` does the same, and then copies the graph without operations that
    no output needs. Here there are few of them, and the copy takes a third of the time.
    """
    preprocess, module, tracker = preprocessing_fn(spec, known=known), tf.Module(), ResourceTracker()
    signature = impl_helper.get_type_specs_from_feature_specs(raw)
    with resource_tracker_scope(tracker):
        # Called through a lambda: TensorFlow would add the arguments of a partial function to the signature.
        function = tf.function(lambda inputs: preprocess(inputs), input_signature=[signature], autograph=False)
        module.transform_fn = function.get_concrete_function()
    module.resources = tracker.resources
    # The lookup tables have assets of their own, but empty vocabularies have none.
    paths = module.transform_fn.graph.get_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS)
    module.assets = [tf.saved_model.Asset(path) for path in paths if not tf.io.gfile.stat(path.numpy()).length]
    return module
