"""preprocessing_fn with TensorFlow Transform's cache: the analysis of a window of days reads only new days."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import apache_beam as beam
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.beam.analysis_graph_builder import get_analysis_dataset_keys
from tensorflow_transform.beam.analyzer_cache import DatasetKey, ReadAnalysisCacheFromFS, WriteAnalysisCacheToFS

from fieldpool import Spec, preprocessing_fn

spec = Spec.model_validate(
    {
        "label": {"field": "label"},
        "split": {"column": "split"},  # Not used here: all rows are analyzed.
        "fields": {"user": {"type": "categorical", "min_count": 2}, "age": {"type": "numeric", "scale": "zscore"}},
    }
)
DAYS = {
    "2026-11-01": [{"user": "ann", "age": 30.0}, {"user": "bob", "age": 40.0}],
    "2026-11-02": [{"user": "ann", "age": 30.0}],
    "2026-11-03": [{"user": "bob", "age": 40.0}, {"user": "cem", "age": 50.0}],
}
types = {"user": tf.TensorSpec([None], tf.string), "age": tf.TensorSpec([None], tf.float32)}
schema = tft.DatasetMetadata.from_feature_spec(
    {"user": tf.io.FixedLenFeature([], tf.string), "age": tf.io.FixedLenFeature([], tf.float32)}
)


def analyze(days: Iterable[str], cache: str, out: str) -> None:
    """Writes the transform of some days to the folder `out`; adds the sums of new days to the folder `cache`."""
    preprocess = preprocessing_fn(spec)
    keys = {DatasetKey(day): day for day in days}
    with beam.Pipeline("FnApiRunner") as pipeline, tft_beam.Context(temp_dir=f"{out}/temp"):
        known = pipeline | ReadAnalysisCacheFromFS(cache, list(keys))
        needed = get_analysis_dataset_keys(preprocess, types, set(keys), known, force_tf_compat_v1=False)
        rows = {
            key: pipeline | f"Read {day}" >> beam.Create(DAYS[day], reshuffle=False) if key in needed else None
            for key, day in keys.items()
        }
        print("reads", sorted(keys[key] for key in needed))
        transform_fn, new = (rows, known, schema) | tft_beam.AnalyzeDatasetWithCache(preprocess, pipeline=pipeline)
        _ = new | WriteAnalysisCacheToFS(pipeline, cache)
        _ = transform_fn | tft_beam.WriteTransformFn(out)


def main() -> None:
    """Analyzes two days, then three. A function, because TFT's graphs must be freed before Python exits."""
    with tempfile.TemporaryDirectory() as folder:
        analyze(["2026-11-01", "2026-11-02"], f"{folder}/cache", f"{folder}/first")
        analyze(["2026-11-01", "2026-11-02", "2026-11-03"], f"{folder}/cache", f"{folder}/second")
        for out in ("first", "second"):
            # bob is frequent enough only if all three days are counted.
            print(out, Path(folder, out, "transform_fn/assets/user").read_text().split())


if __name__ == "__main__":
    main()
