"""Files as a source of a Beam pipeline."""

from __future__ import annotations

import random
from pathlib import Path
from uuid import UUID

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from fieldpool.pipeline.rows.read_rows import ReadBatches
from fieldpool.pipeline.sources.files import FileStamp, find_files
from fieldpool.transforms.spec import Source


def test_file_names_with_wildcards_are_read_literally(tmp_path: Path) -> None:
    for name in ("a[1].csv", "b*.csv"):
        (tmp_path / name).write_text(f"id\n{name}\n")
    files = find_files([str(tmp_path / "*.csv")])
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        ids = pipeline | ReadBatches(files, Source(), ["id"]) | beam.FlatMap(lambda batch: batch.data["id"].to_pylist())
        assert_that(ids, equal_to([b"a[1].csv", b"b*.csv"]))


def test_pipeline_of_ten_thousand_files_is_small() -> None:
    """Dataflow's limit is 10 MB, and a transform reads its files twice."""
    some = random.Random(0)
    files = [
        FileStamp(
            f"gs://some-pool/clicks/2026/11/24/part-{part:05d}-{UUID(int=some.getrandbits(128))}.snappy.parquet",
            some.randrange(1 << 30),
            1.8e9 + some.random(),
        )
        for part in range(10_000)
    ]
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | ReadBatches(files, Source(), ["id"])
    assert len(pipeline.to_runner_api().SerializeToString()) < 500_000
