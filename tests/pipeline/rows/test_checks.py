"""Row checks: which rows are rejected and why; all other rows pass unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.pipeline.rows.checks import Checked, check_rows
from fieldpool.pipeline.sources.batches import Reason, SourceBatch
from fieldpool.transforms.spec import Spec
from fieldpool.transforms.spec.inputs import raw_columns

SPEC = {
    "key": "id",
    "label": {"field": "click"},
    "split": {"column": "part"},
    "fields": {
        "user": {"type": "categorical", "missing": "reject"},
        "tags": {"type": "multivalued", "separator": "|", "empty": "reject", "weights": "w"},
        "age": {"type": "numeric", "missing": "reject"},
    },
}
GOOD = {"id": "1", "click": "1", "part": "train", "user": "u", "tags": "a|b", "w": "1|2", "age": "30"}


def check(rows: list[dict[str, Any]], **changes: Any) -> Checked:
    data = pa.RecordBatch.from_pylist(rows)
    batch = SourceBatch("rows.csv", np.arange(1, len(rows) + 1), data)
    return check_rows(batch, Spec.model_validate(SPEC | changes))


def test_valid_row_passes() -> None:
    checked = check([GOOD])
    assert checked.rows.to_pylist() == [
        {
            "key": b"1",
            "label": 1.0,
            "user": b"u",
            "tags": [b"a", b"b"],
            "tags_weights": [1.0, 2.0],
            "age": 30.0,
        }
    ]
    assert (checked.read, checked.numbers.tolist(), checked.splits.tolist(), checked.rejected) == (1, [1], [0], [])


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"id": None}, "id", "the key is missing"),
        ({"click": None}, "click", "the label is missing"),
        *(
            (
                {"click": label},
                "click",
                f"{Reason.WRONG_LABEL}, found {label!r}",
            )
            for label in ("2", "yes", "True", "-1", "inf", "1e99", "0.5")
        ),
        ({"part": "training"}, "part", "expected one of 'train', 'eval', 'test', found 'training'"),
        ({"user": ""}, "user", "the value is missing, found ''"),
        ({"tags": "|", "w": "1|1"}, "tags", "the list is empty, found '|'"),
        ({"w": "1"}, "w", "expected one weight for each value of 'tags', found '1'"),
        ({"w": "1|x"}, "w", "a weight is not a finite, non-negative number, found '1|x'"),
        ({"age": "old"}, "age", "not a finite number, found 'old'"),
        ({"age": None}, "age", "the value is missing"),
    ],
)
def test_invalid_row_is_rejected_and_the_others_pass(change: dict[str, Any], field: str, reason: str) -> None:
    checked = check([GOOD, GOOD | {"id": "2"} | change, GOOD | {"id": "3"}])
    assert checked.rows["key"].to_pylist() == [b"1", b"3"]
    assert (checked.read, checked.numbers.tolist(), checked.splits.tolist()) == (3, [1, 3], [0, 0])
    (bad,) = checked.rejected
    assert (bad.source, bad.row, bad.field, bad.reason) == ("rows.csv", 2, field, reason)
    assert bad.raw == GOOD | {"id": "2"} | change


def test_row_is_rejected_only_for_its_first_fault() -> None:
    checked = check([GOOD | {"click": "5", "age": "old"}])
    assert [bad.field for bad in checked.rejected] == ["click"]


def test_label_and_split_are_ignored_for_predictions() -> None:
    data = pa.RecordBatch.from_pylist([GOOD | {"click": "5", "part": "?"}, GOOD | {"age": "old"}])
    batch = SourceBatch("rows.csv", np.array([7, 9]), data)
    checked = check_rows(batch, Spec.model_validate(SPEC), label=False, split=False)
    assert (checked.numbers.tolist(), [bad.row for bad in checked.rejected]) == ([7], [9])
    assert "label" not in checked.rows.schema.names


def test_of_split_returns_the_rows_of_one_split() -> None:
    checked = check([GOOD, GOOD | {"part": "test"}, GOOD | {"id": None}, GOOD | {"id": "4"}]).of_split("train")
    assert (checked.numbers.tolist(), checked.splits.tolist()) == ([1, 4], [0, 0])
    assert checked.rows["key"].to_pylist() == [b"1", b"4"]


def test_rejected_text_is_truncated_to_a_readable_length() -> None:
    checked = check([GOOD | {"age": "x" * 5000}])
    assert len(checked.rejected[0].raw["age"]) < 1100


def test_invalid_utf8_in_a_rejected_row_is_escaped() -> None:
    data = {key: value.encode() for key, value in GOOD.items()} | {"user": b"\xff", "age": b"old"}
    assert check([data]).rejected[0].raw["user"] == "\\xff"


def test_raw_columns_of_copied_columns_are_read_once() -> None:
    spec = Spec.model_validate(SPEC | {"key": ["id", "user"], "carry": {"market": "market", "years": "age"}})
    assert raw_columns(spec) == ["id", "user", "click", "part", "tags", "w", "age", "market"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("de", b"de"), ("", None), (None, None), (7.0, b"7"), (["de"], b"de"), (b"\xff", b"\xff")],
)
def test_a_carried_value_is_a_text_or_missing(value: Any, expected: bytes | None) -> None:
    assert check([GOOD | {"market": value}], carry=["market"]).rows["market"].to_pylist() == [expected]


@pytest.mark.parametrize("value", [["de", "fr"], "x" * 65_537], ids=["two values", "too long"])
def test_a_row_with_a_carried_value_that_does_not_fit_is_rejected(value: Any) -> None:
    (rejected,) = check([GOOD | {"market": value}], carry=["market"]).rejected
    assert rejected.field == "market"


def test_raw_columns_of_a_spec() -> None:
    assert raw_columns(Spec.model_validate(SPEC)) == ["id", "click", "part", "user", "tags", "w", "age"]
