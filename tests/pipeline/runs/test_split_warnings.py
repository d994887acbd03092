"""Warnings of empty splits that the spec asks for, and time units through `transform`, `--using` and `explain`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from fieldpool.model.run import Run
from fieldpool.pipeline.reports.data_profile import profile_data
from fieldpool.pipeline.runs.dry_run import explain
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.runs.split_warnings import warn_of_empty_splits
from fieldpool.transforms.errors import FieldpoolWarning, SpecError, UserError
from fieldpool.transforms.runs.run_stats import RunStats
from fieldpool.transforms.spec import Spec, TimeSplit

TIMES = {"time": "t", "eval_from": "2024-01-08", "test_from": "2024-01-10"}


def spec_of(split: dict[str, Any]) -> Spec:
    fields = {"a": {"type": "categorical"}}
    return Spec.model_validate({"label": {"field": "y"}, "split": split, "fields": fields})


def warnings_of(split: dict[str, Any], rows: dict[str, int], found: dict[str, Any] | None = None) -> list[str]:
    counts = {"train": 5, "eval": 1, "test": 1} | rows
    stats = {**counts, "read": 7, "rejected": 0, "positives": counts, "vocabularies": {}, "fields": {}}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_empty_splits(spec_of(split), spec_of(split | (found or {})), RunStats.model_validate(stats))
    assert all(warning.category is FieldpoolWarning for warning in caught)
    return [str(warning.message) for warning in caught]


SPLITS = [
    ({"column": "s"}, {}, "no row has 'eval' in column 's'"),
    ({"column": "s", "eval": ["dev", "val"]}, {}, "no row has 'dev' or 'val' in column 's'"),
    ({"files": {"train": "a", "eval": "dev*"}}, {}, "no row is in a file that matches 'dev*'"),
    ({"hash": "u"}, {}, "the values of column 'u' are too few for a share of 0.1"),
    ({"time": "t"}, {"eval_from": 3, "test_from": 3}, "the times in column 't' are all the same, or too many rows"),
    (TIMES, {}, "no row has a time from 2024-01-08 to before 2024-01-10 in column 't'"),
]


@pytest.mark.parametrize(("split", "found", "message"), SPLITS)
def test_empty_split_that_the_spec_asks_for(split: dict[str, Any], found: dict[str, Any], message: str) -> None:
    (warning,) = warnings_of(split, {"eval": 0}, found)
    assert warning.startswith(f"the eval split is empty: {message}")
    assert warning.endswith("Compare `split` in the spec with the data")
    assert warnings_of(split, {}, found) == []


@pytest.mark.parametrize(
    "split",
    [
        {"column": "s", "eval": []},
        {"files": {"train": "a", "test": "b"}},
        {"hash": "u", "eval": 0, "test": 0.2},
        {"time": "t", "eval": 0, "test": 0.2},
        {"time": "t", "eval_from": 3, "test_from": 3},
    ],
)
def test_empty_split_that_the_spec_does_not_ask_for(split: dict[str, Any]) -> None:
    assert warnings_of(split, {"eval": 0}) == []


def test_boundaries_are_shown_without_a_fraction() -> None:
    (warning,) = warnings_of({"time": "t", "eval_from": 1704700000, "test_from": 1704800000}, {"eval": 0})
    assert "no row has a time from 1704700000 to before 1704800000 in column 't'" in warning


def test_empty_test_split() -> None:
    (warning,) = warnings_of(TIMES, {"test": 0})
    assert warning.startswith("the test split is empty: no row has a time from 2024-01-10 on in column 't'")
    assert warnings_of(TIMES | {"test_from": float("inf"), "time_unit": "s"}, {"test": 0}) == []


def rows(path: Path, times: list[Any]) -> list[str]:
    """Writes a CSV file of rows with these times, and returns its path."""
    path.write_text("y,t,a\n" + "".join(f"{i % 2},{time},x\n" for i, time in enumerate(times)))
    return [str(path)]


def test_unit_of_a_run_is_that_of_later_rows(tmp_path: Path) -> None:
    files = rows(tmp_path / "a.csv", [20240100 + day for day in range(1, 10)])
    with pytest.warns(FieldpoolWarning, match="the test split is empty: no row has a time from 2024-01-10 on"):
        transform(spec_of(TIMES), files, str(tmp_path / "run"))
    run = Run(str(tmp_path / "run"))
    assert isinstance(run.spec.split, TimeSplit)
    assert run.spec.split.time_unit == "date"
    assert [run.stats.rows(split) for split in ("train", "eval", "test")] == [7, 2, 0]
    later = rows(tmp_path / "b.csv", [20240107, 20240111])
    with warnings.catch_warnings():
        warnings.simplefilter("error", FieldpoolWarning)
        using = transform(run.spec, later, str(tmp_path / "later"), using=run)
    assert [using.stats.rows(split) for split in ("train", "eval", "test")] == [1, 0, 1]


def test_explain_and_transform_refuse_the_same_boundaries(tmp_path: Path) -> None:
    files, spec = rows(tmp_path / "a.csv", [1704067200000] * 10), spec_of({"time": "t", "eval_from": 1, "test_from": 2})
    message = "the boundaries are 1 and 2, but the column has numbers such as 1704067200000 "
    with pytest.raises(UserError, match=message):
        explain(spec, files)
    with pytest.raises(SpecError, match=message):
        transform(spec, files, str(tmp_path / "run"))


def test_explain_warns_of_rows_at_one_instant(tmp_path: Path) -> None:
    files = rows(tmp_path / "a.csv", [1704067200000] * 10)
    with pytest.warns(FieldpoolWarning, match="the test split is empty: the times in column 't' are all the same"):
        explain(spec_of({"time": "t"}), files)


def test_explain_does_not_warn_if_there_are_more_rows(tmp_path: Path) -> None:
    files = rows(tmp_path / "a.csv", range(20))
    with warnings.catch_warnings():
        warnings.simplefilter("error", FieldpoolWarning)
        explain(spec_of({"time": "t", "eval_from": 15, "test_from": 18}), files, sample=10)


def test_profile_states_the_unit_of_compact_dates(tmp_path: Path) -> None:
    text = "click,date,item\n" + "".join(
        f"{i % 3 // 2},{20240100 + 100 * (i % 12) + i % 28 + 1},i{i % 5}\n" for i in range(2000)
    )
    (tmp_path / "a.csv").write_text(text)
    found = profile_data([str(tmp_path / "a.csv")])
    assert found.proposal.spec["split"] == {"time": "date", "train": 0.8, "eval": 0.1, "test": 0.1, "time_unit": "date"}
    assert found.rows["rejected"] == 0
    assert found.rows["test"] > 0
