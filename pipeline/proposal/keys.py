"""Proposes the key: the column that identifies a row."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import numpy as np

from .column_sample import NO_NAMES, ColumnSample

# Ids of exports and logs with a few rows that were written twice, or without an id, still identify the others.
_MAX_OTHERS = 0.005

# The index that pandas writes: its column has no name, or one of these.
_INDEX = re.compile(r"|index|unnamed: 0(\.\d+)?|row|row_?(number|num|no)", re.IGNORECASE)


def propose_key(samples: Mapping[str, ColumnSample], taken: Collection[str]) -> tuple[str, list[str]] | None:
    """Returns the column that identifies a row, and the reasons; None if there is none.

    Args:
        samples: All columns.
        taken: Columns that cannot be the key: times and the label.
    """
    found: list[tuple[int, int, str]] = []
    for index, (name, sample) in enumerate(samples.items()):
        rows = len(sample.values)
        if name in taken or sample.is_list or not rows or not _may_be_key(sample):
            continue
        others = rows - len(sample.counts)
        if others <= _MAX_OTHERS * rows and (sample.numbers is None or sample.is_whole):
            found.append((others, index, name))
    if not found:
        return None
    name = min(found)[2]
    sample = samples[name]
    rows, present, distinct = len(sample.values), len(sample.texts), len(sample.counts)
    reasons = [f"a different value in {'' if distinct == rows else 'nearly '}every row of the sample"]
    if present > distinct:
        reasons.append(f"{_rows(present - distinct, rows)} the id of another row: their predictions look alike")
    if rows > present:
        reasons.append(f"{_rows(rows - present, rows)} no id: such rows are rejected")
    return name, reasons


def _may_be_key(sample: ColumnSample) -> bool:
    """Returns whether the name is that of an id; without a name, the values are numbers that increase by row."""
    if sample.is_named_as_id or _INDEX.fullmatch(sample.name):
        return True
    if not NO_NAMES.fullmatch(sample.name):
        return False
    return sample.numbers is not None and sample.is_whole and bool(np.all(np.diff(sample.numbers) > 0))


def _rows(number: int, rows: int) -> str:
    return f"{number:,} of the sample's rows ({number / rows:.2%}) {'has' if number == 1 else 'have'}"
