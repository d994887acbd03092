"""preprocessing_fn in a pipeline of your own: a spec as a TensorFlow Transform function, with your own schema."""

import tempfile

import apache_beam as beam
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

from fieldpool import Spec, preprocessing_fn

spec = Spec.model_validate(
    {
        "label": {"field": "label"},
        "split": {"column": "split"},  # Not used here: all rows are analyzed.
        "fields": {
            "user": {"type": "categorical"},
            "genres": {"type": "multivalued", "max_len": 3},  # A number: the width of a feature is fixed.
            "age": {"type": "numeric", "scale": "zscore"},
        },
    }
)
rows = [
    {"user": "ann", "genres": ["Drama", "War"], "age": 30.0, "label": 1.0},
    {"user": "bob", "genres": [], "age": 40.0, "label": 0.0},
    {"user": "ann", "genres": ["Drama"], "age": 50.0, "label": 1.0},
]
# Inputs are named as the fields and `label`. Lists may be sparse or ragged.
schema = tft.DatasetMetadata.from_feature_spec(
    {
        "user": tf.io.FixedLenFeature([], tf.string),
        "genres": tf.io.VarLenFeature(tf.string),
        "age": tf.io.FixedLenFeature([], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.float32),
    }
)


def main() -> None:
    """Runs the pipeline. A function, because TensorFlow Transform's graphs must be freed before Python exits."""
    with (
        tempfile.TemporaryDirectory() as folder,
        beam.Pipeline("FnApiRunner") as pipeline,
        tft_beam.Context(temp_dir=folder),
    ):
        raw = pipeline | beam.Create(rows, reshuffle=False)
        (transformed, _), _ = (raw, schema) | tft_beam.AnalyzeAndTransformDataset(preprocessing_fn(spec))
        # Ids: 0 is padding, 1 the OOV bucket, the most frequent token is 2.
        _ = transformed | beam.Map(lambda row: print(dict(sorted(row.items()))))


if __name__ == "__main__":
    main()
