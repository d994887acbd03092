"""Labels by the rule `positive`: words, and comparisons with a number."""

from __future__ import annotations

import datetime
import operator
import random
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.pipeline.rows.checks import Checked, check_rows
from fieldpool.pipeline.runs.split_warnings import warn_of_no_positives
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.spec_file import dump_spec, parse_spec, parse_yaml
from fieldpool.transforms.errors import FieldpoolWarning, SpecError
from fieldpool.transforms.runs.run_stats import RunStats
from fieldpool.transforms.spec import Spec


def data_of(positive: Any) -> dict[str, Any]:
    label = {"field": "y"} if positive is None else {"field": "y", "positive": positive}
    return {"label": label, "split": {"hash": "u"}, "fields": {"u": {"type": "categorical"}}}


def check(positive: Any, values: pa.Array) -> Checked:
    data = pa.RecordBatch.from_arrays([values, pa.array(["u"] * len(values))], ["y", "u"])
    return check_rows(SourceBatch("a.csv", np.arange(1, len(values) + 1), data), Spec.model_validate(data_of(positive)))


def labels(positive: Any, values: pa.Array) -> list[float | None]:
    """Returns the label of each row, None for rejected rows."""
    checked = check(positive, values)
    found = dict(zip(checked.numbers.tolist(), checked.rows["label"].to_pylist(), strict=True))
    return [found.get(row) for row in range(1, len(values) + 1)]


@pytest.mark.parametrize(
    ("positive", "values"),
    [
        (["addtocart", "buy"], pa.array(["buy", "view", "addtocart", " buy"])),
        (["true"], pa.array([True, False, True, False])),
        (["1", "2"], pa.array([1, 3, 2, 0])),
        (["1"], pa.array([1.0, 0.0, 1.0, 1.5])),
        (["2024-01-31"], pa.array([datetime.date(2024, 1, 31), datetime.date(2024, 2, 1)] * 2)),
        (["buy"], pa.array([["buy"], ["view"], ["buy"], ["x"]])),
        (["\xff"], pa.array(["\xff".encode(), b"\xff", "\xff".encode(), b"x"])),
        (["a"], pa.array(["a", "b", "a", "b"]).dictionary_encode()),
    ],
    ids=["text", "boolean", "integer", "float", "date", "list of one", "bytes", "dictionary"],
)
def test_words_are_compared_with_the_texts_of_tokens(positive: list[str], values: pa.Array) -> None:
    assert labels(positive, values) == [1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("positive", "expected"),
    [
        (">= 4", [0, 0, 1, 1]),
        ("> 4", [0, 0, 0, 1]),
        ("<=4", [1, 1, 1, 0]),
        (" < 4 ", [1, 1, 0, 0]),
        (">= 1e0", [0, 1, 1, 1]),
        (">= -1.5", [1, 1, 1, 1]),
    ],
)
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.int8(), pa.int64(), pa.float16(), pa.float32(), pa.float64()], ids=str
)
def test_numbers_are_compared(positive: str, expected: list[float], kind: pa.DataType) -> None:
    assert labels(positive, pa.array([-1, 3, 4, 5]).cast(kind)) == expected


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.float16(), pa.float32(), pa.float64(), pa.list_(pa.float32())], ids=str
)
def test_bound_has_the_precision_of_the_column(kind: pa.DataType) -> None:
    values = [[4.1]] if pa.types.is_list(kind) else ["4.1"] if kind == pa.string() else [np.float64(4.1)]
    column = pa.array(values) if kind == pa.string() else pa.array(values).cast(kind)
    assert (labels(">= 4.1", column), labels("> 4.1", column)) == ([1.0], [0.0])


def test_large_integers_are_not_rounded_to_float32() -> None:
    assert labels("> 16777216", pa.array([16777216, 16777217])) == [0.0, 1.0]


