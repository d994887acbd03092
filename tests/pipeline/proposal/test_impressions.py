"""Impressions in one cell are exploded, and the label is their last sign."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest

from fieldpool.pipeline.proposal.impressions import find_impressions
from fieldpool.transforms.spec import Explode

SHOWN = [" ".join(f"N{(i * 7 + k) % 50}-{int(k == i % 5)}" for k in range(5)) for i in range(100)]


def table(cells: list[Any]) -> pa.Table:
    return pa.table({"user": [f"u{i % 9}" for i in range(len(cells))], "shown": cells})


@pytest.mark.parametrize("label", [None, "shown"])
@pytest.mark.parametrize(("separator", "sign"), [(" ", "-"), (",", ":"), ("|", "_")])
def test_items_with_labels_become_rows(label: str | None, separator: str, sign: str) -> None:
    cells = [cell.replace(" ", separator).replace("-", sign) for cell in SHOWN]
    found = find_impressions(table(cells), label)
    assert found is not None
    explode = Explode.model_validate(found.explode)
    assert (explode.column, explode.separator, found.label) == ("shown", separator, "clicked")
    match = re.fullmatch(explode.into, f"N1{sign}2{sign}1")
    assert match is not None
    assert match.groupdict() == {"item_id": f"N1{sign}2", "clicked": "1"}
    assert "5.0 of a row on average, 20.0% positive" in found.reason


def test_names_of_new_columns_are_free() -> None:
    found = find_impressions(table(SHOWN).append_column("clicked", pa.array(SHOWN)), None)
    assert found is not None
    assert found.label == "clicked_2"


@pytest.mark.parametrize(
    ("cells", "label"),
    [
        (SHOWN, "user"),
        (SHOWN, "unknown"),
        (["N1-1"] * 100, None),
        (["N1-0 N2-0"] * 100, None),
        (["N1-0 N2-3"] * 100, None),
        (["a b", "c d"] * 50, None),
        ([None] * 100, None),
        (["", " "] * 50, None),
        ([["N1-0", "N2-1"]] * 100, None),
    ],
)
def test_other_columns_are_not_impressions(cells: list[Any], label: str | None) -> None:
    assert find_impressions(table(cells), label) is None
