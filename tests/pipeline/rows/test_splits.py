"""Assignment of rows to splits."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fieldpool.pipeline.rows.splits import assign_splits, check_files
from fieldpool.pipeline.rows.times import read_times
from fieldpool.pipeline.sources.batches import SourceBatch, raw_row
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import SPLITS, Spec


def splits(split: dict[str, Any], column: pa.Array, source: str = "data/rows.csv") -> list[str | None]:
    batch = SourceBatch(source, np.arange(len(column)), pa.RecordBatch.from_arrays([column], ["s"]))
    return [None if code < 0 else SPLITS[code] for code in assign_splits(batch, spec_of(split)).codes]


def spec_of(split: dict[str, Any]) -> Spec:
    return Spec.model_validate({"label": {"field": "y"}, "split": split, "fields": {"a": {"type": "categorical"}}})


def test_split_by_column() -> None:
    assert splits({"column": "s"}, pa.array(["train", "test", "eval", "?", None])) == [
        "train",
        "test",
        "eval",
        None,
        None,
    ]


def test_split_by_column_with_other_names() -> None:
    by = {"column": "s", "train": ["0", "1"], "eval": ["2"], "test": ["3"]}
    assert splits(by, pa.array([0, 1, 2, 3])) == ["train", "train", "eval", "test"]


@pytest.mark.parametrize(("source", "expected"), [("x/train-1.csv", "train"), ("gs://b/dev.csv", "eval")])
def test_split_by_file(source: str, expected: str) -> None:
    by = {"files": {"train": "train-*.csv", "eval": "dev.csv"}}
    assert splits(by, pa.array([1, 2]), source) == [expected] * 2


def test_file_that_matches_no_pattern_is_an_error() -> None:
    with pytest.raises(UserError, match=r"other.csv: matches no pattern"):
        splits({"files": {"train": "train.csv"}}, pa.array([1]), "other.csv")


def test_file_of_two_splits_is_an_error() -> None:
    by = {"files": {"train": "*.csv", "eval": "dev*.csv"}}
    message = re.escape("a/dev1.csv: matches the patterns of train ('*.csv') and eval ('dev*.csv') in split.files")
    with pytest.raises(UserError, match=message):
        splits(by, pa.array([1]), "a/dev1.csv")
    with pytest.raises(UserError, match=message):
        check_files(["a/train.csv", "a/dev1.csv"], spec_of(by))


def test_split_by_hash_keeps_equal_values_together_and_meets_the_shares() -> None:
    users = pa.array([f"user {i % 10_000}" for i in range(20_000)])
    got = splits({"hash": "s", "train": 0.7, "eval": 0.2, "test": 0.1}, users)
    assert got[:10_000] == got[10_000:]
    shares = [got.count(split) / len(got) for split in SPLITS]
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.02)


def test_split_by_hash_never_changes() -> None:
    """Rows must not move from train to test in a new version of fieldpool."""
    users = pa.array(["ann", "bob", "cleo", "dan", "eve", "fay", "gus", "hal"])
    half = {"train": 0.5, "eval": 0.25, "test": 0.25}
    golden = ["train", "test", "eval", "test", "train", "test", "train", "train"]
    assert splits({"hash": "s"} | half, users) == golden
    assert splits({"hash": "s", "salt": "another"} | half, users) != golden


def test_row_without_a_value_to_hash_has_no_split() -> None:
    assert splits({"hash": "s"}, pa.array([None, ""])) == [None, None]


@pytest.mark.parametrize(
    ("eval_from", "test_from", "column"),
    [
        (20, 30, pa.array([10, 20, 29, 30, None])),
        (20, 30, pa.array(["10", "20", "29.5", "30", "later"])),
        (
            "2024-01-02",
            "2024-01-03",
            pa.array(["2024-01-01", "2024-01-02", "2024-01-02T23:59:59Z", "2024-01-03", ""]),
        ),
        (
            "2024-01-02",
            "2024-01-03",
            pa.array(np.array(["2024-01-01", "2024-01-02", "2024-01-02T12:00", "2024-01-03", "NaT"], "datetime64[ms]")),
        ),
    ],
)
def test_split_by_time(eval_from: float | str, test_from: float | str, column: pa.Array) -> None:
    by = {"time": "s", "eval_from": eval_from, "test_from": test_from}
    assert splits(by, column) == ["train", "eval", "eval", "test", None]


def test_times_with_a_time_zone_are_compared_in_utc() -> None:
    texts = pa.array(["2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00Z", "2024-01-01"])
    assert len(set(read_times(texts, "t").values.tolist())) == 1


def extreme_texts() -> list[str]:
    return [
        "0001-01-01T00:00:00+05:00",  # In UTC in the year 0.
        "0001-01-01",
        "2024-01-31T10:00:00.123456499Z",
        "2024-01-31T10:00:00.1234565Z",
        "2024-01-31T12:00:00.123458+02:00",
        "9999-12-31",
        "9999-12-31T23:59:59.999Z",
        "9999-12-31T23:59:59-05:00",  # In UTC in the year 10000.
    ]


def test_times_of_all_years_are_in_order() -> None:
    values = read_times(pa.array(extreme_texts()), "t").values
    assert np.all(np.diff(values) > 0)


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("zone", [None, "America/New_York", "Mars/Olympus"])
def test_timestamps_of_all_years_are_in_order(unit: str, zone: str | None) -> None:
    far = [
        -(2**62),
        *np.array(["0001-01-01", "2024-01-31", "9999-12-31"], f"datetime64[{unit}]").astype(int).tolist(),
        2**62,
    ]
    column = pa.array([*far, None], pa.timestamp(unit, zone))
    values = read_times(column, "t").values
    assert np.all(np.diff(values[:-1]) > 0)
    assert np.isnan(values[-1])
    by = {"time": "s", "eval_from": "0001-01-01", "test_from": "9999-12-31"}
    assert splits(by, column) == ["train", "eval", "eval", "test", "test", None]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_dates_of_all_years_are_in_order(kind: pa.DataType) -> None:
    days = pa.array([-(2**31), -719162, 0, 2932896, 2**31 - 1], pa.int32())
    column = days.view(kind) if kind == pa.date32() else pc.multiply(days.cast(pa.int64()), 86_400_000).view(kind)
    by = {"time": "s", "eval_from": "0001-01-01", "test_from": "9999-12-31"}
    assert splits(by, column) == ["train", "eval", "eval", "test", "test"]


def test_nanoseconds_are_rounded_to_the_same_microsecond_in_every_form() -> None:
    nanoseconds = [1_706_695_200_123_456_499, 1_706_695_200_123_456_500, 1_706_695_200_123_456_999]
    texts = [f"2024-01-31T10:00:00.{number % 10**9:09d}Z" for number in nanoseconds]
    expected = [1_706_695_200.123456, 1_706_695_200.123457, 1_706_695_200.123457]
    for column in (pa.array(nanoseconds, pa.timestamp("ns")), pa.array(texts)):
        assert read_times(column, "t").values.tolist() == expected


@pytest.mark.parametrize("zone", [None, "Mars/Olympus", "+05:30"])
def test_rejected_row_with_a_time_that_python_cannot_represent_is_shown(zone: str | None) -> None:
    column = pa.array([2**62], pa.timestamp("s", zone))
    raw = raw_row(pa.RecordBatch.from_arrays([column], ["t"]), 0)
    assert raw == {"t": f"<value out of range: {2**62}>"}


def splits_of_columns(split: dict[str, Any], **table: list[Any]) -> list[str | None]:
    data = pa.RecordBatch.from_pydict(table)
    codes = assign_splits(SourceBatch("rows.csv", np.arange(data.num_rows), data), spec_of(split)).codes
    return [None if code < 0 else SPLITS[code] for code in codes]


def test_split_by_the_hash_of_several_columns_depends_on_all_of_them() -> None:
    users, items = [i // 20 for i in range(400)], [i % 20 for i in range(400)]
    found = splits_of_columns({"hash": ["user", "item"]}, user=users, item=items)
    assert found == splits_of_columns({"hash": ["user", "item"]}, user=users, item=[str(item) for item in items])
    in_train = {user for user, split in zip(users, found, strict=True) if split == "train"}
    assert in_train == set(users)
    assert 0.7 < found.count("train") / 400 < 0.9


def test_hash_of_one_listed_column_is_that_of_the_column() -> None:
    values = list(range(100))
    assert splits_of_columns({"hash": ["s"]}, s=values) == splits({"hash": "s"}, pa.array(values))


def test_row_is_only_rejected_if_all_columns_to_hash_are_missing() -> None:
    found = splits_of_columns({"hash": ["a", "b"]}, a=["x", None, None], b=[None, "y", ""])
    assert [split is None for split in found] == [False, False, True]


def test_lists_are_hashed_as_a_whole_and_lists_of_one_value_like_the_value() -> None:
    lists = [[f"a{i}"] if i % 2 else [f"a{i}", "b"] for i in range(100)]
    found = splits({"hash": "s"}, pa.array(lists))
    assert found[1::2] == splits({"hash": "s"}, pa.array([f"a{i}" for i in range(1, 100, 2)]))
    assert None not in found
    assert splits({"hash": "s"}, pa.array([[], None], pa.list_(pa.string()))) == [None, None]
