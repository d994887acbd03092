"""Finds columns with all items that were shown together, each with its label: `N55689-1 N35729-0`."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ..rows.separators import present_values
from .column_sample import ColumnSample

# The share of the elements that must have a label.
_LEAST_LABELS = 0.99

_SEPARATORS = (" ", ",", ";", "|")
_SIGNS = "-:_=/#"


@dataclass(frozen=True)
class Impressions:
    """How rows with impressions become one row for each.

    Attributes:
        explode: The entry `explode` of `source`.
        label: The new column with the labels.
        reason: Why.
    """

    explode: dict[str, str]
    label: str
    reason: str


def find_impressions(table: pa.Table, label: str | None) -> Impressions | None:
    """Returns how to explode the rows of a table; None if no column has impressions, or the label is another column.

    Args:
        table: A sample of the rows.
        label: The label's column, if the user named it. It may be the column with the impressions.
    """
    if label is not None and label not in table.column_names:
        return None
    for name in [label] if label is not None else table.column_names:
        sample = ColumnSample(name, table[name].combine_chunks())
        found = _explode(sample, table.column_names) if not sample.is_list and sample.is_text else None
        if found is not None:
            return found
    return None


def _explode(sample: ColumnSample, taken: list[str]) -> Impressions | None:
    if not len(sample.texts):
        return None
    first = sample.texts[0].as_py().decode("utf-8", "replace").split()
    sign = first[0][-2:-1] if first else ""
    if not sign or sign not in _SIGNS:
        return None
    for separator in _SEPARATORS:
        elements = present_values(pc.split_pattern(sample.texts, pattern=separator))
        labels = pc.match_substring_regex(elements, rf"^.+{sign}[01]\s*$")
        if pc.mean(labels).as_py() < _LEAST_LABELS or len(elements) < 2 * len(sample.texts):
            continue
        positive = pc.match_substring_regex(elements, rf"{sign}1\s*$")
        share = pc.mean(positive).as_py()
        if not 0 < share < 1:
            continue
        item, clicked = (_free(name, taken) for name in ("item_id", "clicked"))
        into = f"(?P<{item}>.+){sign}(?P<{clicked}>[01])"
        reason = (
            f"the texts are lists of items with a label, such as {elements[0].as_py().decode('utf-8', 'replace')!r}: "
            f"each becomes a row, {len(elements) / len(sample.texts):.1f} of a row on average, {share:.1%} positive"
        )
        explode = {"column": sample.name, "separator": separator, "into": into}
        return Impressions(explode, clicked, reason)
    return None


def _free(name: str, taken: list[str]) -> str:
    return name if name not in taken else _free(f"{name}_2", taken)
