"""The proposed spec: the field proposed for each kind of column."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from fieldpool.pipeline.reports.spec_proposal import Proposal, propose
from fieldpool.transforms.errors import UserError

Columns = dict[str, list[Any]]
# Columns that replace those of `log_columns`; None leaves one out.
Change = dict[str, list[Any] | None]


def proposed(
    log_columns: Columns, change: Change | None = None, files: list[str] | None = None, label: str | None = None
) -> Proposal:
    table = {name: values for name, values in {**log_columns, **(change or {})}.items() if values is not None}
    return propose(pa.table(table), files or ["rows.parquet"], label=label)


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("user_id", {"type": "categorical"}),
        ("item_id", {"type": "categorical", "vocabulary": "item_vocabulary"}),
        ("history", {"type": "multivalued", "max_len": "auto", "vocabulary": "item_vocabulary"}),
        ("genres", {"type": "multivalued", "separator": "|", "max_len": "auto"}),
        ("hour", {"type": "categorical"}),
        ("age", {"type": "numeric", "scale": "zscore"}),
        ("price", {"type": "numeric", "scale": "log1p"}),
        ("country", {"type": "categorical"}),
    ],
)
def test_column_becomes_field_with_reasons(log_columns: Columns, field: str, settings: dict[str, Any]) -> None:
    proposal = proposed(log_columns)
    assert proposal.spec["fields"][field] == settings
    assert proposal.reasons[field]


def test_key_label_and_time_are_found(log_columns: Columns) -> None:
    spec = proposed(log_columns).spec
    assert (spec["key"], spec["label"], spec["split"]["time"]) == ("row_id", {"field": "clicked"}, "created_at")


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("rating", "each value always has the same label: it leaks the label"),
        ("session_text", "a different value in every row"),
        ("constant", "the same value in every row"),
        ("nothing", "no row of the sample has a value"),
    ],
)
def test_column_that_is_useless_or_leaks_the_label_is_left_out(log_columns: Columns, column: str, reason: str) -> None:
    proposal = proposed(log_columns)
    assert reason in proposal.left_out[column]
    assert column not in proposal.spec["fields"]


@pytest.mark.parametrize(
    ("change", "files", "split"),
    [
        ({"part": ["train", "dev", "test", "train"] * 100}, [], {"column": "part", "eval": ["dev"]}),
        (
            {"created_at": None},
            ["a/train.csv", "a/dev.csv", "a/test.csv"],
            {"files": {"train": "train.csv", "eval": "dev.csv", "test": "test.csv"}},
        ),
        ({"created_at": None}, ["rows.csv"], {"hash": "user_id", "train": 0.8, "eval": 0.1, "test": 0.1}),
        ({"created_at": None, "user_id": None}, [], {"hash": "row_id", "train": 0.8, "eval": 0.1, "test": 0.1}),
    ],
    ids=["column", "files", "user", "key"],
)
def test_split_without_time_is_by_column_files_user_or_key(
    log_columns: Columns, change: Change, files: list[str], split: dict[str, Any]
) -> None:
    assert proposed(log_columns, change, files).spec["split"] == split


def test_few_very_long_lists_are_truncated(log_columns: Columns) -> None:
    lists = [["a"] * (200 if i % 200 == 0 else 4) for i in range(400)]
    assert proposed(log_columns, {"history": lists}).spec["fields"]["history"] == {
        "type": "multivalued",
        "max_len": 4,
        "keep": "last",
    }


def test_min_count_makes_few_values_oov(log_columns: Columns) -> None:
    lists = [[f"x{(i + 5 * row) % 1500}" for i in range(400)] for row in range(400)]
    lists[0] = [f"once{i}" for i in range(100)]
    proposal = proposed(log_columns, {"tags": lists})
    assert proposal.spec["fields"]["tags"]["min_count"] == 10
    assert "100 tokens occur fewer than 10 times: 0.1% of the values" in proposal.reasons["tags"]


def test_invalid_field_name_is_replaced_and_kept_as_column(log_columns: Columns) -> None:
    proposal = proposed(log_columns, {"home country": log_columns["country"]})
    assert proposal.spec["fields"]["home_country"] == {"type": "categorical", "column": "home country"}


@pytest.mark.parametrize(
    ("change", "label", "message"),
    [
        ({"clicked": [2] * 400}, None, "no label found: no column of .* has both 0 and 1 and no other values"),
        ({}, "country", "--label country: expected a column that has both 0 and 1"),
        ({}, "kliked", "--label kliked: no such column; expected one of row_id, clicked"),
    ],
)
def test_missing_label_is_reported(log_columns: Columns, change: Change, label: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        proposed(log_columns, change, label=label)
