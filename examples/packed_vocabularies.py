"""packed_vocabularies and lookup in a preprocessing_fn of your own: all vocabularies in one pass over the data."""

import tempfile

import apache_beam as beam
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

from fieldpool import Vocabulary, lookup, packed_vocabularies

VOCABULARIES = {"movies": Vocabulary(min_count=2), "genres": Vocabulary(num_oov_buckets=2)}


def preprocess(inputs: dict[str, tf.Tensor | tf.SparseTensor]) -> dict[str, tf.Tensor]:
    """Replaces tokens by ids. The movie and the history share a vocabulary."""
    movie = inputs["movie"]
    history, genres = (tf.RaggedTensor.from_sparse(inputs[name]) for name in ("history", "genres"))
    paths = packed_vocabularies({"movies": [movie, history], "genres": [genres]}, VOCABULARIES)
    return {
        "movie": lookup(movie, paths["movies"], num_oov_buckets=1),
        # Padded with 0, or truncated, to two values.
        "history": lookup(history, paths["movies"], num_oov_buckets=1).to_tensor(shape=[None, 2]),
        "genres": lookup(genres, paths["genres"], num_oov_buckets=2).to_tensor(shape=[None, 2]),
    }


rows = [
    {"movie": "m1", "history": ["m2", "m3"], "genres": ["Drama"]},
    {"movie": "m2", "history": ["m3"], "genres": ["Drama", "War"]},
    {"movie": "m9", "history": [], "genres": []},
]
schema = tft.DatasetMetadata.from_feature_spec(
    {
        "movie": tf.io.FixedLenFeature([], tf.string),
        "history": tf.io.VarLenFeature(tf.string),
        "genres": tf.io.VarLenFeature(tf.string),
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
        (transformed, _), _ = (raw, schema) | tft_beam.AnalyzeAndTransformDataset(preprocess)
        # m2 and m3 occur twice and have the ids 2 and 3; m1 and m9 are OOV and have the id 1.
        _ = transformed | beam.Map(lambda row: print(dict(sorted(row.items()))))


if __name__ == "__main__":
    main()
