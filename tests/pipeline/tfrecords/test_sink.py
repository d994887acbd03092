"""The encoder and the sink: TensorFlow reads the same values back, and equal rows make equal bytes."""

from __future__ import annotations

import gzip
import json
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.tfrecords.encoding import encode_examples, encode_tfrecords
from fieldpool.pipeline.tfrecords.sink import Examples, Shard, WriteExamples, name_shards

INTS = st.integers(-(2**63), 2**63 - 1)
ROW = st.fixed_dictionaries(
    {
        "ids": st.lists(INTS | st.integers(0, 300), max_size=5),
        "floats": st.lists(st.floats(width=32, allow_nan=False), max_size=3),
        "text": st.lists(st.binary(max_size=200), max_size=3),
    }
)
SCHEMA = pa.schema(
    [
        ("text", pa.large_list(pa.large_binary())),
        ("ids", pa.list_(pa.int64())),
        ("floats", pa.large_list(pa.float32())),
    ]
)


def batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def example(row: dict[str, Any]) -> tf.train.Example:
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                "ids": tf.train.Feature(int64_list=tf.train.Int64List(value=row["ids"])),
                "floats": tf.train.Feature(float_list=tf.train.FloatList(value=row["floats"])),
                "text": tf.train.Feature(bytes_list=tf.train.BytesList(value=row["text"])),
            }
        )
    )


def records(paths: list[Path], compression: str = "") -> list[bytes]:
    return list(tf.data.TFRecordDataset([str(path) for path in paths], compression).as_numpy_iterator())


@given(rows=st.lists(ROW, max_size=5))
@settings(max_examples=50, deadline=None)
def test_bytes_equal_those_of_protobufs_deterministic_serialisation(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("tfrecords") / "rows"
    path.write_bytes(b"".join(encode_tfrecords(batch(rows)).to_pylist()))
    expected = [example(row).SerializeToString(deterministic=True) for row in rows]
    assert records([path]) == expected


def test_slice_of_a_batch_is_encoded_like_its_rows() -> None:
    rows = [{"ids": [i], "floats": [], "text": [b"x" * i]} for i in range(5)]
    assert encode_tfrecords(batch(rows).slice(1, 3)) == encode_tfrecords(batch(rows[1:4]))


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[1, 300], [0, -1]], pa.list_(pa.int64(), 2)),
        pa.array([[1, 300], [0, -1]], pa.list_(pa.int32())),
        pa.array([[9], None, [1, 300], [], [0, -1]], pa.large_list(pa.int64())).slice(1),
    ],
    ids=["fixed_size", "int32", "null"],
)
def test_lists_of_any_arrow_type_are_encoded(values: pa.Array) -> None:
    encoded = encode_examples(pa.RecordBatch.from_arrays([values], ["ids"])).to_pylist()
    expected = [tf.train.Feature(int64_list=tf.train.Int64List(value=row or [])) for row in values.to_pylist()]
    features = [tf.train.Features(feature={"ids": feature}) for feature in expected]
    assert encoded == [tf.train.Example(features=f).SerializeToString(deterministic=True) for f in features]


@pytest.mark.parametrize("count", [0, 1, 2500])
def test_blocks_of_rows_are_encoded_one_after_the_other(count: int) -> None:
    encoded = encode_tfrecords(batch(rows(count)))
    one_by_one = [encode_tfrecords(batch(rows(count)).slice(i, 1))[0].as_py() for i in range(0, count, 99)]
    assert (len(encoded), encoded.to_pylist()[::99]) == (count, one_by_one)


def write(elements: list[Examples], folder: Path, shard_bytes: int = 1 << 20) -> list[tuple[str, int, int]]:
    (folder / "out").mkdir(parents=True)
    written: Path = folder / "written"
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = (
            pipeline
            | beam.Create(elements, reshuffle=False)
            | WriteExamples(str(folder / "out"), str(folder / "temp"), shard_bytes)
            | beam.Map(json.dumps)
            | beam.io.WriteToText(str(written), shard_name_template="")
        )
    return sorted(tuple(json.loads(line)) for line in written.read_text().splitlines())


def rows(count: int) -> list[dict[str, Any]]:
    return [{"ids": [i], "floats": [0.5], "text": [str(i).encode()]} for i in range(count)]


def examples(count: int, split: int = 0) -> Examples:
    return Examples(batch(rows(count)), np.full(count, split, np.int8))


def test_each_split_has_its_own_shards(tmp_path: Path) -> None:
    counts = write([examples(3), Examples(batch(rows(3)), np.array([0, 1, 0], np.int8))], tmp_path)
    assert counts == [("eval", 1, 1), ("train", 5, 1)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "eval-00000-of-00001.tfrecord.gz",
        "train-00000-of-00001.tfrecord.gz",
    ]
    assert len(records([tmp_path / "out/train-00000-of-00001.tfrecord.gz"], "GZIP")) == 5


def test_bundle_starts_a_new_shard_when_one_is_full(tmp_path: Path) -> None:
    batches = [Examples(batch(rows(10)).slice(i, 1), np.zeros(1, np.int8)) for i in range(10)]
    ((_, written, shards),) = write(batches, tmp_path, shard_bytes=200)
    paths = sorted((tmp_path / "out").iterdir())
    assert (written, len(paths)) == (10, shards)
    assert shards > 1
    ids = [tf.train.Example.FromString(r).features.feature["ids"].int64_list.value[0] for r in records(paths, "GZIP")]
    assert ids == list(range(10))


def test_no_temporary_file_remains(tmp_path: Path) -> None:
    write([examples(3)], tmp_path)
    assert list((tmp_path / "temp").iterdir()) == []


def test_retry_renames_the_remaining_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    shards = [Shard((0, index), str(tmp_path / f"train-{index}"), 1) for index in range(3)]
    for shard in shards:
        Path(shard.path).write_text(shard.path)
    rename = FileSystems.rename

    def die(sources: list[str], targets: list[str]) -> None:
        rename(sources[:2], targets[:2])
        monkeypatch.undo()
        raise KeyboardInterrupt

    named = partial(name_shards, ("train", shards), str(tmp_path / "out"), str(tmp_path))
    monkeypatch.setattr(FileSystems, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        named()
    assert [named(), named()] == [("train", 3, 3)] * 2
    assert [path.read_text() for path in sorted((tmp_path / "out").iterdir())] == [shard.path for shard in shards]


def test_shards_of_a_retry_with_other_bundles_replace_the_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for count in (2, 3):
        shards = [Shard((0, index), str(tmp_path / f"train-{count}-{index}"), 1) for index in range(count)]
        for shard in shards:
            Path(shard.path).write_text(shard.path)
        name_shards(("train", shards), str(tmp_path / "out"), str(tmp_path))
    assert [path.read_text() for path in sorted((tmp_path / "out").iterdir())] == [shard.path for shard in shards]


def test_equal_rows_make_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write([examples(50)], tmp_path / name)
    first, second = ((tmp_path / name / "out/train-00000-of-00001.tfrecord.gz").read_bytes() for name in ("a", "b"))
    assert first == second
    assert len(gzip.decompress(first)) > len(first)
