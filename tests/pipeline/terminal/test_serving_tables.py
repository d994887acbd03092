"""The table of differences between batch pipeline and exported model."""

from __future__ import annotations

from typing import Any

import pytest
from rich.table import Table

from fieldpool.pipeline.serving.comparison import Difference, Parity
from fieldpool.pipeline.terminal.serving_tables import parity_tables


@pytest.mark.parametrize(
    ("batch", "served", "shown"),
    [
        ([5, 7, 0, 0], [5, 8, 0, 0], ["5 7 + 2 × 0", "5 8 + 2 × 0"]),
        ([5, 7, 0, 0], [5, 7], ["5 7 + 2 × 0 (length 4)", "5 7 (length 2)"]),
        (5, 6, ["5", "6"]),
    ],
)
def test_differing_values_are_shown_with_their_lengths_if_these_differ(
    batch: Any, served: Any, shown: list[str]
) -> None:
    difference = Difference("a.csv", 1, None, "tags", batch, served)
    _, table = parity_tables(Parity(rows=1, differing_ids=1, differences=[difference]))
    assert isinstance(table, Table)
    assert [str(next(iter(column.cells))) for column in table.columns[2:]] == shown
