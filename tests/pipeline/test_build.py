"""The PTransform on its own, in a Beam pipeline that is not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.testing.util import assert_that, equal_to

from fieldpool.pipeline.build import PreprocessClickLog
from fieldpool.transforms.spec import Spec


def test_record_batches_become_examples(spec_data: dict[str, Any], rows: list[dict[str, Any]], tmp_path: Path) -> None:
    fields = spec_data["fields"] | {"genres": {"type": "multivalued", "max_len": 2}}
    spec = Spec.model_validate(spec_data | {"fields": fields})
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
        assert_that(reasons, equal_to([(3, "expected a label of 0 or 1, found 3")]), label="rejected")
        read = result["counts"] | beam.Map(lambda counts: (counts["rows", "train"], counts["rejected",]))
        assert_that(read, equal_to([(4, 1)]), label="counts")
