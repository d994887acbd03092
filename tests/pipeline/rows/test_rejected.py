"""The error that too many rows were rejected: at most six lines, with the fault of the spec if it can be guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.rows.rejected import RejectedLimit, as_json_line, why_all_rejected
from fieldpool.pipeline.sources.batches import Reason, Rejected, SourceBatch
from fieldpool.transforms.errors import TooManyRejected
from fieldpool.transforms.spec import Spec

SPEC: dict[str, Any] = {
    "label": {"field": "click"},
    "split": {"column": "part"},
    "fields": {"user": {"type": "categorical"}, "age": {"type": "numeric"}},
}
GOOD = {"click": "1", "part": "train", "user": "u", "age": "30", "time": "5"}
BY_TIME = {"split": {"time": "time", "eval_from": 6, "test_from": 7}}

# A change of the spec, a change of each row, and the remedy.
MISTAKES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {},
        {"click": "yes"},
        "is 'click' the label? `label: {field: …}` has its column. For labels other than 0 and 1, add the positive "
        "ones: `positive: [buy]`, or `positive: '>= 4'`",
    ),
    ({}, {"click": "-1"}, "For labels other than 0 and 1, add the positive ones"),
    ({"label": {"field": "click", "positive": "> 1"}}, {"click": "buy"}, "if the labels of column 'click' are texts"),
    ({}, {"click": None}, "is 'click' the label?"),
    ({}, {"age": "old"}, "is column 'age' categorical? Then set `type: categorical`"),
    ({}, {"age": "1.002,5"}, "set `source: {decimal: ',', thousands: '.'}` or `percent: true`"),
    ({}, {"part": "1"}, "state the values of column 'part': `split: {column: part, train: [a, b], …}`"),
    (
        BY_TIME,
        {"time": "31/01/2024"},
        "convert column 'time', state its format (`time_format: '%d.%m.%Y %H:%M'`), or split",
    ),
    ({}, {"user": ["u", "v"]}, "column 'user' has lists; use `type: multivalued`"),
]


def rejected_rows(changes: dict[str, Any], row: dict[str, Any], rows: int = 10) -> list[Rejected]:
    data = pa.RecordBatch.from_pylist([GOOD | row] * rows)
    return check_rows(SourceBatch("a.csv", np.arange(1, rows + 1), data), Spec.model_validate(SPEC | changes)).rejected


def error_of(rejected: list[Rejected], read: int) -> str:
    with pytest.raises(TooManyRejected) as error:
        RejectedLimit(Spec.model_validate(SPEC)).add(read, rejected)
    return str(error.value)


@pytest.mark.parametrize(("changes", "row", "remedy"), MISTAKES)
def test_if_all_rows_are_rejected_the_fault_of_the_spec_is_named(
    changes: dict[str, Any], row: dict[str, Any], remedy: str
) -> None:
    lines = error_of(rejected_rows(changes, row), 10).splitlines()
    assert (
        lines[0] == "10 of 10 rows were rejected, but max_rejected is 0 (stopped here; there may be more); the first 3:"
    )
    assert len(lines) == 6
    assert lines[-1].startswith("Nearly all rows were rejected: ")
    assert remedy in lines[-1]


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        (
            Reason.NESTED_VALUE.format(found="{'id': 1}"),
            "name a member: `column: user.name`, or `column: user[].name` in",
        ),
        (Reason.TEXT_ON_PATH, "if the texts of column 'user' are lists, add `list: json` or `list: python`"),
        (Reason.NO_LIST.format(expected="a JSON list"), "how are the lists of column 'user' written? Set `separator`,"),
    ],
)
def test_if_all_values_have_another_form_the_entry_that_helps_is_named(reason: str, remedy: str) -> None:
    rejected = [Rejected("rows.jsonl", row, "user", reason, {}) for row in (1, 2, 3)]
    assert remedy in error_of(rejected, 3)


def test_if_some_rows_are_rejected_the_spec_may_be_right() -> None:
    lines = error_of(rejected_rows({}, {"click": "yes"}, 2), 10).splitlines()
    assert lines[0] == "2 of 10 rows were rejected, but max_rejected is 0 (stopped here; there may be more):"
    assert lines[-1].startswith("Fix the data or the spec, or allow rejected rows")


def test_rows_that_are_rejected_for_different_reasons_have_no_common_remedy() -> None:
    rejected = [*rejected_rows({}, {"click": "yes"}, 1), *rejected_rows({}, {"age": "old"}, 1)]
    assert "Nearly all" not in error_of(rejected, 2)


def test_run_whose_rows_are_all_rejected_names_the_first(tmp_path: Path) -> None:
    (tmp_path / "rejected").mkdir()
    lines = map(as_json_line, rejected_rows({}, {"click": "yes"}))
    (tmp_path / "rejected/rows.jsonl").write_text("\n".join(lines), "utf-8")
    why = why_all_rejected(10, 10, str(tmp_path))
    assert why is not None
    assert why.startswith("10 of 10 rows were rejected, the first is a.csv, row 1, click: expected a label of 0 or 1")
    assert "found 'yes'; is 'click' the label?" in why
    assert why_all_rejected(10, 100, str(tmp_path)) is None


def test_if_all_rows_have_another_width_than_the_header_the_entries_of_source_are_named() -> None:
    rows = [Rejected("a.csv", row, "(row)", "expected 1 columns, found 3", {}) for row in range(1, 4)]
    assert "check `source: {delimiter: …}`, and for lines before the header `skip_rows`" in error_of(rows, 3)
