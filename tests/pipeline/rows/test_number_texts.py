"""Texts as numbers, with the decimal and thousands signs of `source` and with percent signs."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.rows import columns
from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.rows.texts import NumberRule, numbers_of
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.transforms.spec import Source, Spec
from fieldpool.transforms.spec.inputs import raw_columns

GERMAN, FRENCH, SWISS = NumberRule(",", "."), NumberRule(",", " "), NumberRule(".", "'")
RULES = [NumberRule(), NumberRule(",", None), NumberRule(".", ","), GERMAN, FRENCH, SWISS]


def read(text: str | bytes, rule: NumberRule) -> float | None:
    """Returns the number in a text, None if it is not one."""
    raw = text.encode() if isinstance(text, str) else text
    values, bad = numbers_of(pa.array([raw], pa.large_binary()), rule)
    return None if bad[0] else values[0].as_py()


@pytest.mark.parametrize(
    ("text", "rule", "number"),
    [
        ("12,5", GERMAN, 12.5),
        ("1.002,50", GERMAN, 1002.5),
        ("-1.234.567", GERMAN, -1234567.0),
        (" +1,002.50 ", NumberRule(".", ","), 1002.5),
        ("1002.50", NumberRule(".", ","), 1002.5),
        ("1,002.5e1", NumberRule(".", ","), 10025.0),
        ("1 002,5", FRENCH, 1002.5),
        ("1\u00a0002\u202f003,5", FRENCH, 1002003.5),
        ("1'002.5", SWISS, 1002.5),
        ("1’002.5", SWISS, 1002.5),
        (",5", GERMAN, 0.5),
        ("5,", GERMAN, 5.0),
        ("1e3", GERMAN, 1000.0),
        ("3%", NumberRule(percent=True), 0.03),
        ("-1.250,5 %", NumberRule(",", ".", percent=True), -12.505),
        ("0.03", NumberRule(percent=True), 0.03),
        ("7.%", NumberRule(percent=True), 0.07),
    ],
)
def test_number_is_read_by_the_rule(text: str, rule: NumberRule, number: float) -> None:
    assert read(text, rule) == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("12.5", NumberRule(",", None)),
        ("12.5", GERMAN),
        ("12,5", NumberRule()),
        ("12,5", SWISS),
        ("1,2,3", NumberRule(".", ",")),
        ("1,2,3", NumberRule(",", None)),
        ("1,0000", NumberRule(".", ",")),
        ("1000,000", NumberRule(".", ",")),
        ("0,123", NumberRule(".", ",")),
        (",123", NumberRule(".", ",")),
        ("1,,234", NumberRule(".", ",")),
        ("1,234.567,890", NumberRule(".", ",")),
        ("1.5,000", NumberRule(".", ",")),
        ("1 2", FRENCH),
        ("3%", NumberRule()),
        ("3%%", NumberRule(percent=True)),
        ("%", NumberRule(percent=True)),
        ("nan%", NumberRule(percent=True)),
        ("inf %", NumberRule(percent=True)),
        (b"1\xff", GERMAN),
        ("1_000", GERMAN),
        ("x", GERMAN),
    ],
)
def test_other_text_is_not_a_number(text: str | bytes, rule: NumberRule) -> None:
    assert read(text, rule) is None


@pytest.mark.parametrize("text", ["", "  ", None])
def test_blank_text_is_missing_and_typed_numbers_ignore_the_rule(text: str | None) -> None:
    rule = NumberRule(",", ".", percent=True)
    assert columns.numbers(pa.array([text, "1,5", "x"]), "c", rule).values.to_pylist() == [None, 1.5, None]
    assert columns.numbers(pa.array([1.5, None]), "c", rule).values.to_pylist() == [1.5, None]
    assert columns.numbers(pa.array([["1,5"], []]), "c", rule).values.to_pylist() == [1.5, None]


def parsed(text: str, rule: NumberRule) -> float | None:
    """Reads a number character by character: the second opinion."""
    text, by = text.strip(), 1
    if rule.percent and text.endswith("%"):
        text, by = text[:-1].rstrip(), 100
        if text[-1:] not in {*"0123456789.,"}:
            return None
    whole, *fraction = re.split(r"[eE]", text)[0].split(rule.decimal)
    groups = whole.lstrip("+-").split(rule.thousands) if rule.thousands else [whole.lstrip("+-")]
    are_good = all(group.isdigit() for group in groups) or groups == [""]
    if len(groups) > 1:
        are_good = 1 <= len(groups[0]) <= 3 and groups[0][0] != "0" and all(len(group) == 3 for group in groups[1:])
    if not are_good or len(fraction) > 1 or any(character in text[len(whole) + 1 :] for character in "., '"):
        return None
    try:
        return float(whole.replace(rule.thousands or "x", "") + text[len(whole) :].replace(rule.decimal, ".")) / by
    except ValueError:
        return None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.from_regex(r"\A[+-]?[0-9]{0,3}([.,' ]?[0-9]{3}){0,2}([.,][0-9]{0,4})?(e2)?%?\Z"), min_size=1),
    st.sampled_from(RULES),
    st.booleans(),
)
@example(["1,234", "1.234", "1.234,5", "1,234.5"], GERMAN, False)
def test_numbers_are_those_of_a_second_parser(texts: list[str], rule: NumberRule, percent: bool) -> None:
    rule = NumberRule(rule.decimal, rule.thousands, percent)
    values, bad = numbers_of(pa.array([text.encode() for text in texts], pa.large_binary()), rule)
    found = [None if is_bad else value for value, is_bad in zip(values.to_pylist(), bad.tolist(), strict=True)]
    expected = [parsed(text, rule) if text.strip() else None for text in texts]
    assert [None if text.strip() == "" else value for text, value in zip(texts, found, strict=True)] == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e9, 1e9).map(lambda x: round(x, 3)), min_size=1), st.sampled_from(RULES))
def test_well_formed_numbers_are_those_of_pandas(numbers: list[float], rule: NumberRule) -> None:
    signs = str.maketrans({",": rule.thousands or "", ".": rule.decimal})
    texts = [f"{number:,.3f}".translate(signs) for number in numbers]
    values, bad = numbers_of(pa.array([text.encode() for text in texts], pa.large_binary()), rule)
    table = pd.read_csv(
        io.StringIO("\n".join(texts)), sep=";", header=None, decimal=rule.decimal, thousands=rule.thousands,
        quoting=3, float_precision="round_trip",
    )  # fmt: skip
    assert not bad.any()
    assert values.to_pylist() == table[0].astype(float).tolist() == numbers


def spec(**source: Any) -> Spec:
    fields = {
        "price": {"type": "numeric"},
        "share": {"type": "numeric", "percent": True},
        "tags": {"type": "multivalued", "separator": "|", "weights": "w"},
    }
    return Spec.model_validate({"label": {"field": "y"}, "split": {"hash": "u"}, "fields": fields, "source": source})


def test_numbers_of_fields_weights_and_labels_are_read_by_the_rule(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("u;price;share;tags;w;y\na;1.002,5;3,5 %;x|y;0,5|1;1,0\nb;1.2;1;x;1;0\nc;1;2%;x;0.5;0\nd;;;;;0,0\n")
    rules = spec(delimiter=";", decimal=",", thousands=".")
    (batch,) = read_batches(str(path), rules.source, raw_columns(rules))
    checked = check_rows(batch, rules, split=False)
    assert checked.rows["price"].to_pylist() == [1002.5, None]
    assert checked.rows["share"].to_pylist() == [pytest.approx(0.035), None]
    assert [name for name in checked.rows.schema.names if checked.rows[name].to_pylist() == [[0.5, 1.0], []]]
    assert [(row.row, row.field, row.reason.split(",")[0]) for row in checked.rejected] == [
        (2, "price", "not a finite number"),
        (3, "w", "a weight is not a finite"),
    ]


def test_comparison_of_labels_is_by_the_rule(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('u,r\na,"1,5"\nb,"0,9"\nc,1\n')
    rules = Spec.model_validate(
        {
            "label": {"field": "r", "positive": ">= 1"},
            "split": {"hash": "u"},
            "fields": {"u": {"type": "categorical"}},
            "source": {"decimal": ","},
        }
    )
    (batch,) = read_batches(str(path), rules.source, raw_columns(rules))
    assert np.asarray(check_rows(batch, rules, split=False).rows["label"]).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"thousands": "."}, r"must differ; found '.' in both; for 1.002,50, set `decimal: ','`"),
        ({"thousands": ",", "decimal": ","}, "must differ"),
        ({"decimal": ",", "delimiter": ",", "quote": "none"}, "`decimal`: expected another sign than delimiter"),
        ({"thousands": "'", "quote": "'"}, "`thousands`: expected another sign than .* quote"),
        ({"thousands": "_"}, "Input should be"),
    ],
)
def test_signs_that_cannot_be_distinguished_are_errors(source: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source.model_validate(source)


def test_signs_are_of_all_formats() -> None:
    assert Source(format="jsonl", decimal=",").decimal == ","
