"""PreprocessClickLog in a Beam pipeline of your own: rows from anywhere in, examples to anywhere out."""

import tempfile

import apache_beam as beam
import pyarrow as pa
import tensorflow_transform.beam as tft_beam

from fieldpool import PreprocessClickLog, Spec

spec = Spec.model_validate(
    {
        "label": {"field": "clicked"},
        "split": {"column": "part"},
        "fields": {
            "user": {"type": "categorical"},
            "genres": {"type": "multivalued", "separator": "|", "max_len": 3},  # A number, not `auto`.
        },
    }
)
# Arrow RecordBatches, from any source of your pipeline.
batch = pa.RecordBatch.from_pylist(
    [
        {"user": "ann", "genres": "Drama|War", "clicked": 1, "part": "train"},
        {"user": "bob", "genres": "", "clicked": 0, "part": "train"},
        {"user": "eve", "genres": "War", "clicked": 0, "part": "test"},
        {"user": "ann", "genres": "War", "clicked": 7, "part": "train"},
    ]
)


def main() -> None:
    """Runs the pipeline. A function, because TensorFlow Transform's graphs must be freed before Python exits."""
    with tempfile.TemporaryDirectory() as folder, beam.Pipeline("FnApiRunner") as pipeline:
        rows = pipeline | beam.Create([batch], reshuffle=False)
        result = rows | PreprocessClickLog(spec, temp_dir=f"{folder}/tft")
        # `rows` is a RecordBatch of lists, `splits` has 0 for train, 1 for eval, 2 for test.
        _ = result["examples"] | beam.Map(lambda examples: print(examples.rows.to_pylist(), examples.splits))
        _ = result["rejected"] | beam.Map(lambda row: print(f"Rejected row {row.row}: {row.field}: {row.reason}"))
        _ = result["transform_fn"] | tft_beam.WriteTransformFn(f"{folder}/transform")


if __name__ == "__main__":
    main()
