"""Columns of numbers with a few other texts stay numeric, and the reasons give the cost of each rule."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from fieldpool.pipeline.proposal.spec_proposal import Proposal, propose
from fieldpool.pipeline.rows.texts import NumberRule
from fieldpool.transforms.spec import Spec

ROWS = 1000
PRICES = [f"{i * 37 % 911}.{i % 90 + 10}" for i in range(ROWS)]


def proposed(rule: NumberRule | None = None, **columns: list[Any]) -> Proposal:
    others = {"click": [i * 7 % 3 % 2 for i in range(ROWS)], "user": [f"u{i % 37}" for i in range(ROWS)]}
    found = propose(pa.table({**others, **columns}), ["rows.csv"], rule=rule or NumberRule())
    Spec.model_validate(found.spec)
    return found


def test_numbers_with_a_few_other_texts_stay_numeric_with_their_share_and_examples() -> None:
    found = proposed(price=["$9.99", "12,50", *PRICES[2:]])
    assert found.spec["fields"]["price"]["type"] == "numeric"
    assert found.reasons["price"][1] == (
        "0.20% of the values are not numbers ('$9.99', '12,50'): their rows are rejected"
    )


def test_texts_that_are_often_no_numbers_are_words() -> None:
    found = proposed(size=[f"S{i % 20}" if i % 10 == 0 else str(i % 300) for i in range(ROWS)])
    assert found.spec["fields"]["size"]["type"] == "categorical"


def test_ids_keep_all_their_texts() -> None:
    found = proposed(zip_code=["K1A", *(str(10_000 + i % 300) for i in range(1, ROWS))])
    assert found.spec["fields"]["zip_code"]["type"] == "categorical"


@pytest.mark.parametrize("texts", [[f"{i % 97}%" for i in range(ROWS)], [f"{i % 97} %" for i in range(ROWS)]])
def test_percent_signs_are_read(texts: list[str]) -> None:
    field = proposed(rate=texts).spec["fields"]["rate"]
    assert (field["type"], field["percent"]) == ("numeric", True)


def test_numbers_are_read_by_the_rule_of_the_source() -> None:
    found = proposed(NumberRule(",", "."), price=[f"1.{i % 900 + 100},5" for i in range(ROWS)])
    assert found.spec["fields"]["price"]["type"] == "numeric"


@pytest.mark.parametrize(
    ("word", "other", "is_null"),
    [
        ("N/A", "N/A", True),
        ("NA", "x", True),
        ("NA", "NA", False),
        ("soon", "x", False),
    ],
    ids=["sure", "in no other column", "a word in another column", "another word"],
)
def test_word_among_numbers_means_missing_unless_it_may_be_a_value(word: str, other: str, is_null: bool) -> None:
    regions = [other if i % 5 == 0 else f"r{i % 7}" for i in range(ROWS)]
    found = proposed(price=[word, word, *PRICES[2:]], region=regions)
    expected = {word: "2 of 1,000 values of price; the others are numbers"} if is_null else {}
    assert found.null_words == expected
