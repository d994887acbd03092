"""The weights of rows: what is a weight, and which rows are rejected for theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.spec_file import parse_spec
from fieldpool.transforms.errors import SpecError
from fieldpool.transforms.spec import Spec
from fieldpool.transforms.spec.inputs import feature_columns, raw_columns

DATA: dict[str, Any] = {
    "label": {"field": "y", "weight": "w"},
    "split": {"hash": "u"},
    "fields": {"u": {"type": "categorical"}},
}
SPEC = Spec.model_validate(DATA)
MISSING, WRONG = "the weight of the row is missing", "expected a finite, non-negative number as the weight of the row"


def weights(values: pa.Array, spec: Spec = SPEC) -> list[float | str]:
    """Returns the weight of each row, or the reason for which it is rejected."""
    n = len(values)
    data = pa.RecordBatch.from_arrays([pa.array([1] * n), values, pa.array(["u"] * n)], ["y", "w", "u"])
    checked = check_rows(SourceBatch("a.csv", np.arange(1, n + 1), data), spec)
    found: dict[int, Any] = {}
    if checked.rows.num_rows:
        assert checked.rows["label_weight"].type == pa.float32()
        found = dict(zip(checked.numbers.tolist(), checked.rows["label_weight"].to_pylist(), strict=True))
    rejected = {row.row: row.reason.partition(", found")[0] for row in checked.rejected}
    assert all(row.field == "w" for row in checked.rejected)
    return [(found | rejected)[row] for row in range(1, n + 1)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([0, 2, -1, None]), [0.0, 2.0, WRONG, MISSING]),
        (pa.array([0.5, float("inf"), 1e39, float("nan")]), [0.5, WRONG, WRONG, MISSING]),
        (pa.array(["0.25", "-0.1", "much", " "]), [0.25, WRONG, WRONG, MISSING]),
        (pa.array([True, False]), [1.0, 0.0]),
        (pa.array([[2.0], [], [-2.0], [1.0, 2.0]]), [2.0, MISSING, WRONG, "expected a single value"]),
        (pa.nulls(2), [MISSING, MISSING]),
    ],
    ids=["integers", "floats", "texts", "booleans", "lists", "no values"],
)
def test_weights_are_finite_numbers_of_0_or_more(values: pa.Array, expected: list[float | str]) -> None:
    assert weights(values) == expected


def test_weights_are_read_as_the_source_writes_numbers() -> None:
    spec = Spec.model_validate(DATA | {"source": {"decimal": ","}})
    assert weights(pa.array(["0,5", "1.5"]), spec) == [0.5, WRONG]


def test_columns_of_the_weight_are_read_with_the_label_only() -> None:
    assert raw_columns(SPEC) == ["y", "w", "u"]
    assert raw_columns(SPEC, label=False) == feature_columns(SPEC) == ["u"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": {"field": "y", "weight": "y"}}, "label: weight: expected another column than the label, found 'y'"),
        ({"fields": {"label_weight": {"type": "numeric"}}}, "the name `label_weight` is taken"),
        (
            {"source": {"explode": {"column": "w", "into": "(?P<u>.+)"}}},
            "label.weight: expected a column of exploded rows",
        ),
    ],
)
def test_weights_that_cannot_be_right_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match="spec is not valid") as error:
        parse_spec(DATA | changes, "spec.yaml")
    assert message in str(error.value)


def test_fields_may_be_named_label_weight_if_rows_have_no_weight() -> None:
    spec = parse_spec({**DATA, "label": {"field": "y"}, "fields": {"label_weight": {"type": "numeric"}}}, "spec.yaml")
    assert list(spec.fields) == ["label_weight"]
