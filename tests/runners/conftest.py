"""Fixtures: an emulated bucket on loop-back addresses, and rows in it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystems import FileSystems
from emulated_bucket import EmulatedBucket, emulated_bucket


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedBucket]:
    """The bucket gs://pool, for Beam and TensorFlow in this process and, with its `environment`, in other processes."""
    options = FileSystems._pipeline_options
    with emulated_bucket(tmp_path) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made
    FileSystems._pipeline_options = options


@pytest.fixture
def clicks(bucket: EmulatedBucket) -> str:
    """A pattern of two Parquet files in the bucket: rows with ties, nulls, empty lists, and one without a label."""
    for part in range(2):
        ids = range(part * 100, part * 100 + 100)
        table = {
            "id": [f"r{i}" for i in ids],
            "click": [None if i == 70 else i % 2 for i in ids],
            "part": [("train", "train", "train", "eval", "test")[i % 5] for i in ids],
            "item": [f"i{i * i % 37}" if i % 7 else None for i in ids],
            "tags": [[f"t{(i + k) ** 2 % 31}" for k in range(i % 4)] for i in ids],
            "price": [None if i % 11 == 0 else (i * 37 % 101) / 7 for i in ids],
        }
        file = io.BytesIO()
        pq.write_table(pa.table(table), file, row_group_size=25)
        bucket.write(f"clicks/{part}.parquet", file.getvalue())
    return "gs://pool/clicks/*.parquet"
