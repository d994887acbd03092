"""TFRecords: a record that is not a tf.Example is rejected alone, and features of mixed types are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from mutated_inputs import framed

from fieldpool.pipeline.rows.columns import tokens
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.sources.readers import read_batches, usable_columns
from fieldpool.transforms.spec import Source

LISTS = {
    int: lambda value: tf.train.Feature(int64_list=tf.train.Int64List(value=[value])),
    float: lambda value: tf.train.Feature(float_list=tf.train.FloatList(value=[value])),
    bytes: lambda value: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])),
    type(None): lambda value: tf.train.Feature(),
}


def example(**values: Any) -> bytes:
    features = {name: LISTS[type(value)](value) for name, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


GOOD = example(id=7, name=b"x")


def batches(path: Path, records: list[bytes], columns: list[str]) -> list[SourceBatch]:
    path.write_bytes(framed(records))
    return list(read_batches(str(path), Source(), columns))


@pytest.mark.parametrize(
    ("record", "names", "reason"),
    [
        (b"garbage", ["id", "name"], "not a tf.Example"),
        (b"\x0a\x05\x0a", ["id", "name"], "not a tf.Example"),
        (example(id=7.0, name=b"x"), ["id", "name"], None),
        (example(id=b"7", name=b"x"), ["id", "name"], None),
        (example(id=7, name=b"x", unused=1.5), ["id", "name", "unused"], None),
        (example(id=7, name=b"x", unused=None), ["id", "name", "unused"], None),
    ],
    ids=["garbage", "truncated", "float", "text", "unread", "empty"],  # The bytes differ from process to process.
)
def test_one_unlike_record_leaves_the_others_together(
    tmp_path: Path, record: bytes, names: list[str], reason: str | None
) -> None:
    path = tmp_path / "rows.tfrecord"
    records = [example(id=7, name=b"x", unused=1)] * 500 + [record] + [GOOD] * 500
    read = batches(path, records, ["id", "name"])
    rows = {int(row) for batch in read for row in batch.numbers}
    rejected = [bad for batch in read for bad in batch.rejected]
    if reason is None:
        assert (rows, rejected) == (set(range(1, 1002)), [])
    else:
        (bad,) = rejected
        assert rows == set(range(1, 1002)) - {501}
        assert (bad.source, bad.row, bad.field) == (str(path), 501, "(row)")
        assert bad.reason == reason
    assert len(read) <= 3
    tables = [batch.data for batch in read if batch.data.num_rows]
    assert {token for data in tables for token in tokens(data["id"], "id").values.to_pylist()} == {b"7"}
    assert usable_columns([str(path)], Source()) == (sorted({*names, "unused"}), {})


def test_mixed_features_keep_their_row_numbers(tmp_path: Path) -> None:
    records = [example(id=1), example(id=b"b"), example(id=2.5), b"garbage", example(other=1), example(id=3)]
    read = batches(tmp_path / "rows.tfrecord", records, ["id"])
    found = {
        int(row): value
        for batch in read
        if batch.data.num_rows
        for row, value in zip(batch.numbers, tokens(batch.data["id"], "id").values.to_pylist(), strict=True)
    }
    assert found == {1: b"1", 2: b"b", 3: b"2.5", 5: None, 6: b"3"}


def test_features_are_found_beside_records_that_are_not_examples(tmp_path: Path) -> None:
    (tmp_path / "rows.tfrecord").write_bytes(framed([b"garbage", example(a=1), example(b=None), example(a=2.5)]))
    assert usable_columns([str(tmp_path / "rows.tfrecord")], Source()) == (["a", "b"], {})
