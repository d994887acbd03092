"""`transform` on a few rows: the contents of a run, byte for byte, from files of every format."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from fieldpool.model.examples import feature_spec
from fieldpool.model.run import Run
from fieldpool.pipeline.rows.rejected import read_rejected
from fieldpool.pipeline.runs.run_directory import TransformResult, transform
from fieldpool.pipeline.sources.batches import Reason
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.run_files import NotARun
from fieldpool.transforms.spec import Spec

Rows = list[dict[str, Any]]

# Digests of the records before compression. They must change only when the format is changed on purpose.
GOLDEN_RECORDS = {
    "train": "18dd869d8ac591bd",
    "eval": "1d47d4f57e725e66",
    "test": "2dabf1d6b6f5d811",
}


def write(rows: Rows, folder: Path, name: str) -> str:
    """Writes rows in the format of the name's extension; returns the path."""
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif name.endswith(".tfrecord"):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in rows:
                writer.write(_example(row).SerializeToString())
    else:
        flat = [{k: "|".join(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]
        with (gzip.open if name.endswith(".gz") else open)(path, "wt", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(flat)
    return str(path)


def _example(row: dict[str, Any]) -> tf.train.Example:
    features = {}
    for name, value in row.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        if name == "click":
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        elif name == "age":
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode() for v in values]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def records(run: str) -> dict[str, list[bytes]]:
    shards = {split: Run(run).shards(split) for split in ("train", "eval", "test")}
    return {split: list(tf.data.TFRecordDataset(paths, "GZIP").as_numpy_iterator()) for split, paths in shards.items()}


@pytest.fixture(scope="module")
def result(spec_data: dict[str, Any], rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> TransformResult:
    folder = tmp_path_factory.mktemp("run")
    return transform(Spec.model_validate(spec_data), [write(rows, folder, "rows.parquet")], str(folder / "run"))


def test_layout(result: TransformResult) -> None:
    files = {str(path.relative_to(result.path)) for path in Path(result.path).rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith("transform/transform_fn/")} == {
        "DONE",
        "spec.yaml",
        "stats.json",
        "examples/train-00000-of-00001.tfrecord.gz",
        "examples/eval-00000-of-00001.tfrecord.gz",
        "examples/test-00000-of-00001.tfrecord.gz",
        "statistics/Split-train/FeatureStats.pb",
        "statistics/Split-eval/FeatureStats.pb",
        "statistics/Split-test/FeatureStats.pb",
        "transform/metadata/schema.pbtxt",
        "transform/transformed_metadata/schema.pbtxt",
        "vocabulary_counts/user",
        "vocabulary_counts/items",
        "vocabulary_counts/genres",
    }
    assert {Path(name).name for name in files if "/assets/" in name} == {"user", "items", "genres"}
    assert {path.name for path in Path(result.path).iterdir() if path.is_dir()} == {
        "examples",
        "statistics",
        "transform",
        "vocabulary_counts",
    }


def test_vocabularies_are_built_from_train_rows_only(result: TransformResult) -> None:
    run = Run(result.path)
    # item: a b a c; history, its last three: b | c b a | - | a b.
    assert run.tokens("items") == [b"a", b"b", b"c"]
    assert run.tokens("genres") == [b"y", b"x", b"z"]
    assert run.tokens("user") == [b"u1", b"u2"]
    assert run.vocabulary_sizes == {"user": 4, "items": 6, "genres": 5}


def test_a_vocabulary_shows_how_often_train_has_each_token(result: TransformResult) -> None:
    run = Run(result.path)
    assert run.vocabulary("history").to_pydict() == {"token": ["a", "b", "c"], "id": [3, 4, 5], "count": [4, 4, 2]}
    assert run.vocabulary("genres").to_pydict() == {"token": ["y", "x", "z"], "id": [2, 3, 4], "count": [3, 2, 1]}


def test_examples_have_the_expected_ids(result: TransformResult) -> None:
    run = Run(result.path)
    parsed = [tf.io.parse_single_example(r, feature_spec(run.spec)) for r in records(result.path)["train"]]
    assert [example["key"].numpy() for example in parsed] == [b"r1", b"r2", b"r3", b"r4"]
    assert [example["user"].numpy() for example in parsed] == [2, 3, 0, 2]
    assert [example["item"].numpy() for example in parsed] == [3, 4, 3, 5]
    assert [example["history"].numpy().tolist() for example in parsed] == [
        [4, 0, 0],
        [5, 4, 3],
        [0, 0, 0],
        [3, 4, 0],
    ]
    assert [example["genres"].numpy().tolist() for example in parsed] == [
        [3, 2, 0],
        [0, 0, 0],
        [2, 0, 0],
        [2, 4, 3],
    ]


def test_open_lengths_are_resolved(result: TransformResult) -> None:
    assert Run(result.path).spec == result.spec
    assert result.spec.fields["genres"].max_len == 3  # type: ignore[union-attr]


def test_stats_have_the_expected_counts(result: TransformResult) -> None:
    stats = json.loads(Path(result.path, "stats.json").read_text())
    assert stats == result.stats.as_json()
    assert [stats[k] for k in ("read", "train", "eval", "test", "rejected")] == [6, 4, 1, 1, 0]
    assert stats["positives"] == {"train": 2, "eval": 1, "test": 0}
    assert stats["vocabularies"]["items"] == {"distinct": 3, "tokens": 3}
    assert stats["fields"]["history"] == {
        "type": "multivalued",
        "vocabulary": "items",
        "empty": {"train": 1, "eval": 0, "test": 0},
        "values": {"train": 7, "eval": 1, "test": 4},
        "values_seen": {"train": 6, "eval": 1, "test": 3},
        "oov": {"train": 0, "eval": 1, "test": 0},
        "max_len": 3,
        "values_truncated": {"train": 1, "eval": 0, "test": 1},
        "rows_truncated": {"train": 1, "eval": 0, "test": 1},
        "lengths": {"train": {"0": 1, "1": 1, "2": 1, "4": 1}, "eval": {"1": 1}, "test": {"4": 1}},
    }
    assert stats["fields"]["user"]["missing"] == {"train": 1, "eval": 0, "test": 0}


def test_records_match_the_golden_digests(result: TransformResult) -> None:
    digests = {s: hashlib.sha256(b"".join(r)).hexdigest()[:16] for s, r in records(result.path).items()}
    assert digests == GOLDEN_RECORDS


def test_tft_reads_the_run(result: TransformResult) -> None:
    output = tft.TFTransformOutput(f"{result.path}/transform")
    assert output.transformed_feature_spec() == feature_spec(result.spec)
    assert sorted(output.raw_feature_spec()) == ["age", "genres", "history", "item", "key", "label", "user"]
    assert output.vocabulary_by_name("items") == [b"a", b"b", b"c"]


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.jsonl", "rows.tfrecord"])
def test_every_format_gives_the_same_records(
    result: TransformResult, spec_data: dict[str, Any], rows: Rows, tmp_path: Path, name: str
) -> None:
    lists = {"separator": "|"}
    fields = {k: v | lists if v["type"] == "multivalued" else v for k, v in spec_data["fields"].items()}
    spec = Spec.model_validate(spec_data | {"fields": fields})
    other = transform(spec, [write(rows, tmp_path, name)], str(tmp_path / "run"))
    assert records(other.path) == records(result.path)
    assert other.stats == result.stats


def test_several_files_and_a_time_split(spec_data: dict[str, Any], rows: Rows, tmp_path: Path) -> None:
    timed = [row | {"at": f"2024-01-0{i + 1}T12:00:00"} for i, row in enumerate(rows)]
    write(timed[:3], tmp_path, "a.csv")
    write(timed[3:], tmp_path, "b.csv")
    split = {"time": "at", "train": 0.5, "eval": 0.25, "test": 0.25}
    spec = Spec.model_validate(spec_data | {"split": split, "source": {"null_values": ["NA"]}})
    result = transform(spec, [str(tmp_path / "*.csv")], str(tmp_path / "run"))
    assert (result.stats.train, result.stats.eval, result.stats.test) == (3, 1, 2)


@pytest.fixture
def with_bad_rows(rows: Rows, tmp_path: Path) -> str:
    bad = [rows[0] | {"id": "bad", "click": 7}, rows[0] | {"id": None}]
    return write([*rows[:2], *bad, *rows[2:]], tmp_path, "rows.csv")


def test_invalid_rows_fail_the_run_by_default(spec_data: dict[str, Any], with_bad_rows: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        transform(Spec.model_validate(spec_data), [with_bad_rows], str(tmp_path / "run"))
    assert "2 of 8 rows were rejected" in str(error.value)
    assert f"{with_bad_rows}  3    click  {Reason.WRONG_LABEL}, found '7'" in str(error.value)
    assert not (tmp_path / "run").exists()


def test_invalid_rows_are_rejected_if_allowed(spec_data: dict[str, Any], with_bad_rows: str, tmp_path: Path) -> None:
    spec = Spec.model_validate(spec_data | {"max_rejected": 0.5})
    result = transform(spec, [with_bad_rows], str(tmp_path / "run"))
    assert (result.stats.read, result.stats.train, result.stats.rejected) == (8, 4, 2)
    assert [(row["row"], row["field"]) for row in read_rejected(result.path)] == [(3, "click"), (4, "id")]
    assert next(read_rejected(result.path))["raw"]["id"] == "bad"


def test_existing_target_is_not_changed(spec_data: dict[str, Any], rows: Rows, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/precious").touch()
    with pytest.raises(UserError, match="exists already"):
        transform(Spec.model_validate(spec_data), [write(rows, tmp_path, "rows.csv")], str(tmp_path / "run"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["precious"]


def test_data_without_train_rows_is_an_error(spec_data: dict[str, Any], rows: Rows, tmp_path: Path) -> None:
    path = write([row | {"part": "eval"} for row in rows], tmp_path, "rows.parquet")
    with pytest.raises(UserError, match="no row is in the train split"):
        transform(Spec.model_validate(spec_data), [path], str(tmp_path / "run"))


def test_error_in_a_worker_is_reported_without_its_traceback(
    spec_data: dict[str, Any], rows: Rows, tmp_path: Path
) -> None:
    write(rows, tmp_path, "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1\x15, damaged")
    with pytest.raises(UserError) as error:
        transform(Spec.model_validate(spec_data), [str(tmp_path / "*.parquet")], str(tmp_path / "run"))
    assert str(error.value).startswith(f"{tmp_path}/b.parquet: cannot be read as parquet")
    assert "while running" not in str(error.value)


@pytest.mark.parametrize("finished", [True, False])
def test_folder_without_done_is_not_a_run(tmp_path: Path, finished: bool) -> None:
    target = tmp_path if finished else tmp_path / "nothing"
    with pytest.raises(NotARun, match="not a run" if finished else "no such folder"):
        Run(str(target))
