"""`PreprocessClickLog` in a Beam pipeline that fieldpool did not create."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow_transform.beam as tft_beam
from apache_beam.testing.util import assert_that, equal_to

from fieldpool.pipeline.runs.preprocess import PreprocessClickLog
from fieldpool.pipeline.sources.batches import Reason
from fieldpool.transforms.spec import Spec


def test_record_batches_become_examples(spec_data: dict[str, Any], rows: list[dict[str, Any]], tmp_path: Path) -> None:
    # The ages of train are 20, 30 and 40, those of eval and test 50 and 10: 2.4 standard deviations from the mean.
    fields = {"genres": {"type": "multivalued", "max_len": 2}, "age": {"type": "numeric", "clip": 2}}
    spec = Spec.model_validate(spec_data | {"fields": spec_data["fields"] | fields})
    bad = rows[0] | {"click": 3}
    batches = [pa.RecordBatch.from_pylist(rows[:4]), pa.RecordBatch.from_pylist([*rows[4:], bad])]

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        result = pipeline | beam.Create(batches, reshuffle=False) | PreprocessClickLog(spec, str(tmp_path))
        genres = result["examples"] | beam.MapTuple(lambda rows, splits: (splits.tolist(), rows["genres"].to_pylist()))
        assert_that(
            genres,
            equal_to([([0, 0, 0, 0], [[3, 2], [0, 0], [2, 0], [2, 4]]), ([1, 2], [[3, 0], [1, 2]])]),
            label="examples",
        )
        reasons = result["rejected"] | beam.Map(lambda row: (row.row, row.reason))
        assert_that(
            reasons,
            equal_to([(3, f"{Reason.WRONG_LABEL}, found 3")]),
            label="rejected",
        )
        read = result["counts"] | beam.Map(lambda counts: (counts.of("rows", split="train"), counts.of("rejected")))
        assert_that(read, equal_to([(4, 1)]), label="counts")
        clipped = result["counts"] | "Clipped" >> beam.Map(
            lambda counts: [counts.of("clipped", "age", split) for split in ("train", "eval", "test")]
        )
        assert_that(clipped, equal_to([[0, 1, 1]]), label="clipped")


def test_deep_copies_are_disabled_even_if_the_context_enables_them(
    spec_data: dict[str, Any], rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    """A deep copy includes an upstream reshuffle, which breaks the job on runners that need the reshuffle."""
    fields = {"genres": {"type": "multivalued", "max_len": 2}, "age": {"type": "numeric"}}
    spec = Spec.model_validate(spec_data | {"fields": fields, "vocabularies": {}})
    with (
        tft_beam.Context(temp_dir=str(tmp_path), use_deep_copy_optimization=True),
        beam.Pipeline(runner="FnApiRunner") as pipeline,
    ):
        batches = pipeline | beam.Create([pa.RecordBatch.from_pylist(rows)]) | beam.Reshuffle()
        examples = (batches | PreprocessClickLog(spec, str(tmp_path)))["examples"] | beam.Map(
            lambda made: len(made.splits)
        )
        assert_that(examples, equal_to([6]))
    assert len(pipeline.applied_labels) > 50
    assert [label for label in pipeline.applied_labels if ".Copy" in label] == []
