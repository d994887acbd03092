"""Tables of predictions, and of comparisons between batch pipeline and exported model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from .console import say, show
from .example_tables import padded_ids
from .tables import counts_table

if TYPE_CHECKING:
    from ..serving.comparison import Difference, Parity


def show_export(folder: str, *, as_json: bool = False) -> None:
    """Prints the folder of an exported model."""
    if as_json:
        print(json.dumps({"export": folder}))
        return
    say(f"Exported model: {folder}")


def show_predictions(counts: dict[str, int], out: str, *, as_json: bool = False) -> None:
    """Prints the counts of a prediction."""
    if as_json:
        print(json.dumps(counts))
        return
    show([counts_table(counts)])
    say(f"Predictions: {out}/predictions")


def show_parity(parity: Parity, *, as_json: bool = False) -> None:
    """Prints the comparison of batch pipeline and exported model."""
    if as_json:
        from ...model.json_text import json_text

        print(json_text(asdict(parity) | {"holds": parity.holds}))
        return
    show(parity_tables(parity))


def parity_tables(parity: Parity) -> list[RenderableType]:
    """Returns a table of counts and, if there are differences, a table of the first ones."""
    title = "Parity of batch pipeline and exported model"
    table = Table(title=title, title_justify="left")
    for name in ("rows", "rejected", "with differing ids", "with differing scores", "largest score difference"):
        table.add_column(name, justify="right")
    numbers = (parity.rows, parity.rejected, parity.differing_ids, parity.differing_scores)
    table.add_row(*(f"{number:,}" for number in numbers), f"{parity.largest_score_difference:.2g}")
    if parity.holds:
        return [table]
    differences = Table(title="The first differences", title_justify="left")
    for name in ("row", "field", "batch pipeline", "exported model"):
        differences.add_column(name, overflow="fold")
    for difference in parity.differences:
        shown = (_place(difference), difference.field, *_shown_pair(difference.batch, difference.served))
        differences.add_row(*(Text(text) for text in shown))
    return [table, differences]


def _place(difference: Difference) -> str:
    key = "" if difference.key is None else f"key {difference.key}, "
    return f"{key}{difference.source}, row {difference.row}"


def _shown_pair(batch: Any, served: Any) -> list[str]:
    """Returns two values as texts; the lengths of lists are shown if they differ."""
    both = (batch, served)
    if all(isinstance(value, list) for value in both) and len(batch) != len(served):
        return [f"{_shown(value)} (length {len(value)})" for value in both]
    return [_shown(value) for value in both]


def _shown(value: Any) -> str:
    """Returns a value as text; the padding of a list is shown by its length."""
    if not isinstance(value, list):
        return str(value)
    end = len(value)
    while end and not value[end - 1]:
        end -= 1
    return padded_ids(value[:end], len(value) - end)
