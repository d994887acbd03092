"""The proposed label: 0 and 1 are found; other values of a given column get a rule of positive labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.pipeline.proposal.column_sample import ColumnSample
from fieldpool.pipeline.proposal.labels import ProposedLabel, propose_label
from fieldpool.pipeline.proposal.spec_proposal import propose
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Label, Spec


def proposed(values: Any) -> ProposedLabel:
    found = propose_label({"event": ColumnSample("event", pa.array(values))}, "event")
    assert found is not None
    Label.model_validate(found.settings)
    return found


@pytest.mark.parametrize(
    ("words", "positive"),
    [
        (["view", "view", "addtocart", "transaction"], ["addtocart", "transaction"]),
        (["pv", "pv", "buy", "cart", "fav"], ["buy", "cart", "fav"]),
        (["View", "Add to cart", "View"], ["Add to cart"]),
        (["page_view", "page_view", "teleport"], ["teleport"]),
        (["clicks", "clicks", "buys"], ["buys"]),
        (["True", "False", "False"], ["True"]),
        (["t", "f"], ["t"]),
        (["yes", "no"], ["yes"]),
        (["-1", "+1", "no label"], ["+1"]),
        (["blue", "blue", "red"], ["red"]),
        (["ja", "ja", "nein"], ["ja"]),
        (["VRAI", "VRAI", "FAUX"], ["VRAI"]),
        (["да", "да", "нет"], ["да"]),
    ],
)
def test_positive_words_are_those_that_mean_yes_else_the_others_else_the_rarest(
    words: list[str], positive: list[str]
) -> None:
    assert proposed(words).settings == {"field": "event", "positive": positive}


@pytest.mark.parametrize(
    ("numbers", "rule"),
    [
        ([1, 2, 3, 4, 5] * 3, ">= 4"),
        ([0.5 * i for i in range(1, 11)], ">= 4"),
        (list(range(1, 11)), ">= 8"),
        (["1", "2", "3", "4", "5"], ">= 4"),
        ([-1, 1, -1], ">= 1"),
        ([1, 2, 1], ">= 2"),
        ([0.1, 0.2, 0.30000000000000004], ">= 0.30000000000000004"),
        ([*range(400), 1_000_000], ">= 300"),
        ([0] * 399 + [5], ">= 5"),
    ],
)
def test_upper_part_of_a_scale_is_positive(numbers: list[Any], rule: str) -> None:
    found = proposed(numbers)
    assert found.settings == {"field": "event", "positive": rule}
    assert 0 < np.nanmean(found.labels) < 1


@pytest.mark.parametrize("values", [[0, 1, 1], ["0", "1"], [True, False], [0.0, 1.0, None]])
def test_zero_and_one_need_no_rule(values: list[Any]) -> None:
    assert proposed(values).settings == {"field": "event"}


def test_few_labels_other_than_zero_and_one_are_not_negative() -> None:
    found = proposed(["0", "1"] * 50 + ["broken"])
    assert found.settings == {"field": "event"}
    assert found.reasons[-1] == "0.99% of the labels are not 0 or 1 ('broken'): their rows are rejected"


def test_reasons_ask_to_review_the_share_of_positive_labels() -> None:
    assert proposed(["view"] * 3 + ["buy", None]).reasons == [
        "given by --label",
        "words 'view', 'buy': words that usually mean yes",
        "25.0% of the labels are positive: review the rule",
    ]


def test_labels_are_those_of_the_rule() -> None:
    np.testing.assert_array_equal(proposed(["view", "buy", None]).labels, [0, 1, np.nan])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([f"title {i}" for i in range(99)], "expected 0 and 1, numbers, or at most 50 words; found 99 different texts"),
        ([1, 1], "expected a column with two or more different values, found only '1'"),
        (["1", "1.0", "1"], "found only '1', '1.0'"),
        ([None, None], "found only missing values"),
        ([["a"], ["b"]], "found lists"),
    ],
)
def test_column_that_cannot_be_the_label_is_reported(values: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=f"--label event: .*{message}"):
        proposed(values)


def test_label_that_does_not_exist_is_reported() -> None:
    with pytest.raises(UserError, match="--label kliked: no such column; expected one of event"):
        propose_label({"event": ColumnSample("event", pa.array([0, 1]))}, "kliked")


def test_only_column_is_named_with_what_to_check() -> None:
    with pytest.raises(UserError, match="expected one of 'a b  ', the only column; if a row has several values"):
        propose_label({"a b  ": ColumnSample("a b  ", pa.array([0, 1]))}, "b")


def test_many_columns_are_not_all_named() -> None:
    samples = {f"c{i}": ColumnSample(f"c{i}", pa.array([0, 1])) for i in range(40)}
    with pytest.raises(UserError, match=r"c29 and 10 more$"):
        propose_label(samples, "label")


def test_without_a_given_column_only_zero_and_one_are_a_label() -> None:
    assert propose_label({"event": ColumnSample("event", pa.array(["yes", "no"]))}, None) is None


def test_rating_that_determines_the_label_is_left_out() -> None:
    ratings = [1 + i * 7 % 5 for i in range(400)]
    table = {"label": [int(r >= 4) for r in ratings], "rating": ratings, "user": [f"u{i % 37}" for i in range(400)]}
    found = propose(pa.table(table), ["rows.csv"], label="label")
    Spec.model_validate(found.spec)
    assert found.left_out["rating"] == "each value always has the same label: it leaks the label"


def test_given_label_is_not_the_key() -> None:
    table = {"user_id": range(100, 200), "item": [i % 7 for i in range(100)]}
    found = propose(pa.table({name: list(values) for name, values in table.items()}), ["rows.csv"], label="user_id")
    Spec.model_validate(found.spec)
    assert "key" not in found.spec
