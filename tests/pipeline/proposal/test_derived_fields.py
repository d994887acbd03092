"""Proposed fields that are derived from others, and hashed tokens: where the data show that they help, with reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.pipeline.proposal.spec_proposal import Proposal, propose
from fieldpool.transforms.spec import Spec

ROWS = 400
NUMBERS = np.random.default_rng(0).normal(100, 9, ROWS).tolist()
ITEMS = [f"i{row * 31 % 90}" for row in range(ROWS)]


def proposed(**columns: Any) -> Proposal:
    """Returns the proposal for a click log with these columns, which is a valid spec."""
    rows = len(next(iter(columns.values())))
    others = {"click": [i * 7 % 3 % 2 for i in range(rows)], "user": [f"u{i % 37}" for i in range(rows)]}
    found = propose(pa.table({**others, **columns}), ["rows.parquet"])
    Spec.model_validate(found.spec)
    return found


@pytest.mark.parametrize(("missing", "is_proposed"), [(0, False), (15, False), (20, True), (380, True), (385, False)])
def test_numbers_that_are_often_missing_get_a_field_that_says_so(missing: int, is_proposed: bool) -> None:
    found = proposed(price=[None if row < missing else number for row, number in enumerate(NUMBERS)])
    assert ("price_missing" in found.spec["fields"]) == is_proposed
    if is_proposed:
        assert found.spec["fields"]["price_missing"] == {
            "type": "numeric",
            "from": {"missing": "price"},
            "scale": "none",
        }
        (reason,) = found.reasons["price_missing"]
        assert reason.startswith(f"price has no number in {missing / ROWS:.0%} of the rows")


def test_missing_tokens_have_no_field_of_their_own() -> None:
    found = proposed(country=[None if row % 2 else "de" if row % 4 else "fr" for row in range(ROWS)])
    assert "country_missing" not in found.spec["fields"]


@pytest.mark.parametrize(("matches", "is_proposed"), [(0, False), (3, False), (4, True), (200, True), (400, False)])
def test_values_that_occur_in_a_list_of_the_same_values_are_counted(matches: int, is_proposed: bool) -> None:
    others = [[f"i{(row * 31 + step) % 90}" for step in (1, 2)] for row in range(ROWS)]
    history = [[*other, ITEMS[row]] if row < matches else other for row, other in enumerate(others)]
    found = proposed(item=ITEMS, history=history)
    assert found.spec["fields"]["history"]["vocabulary"] == "item_vocabulary"
    assert ("item_in_history" in found.spec["fields"]) == is_proposed
    if is_proposed:
        derivation = {"match": ["item", "history"], "measure": "count"}
        assert found.spec["fields"]["item_in_history"] == {"type": "numeric", "from": derivation}
        assert found.reasons["item_in_history"] == [
            f"item occurs in history in {matches / ROWS:.0%} of the rows: how often"
        ]


@pytest.mark.parametrize(("tokens", "settings"), [(99_998, {}), (99_999, {"hash_buckets": 1_000_000})])
def test_very_many_tokens_are_hashed(tokens: int, settings: dict[str, Any]) -> None:
    found = proposed(url=[f"/{row}" for row in range(tokens)] + ["/"] * 50)
    assert found.spec["fields"]["url"] == {"type": "categorical", **settings}
    assert any("too many for a vocabulary" in reason for reason in found.reasons["url"]) == bool(settings)


def test_lists_share_the_ids_of_hashed_tokens() -> None:
    items = [f"i{row}" for row in range(100_000)] + ["i0"] * 2000
    found = proposed(item=items, seen=[[item] for item in items])
    assert found.spec["vocabularies"] == {"item_vocabulary": {"hash_buckets": 1_000_000}}
    assert {"vocabulary", "type", "max_len"} == set(found.spec["fields"]["seen"])
