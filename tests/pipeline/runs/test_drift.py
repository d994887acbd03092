"""A run's transform applied to new rows, and the comparison of new rows with a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import statistics_pb2

from fieldpool.model.run import Run
from fieldpool.pipeline.runs.drift import Finding, check, compare
from fieldpool.pipeline.runs.run_directory import TransformResult, transform
from fieldpool.transforms.run_files import NotARun
from fieldpool.transforms.runs.run_stats import RunStats
from fieldpool.transforms.spec import Spec

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drift")


def write(rows: Rows, path: Path) -> str:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


@pytest.fixture(scope="module")
def run(spec_data: dict[str, Any], rows: Rows, folder: Path) -> TransformResult:
    return transform(Spec.model_validate(spec_data), [write(rows, folder / "rows.parquet")], str(folder / "run"))


def records(run: str) -> list[bytes]:
    paths = [path for split in ("train", "eval", "test") for path in Run(run).shards(split)]
    return list(tf.data.TFRecordDataset(paths, "GZIP").as_numpy_iterator())


def assets(run: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(run).glob("transform/transform_fn/assets/*")}


def test_transform_using_a_run_on_its_own_rows_gives_the_same_records(run: TransformResult, folder: Path) -> None:
    opened = Run(run.path)
    again = transform(opened.spec, [str(folder / "rows.parquet")], str(folder / "again"), using=opened)
    assert Run(again.path).vocabulary("items") == opened.vocabulary("items")
    assert records(again.path) == records(run.path)
    assert assets(again.path) == assets(run.path)
    assert again.stats == run.stats
    assert Run(again.path).vocabulary_sizes == opened.vocabulary_sizes


def test_transform_using_a_run_makes_new_values_oov_and_needs_no_train_rows(
    run: TransformResult, rows: Rows, folder: Path
) -> None:
    new = write([row | {"part": "test", "user": "nobody", "age": 20.0} for row in rows], folder / "new.parquet")
    result = transform(Run(run.path).spec, [new], str(folder / "new"), using=Run(run.path))
    assert (result.stats.read, result.stats.test) == (6, 6)
    assert result.stats.fields["user"].oov_share("test") == 1
    ages = [tf.train.Example.FromString(r).features.feature["age"].float_list.value[0] for r in records(result.path)]
    assert ages == pytest.approx([-1.2247449] * 6)  # z-score of 20 among 20, 30, 40.
    assert assets(result.path) == assets(run.path)


def broken(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(finding.field, finding.measure) for finding in findings if finding.is_broken}


def test_check_of_a_runs_eval_rows_finds_only_their_range(run: TransformResult, rows: Rows, folder: Path) -> None:
    same = write([row for row in rows if row["part"] == "eval"], folder / "same.parquet")
    findings = check(Run(run.path), [same])
    # The age of the only eval row is 50; in train, ages are from 20 to 40.
    assert broken(findings) == {("age", "range")}
    assert not [path for path in folder.iterdir() if path.name.startswith(".work")]


def test_data_drift_is_found(run: TransformResult, rows: Rows, folder: Path) -> None:
    drifted = [
        row | {"history": ["a"] * 9, "genres": [], "age": -1.0, "click": 0, "user": None, "device": "x"} for row in rows
    ]
    findings = check(Run(run.path), [write(drifted, folder / "drifted.parquet")])
    assert broken(findings) >= {
        ("(label)", "label"),
        ("user", "missing"),
        ("genres", "missing"),
        ("history", "length"),
        ("history", "truncated"),
        ("age", "range"),
    }
    (unknown,) = [finding for finding in findings if finding.measure == "unknown"]
    assert (unknown.new, unknown.note, unknown.is_broken) == (1, "device", False)


@pytest.mark.parametrize("without", [["part"], ["click", "part"]], ids=" and ".join)
def test_new_rows_need_neither_label_nor_split(
    run: TransformResult, rows: Rows, folder: Path, without: list[str]
) -> None:
    eval_rows = [row for row in rows if row["part"] == "eval"]
    new = [{name: value for name, value in row.items() if name not in without} for row in eval_rows]
    found = check(Run(run.path), [write(new, folder / "unlabelled.parquet")])
    expected = check(Run(run.path), [write(eval_rows, folder / "labelled.parquet")])
    assert found == [finding for finding in expected if finding.measure != "label" or "click" not in without]


def stats_of(rows: int, oov: int, positives: int) -> RunStats:
    def split(number: int) -> dict[str, int]:
        return {"train": 0, "eval": number, "test": 0}

    field = {"type": "categorical", "missing": split(0), "values": split(rows)}
    field |= {"values_seen": split(rows), "oov": split(oov)}
    counts = {"read": rows, "rejected": 0, **split(rows), "positives": split(positives), "vocabularies": {}}
    return RunStats.model_validate(counts | {"fields": {"user": field}})


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        ({}, {("user", "oov")}),
        ({"oov": 0.3}, set()),
        ({"oov": None}, set()),
        ({"oov": None, "label": 0.1}, {("(label)", "label")}),
    ],
)
def test_thresholds_of_the_spec_are_applied(thresholds: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    spec = Spec.model_validate(
        {
            "label": {"field": "y"},
            "split": {"column": "s"},
            "fields": {"user": {"type": "categorical"}},
            "check": thresholds,
        }
    )
    findings = compare(stats_of(100, 10, 50), stats_of(10, 3, 6), spec, outside={})
    assert broken(findings) == expected


def test_oov_is_compared_over_the_values_that_the_model_sees(tmp_path: Path) -> None:
    spec = Spec.model_validate(
        {
            "label": {"field": "click"},
            "split": {"column": "part"},
            "fields": {
                "known": {"type": "multivalued", "separator": "|", "max_len": 1},
                "unknown": {"type": "multivalued", "separator": "|", "max_len": 20},
                "sometimes": {"type": "categorical", "missing": "oov"},
            },
        }
    )
    row = {"click": 1, "part": "train", "known": "|".join("a" * 20), "unknown": "|".join("a" * 40), "sometimes": None}
    of_run = [row, row | {"part": "eval", "unknown": "|".join("y" * 40)}]
    run = Run(transform(spec, [write(of_run, tmp_path / "run.parquet")], str(tmp_path / "run")).path)
    new = row | {"known": "|".join("z" * 20), "unknown": "|".join("y" * 20)}
    findings = check(run, [write([new], tmp_path / "new.parquet")])
    oov = {finding.field: (finding.run, finding.new) for finding in findings if finding.measure == "oov"}
    assert oov == {"known": (0, 1), "unknown": (1, 1), "sometimes": (1, 1)}
    assert {name for name, measure in broken(findings) if measure == "oov"} == {"known"}


def test_rate_that_the_run_lacks_counts_as_zero() -> None:
    spec = Spec.model_validate(
        {"label": {"field": "y"}, "split": {"column": "s"}, "fields": {"user": {"type": "categorical"}}}
    )
    findings = compare(stats_of(0, 0, 0), stats_of(10, 3, 6), spec, outside={})
    (oov,) = [finding for finding in findings if finding.measure == "oov"]
    assert (oov.run, oov.new, oov.is_broken) == (None, 0.3, True)


def test_command_prints_a_table_and_exits_with_3(
    run: TransformResult, rows: Rows, folder: Path, fieldpool: Callable[..., tuple[int, str, str]]
) -> None:
    new = write([row | {"user": "nobody"} for row in rows], folder / "nobody.parquet")
    code, out, err = fieldpool("check", run.path, new)
    assert code == 3
    assert "exceeded" in out
    assert "the new rows exceed drift thresholds (" in err

    code, out, _ = fieldpool("check", run.path, new, "--json")
    assert code == 3
    assert {"field", "measure", "run", "new", "most", "is_broken", "note"} == set(json.loads(out)[0])


def test_run_without_counts_cannot_be_compared(run: TransformResult, folder: Path) -> None:
    shutil.copytree(run.path, folder / "bare")
    (folder / "bare/stats.json").unlink()
    with pytest.raises(NotARun, match=r"bare: has no stats.json"):
        check(Run(str(folder / "bare")), [str(folder / "rows.parquet")])


def test_statistics_have_the_format_of_tfx(run: TransformResult) -> None:
    serialized = Path(run.path, "statistics/Split-train/FeatureStats.pb").read_bytes()
    (dataset,) = statistics_pb2.DatasetFeatureStatisticsList.FromString(serialized).datasets
    assert (dataset.name, dataset.num_examples) == ("train", 4)
    features = {feature.path.step[0]: feature for feature in dataset.features}
    assert list(features) == ["label", "user", "item", "history", "genres", "age"]
    age = features["age"].num_stats
    assert [age.mean, age.min, age.max, age.common_stats.num_missing] == [30, 20, 40, 1]
    assert age.std_dev == pytest.approx((200 / 3) ** 0.5)
    history = features["history"].string_stats.common_stats
    assert (history.num_non_missing, history.num_missing) == (3, 1)
    assert (history.min_num_values, history.max_num_values, history.tot_num_values) == (1, 4, 7)
    assert [stat.name for stat in features["history"].custom_stats] == ["oov_rate"]