@pytest.mark.parametrize("positive", [["buy"], ">= 4"], ids=str)
def test_missing_labels_are_rejected(positive: Any) -> None:
    values = pa.array(["", None, "4"])
    assert [(row.row, row.reason) for row in check(positive, values).rejected] == [
        (1, "the label is missing, found ''"),
        (2, "the label is missing"),
    ]


def test_text_is_not_a_label_for_a_comparison() -> None:
    assert [(row.row, row.reason) for row in check(">= 4", pa.array(["5", "good", "inf"])).rejected] == [
        (2, "expected a number for label.positive '>= 4', found 'good'"),
        (3, "expected a number for label.positive '>= 4', found 'inf'"),
    ]


@pytest.mark.parametrize("positive", [None, ["a"], ">= 4"], ids=str)
def test_list_of_several_values_is_not_a_label(positive: Any) -> None:
    (row,) = check(positive, pa.array([["1", "1"]])).rejected
    assert row.reason == "expected a single value, found ['1', '1']"


def test_comparison_agrees_with_python() -> None:
    draw = random.Random(7)
    operators = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
    for _ in range(300):
        values = [draw.choice([draw.uniform(-3, 3), float(draw.randint(-3, 3)), 1e-9]) for _ in range(5)]
        sign, bound = draw.choice(list(operators)), draw.choice([*values, draw.uniform(-3, 3)])
        expected = [float(operators[sign](value, bound)) for value in values]
        assert labels(f"{sign} {bound!r}", pa.array(values)) == expected
        assert labels(f"{sign} {bound!r}", pa.array([repr(value) for value in values])) == expected


@pytest.mark.parametrize(
    ("positive", "message"),
    [
        ("buy", "label.positive: expected a list of texts such as [buy], or a comparison with a number such as '>= 4'"),
        ("== 4", "(operators >=, >, <=, <), found '== 4'"),
        (">= inf", "found '>= inf'"),
        (">= 1e999", "found '>= 1e999'"),
        (">= nan", "found '>= nan'"),
        ("", "found ''"),
        ([], "label.positive: expected at least 1 item"),
        ([""], "label.positive: expected texts, found ''; an empty text is a missing label, whose row is rejected"),
        ([1], "label.positive.0: expected a text (found 1; texts like this need quotes)"),
        ([True], "label.positive.0: expected a text (found true; YAML reads yes, no, on and off as booleans"),
        (4, "label.positive: expected a list or a text (found 4"),
    ],
)
def test_wrong_rule_is_refused(positive: Any, message: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_spec(data_of(positive), "spec.yaml")
    assert message in str(error.value)


@pytest.mark.parametrize("positive", [["buy", "1"], ">= 4"], ids=str)
def test_rule_is_kept_in_the_spec_of_a_run(positive: Any) -> None:
    spec = parse_spec(data_of(positive), "spec.yaml")
    assert parse_spec(parse_yaml(dump_spec(spec), "run"), "run") == spec


def test_column_of_a_field_cannot_be_the_label() -> None:
    with pytest.raises(SpecError, match="reads the label's column 'y'"):
        parse_spec(data_of(">= 4") | {"fields": {"y": {"type": "numeric"}}}, "spec.yaml")


@pytest.mark.parametrize(
    ("positive", "rule"), [(None, "y"), (["a", "b"], "y: a, b"), (">= 4", "y >= 4")], ids=["0 or 1", "words", "number"]
)
def test_log_without_positives_is_reported(positive: Any, rule: str) -> None:
    spec = Spec.model_validate(data_of(positive))
    counts = {"train": 5, "eval": 0, "test": 0}
    stats = {**counts, "read": 5, "rejected": 0, "vocabularies": {}, "fields": {}}
    with pytest.warns(FieldpoolWarning, match=rf"no row has a positive label \(column {rule}\)"):
        warn_of_no_positives(spec, RunStats.model_validate(stats | {"positives": counts | {"train": 0}}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_no_positives(spec, RunStats.model_validate(stats | {"positives": counts | {"train": 1}}))
