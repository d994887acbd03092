"""Proposes the label: the column to predict, and which of its values are positive."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...transforms.errors import UserError
from ..rows import columns
from .column_sample import ColumnSample

_NAMES = re.compile(r"label|target|click|clicked|is_click|converted|conversion|y", re.IGNORECASE)


@dataclass(frozen=True)
class ProposedLabel:
    """A label as plain values.

    Attributes:
        settings: The section `label`.
        reasons: Why.
        labels: The label of each row: 0, 1, or NaN if it is missing, float64 `[rows]`.
    """

    settings: dict[str, Any]
    reasons: list[str]
    labels: np.ndarray


def propose_label(samples: Mapping[str, ColumnSample], given: str | None) -> ProposedLabel | None:
    """Returns the label; None if no column is given, and none has only the values 0 and 1.

    Args:
        samples: All columns.
        given: The column of the label, if the user named it.

    Raises:
        UserError: the column does not exist, or no rule makes labels of its values.
    """
    if given is not None:
        if given not in samples:
            raise UserError(f"--label {given}: no such column; expected one of {', '.join(samples)}")
        return _of_column(samples[given])
    binary = [name for name, sample in samples.items() if sample.is_binary]
    named = [name for name in binary if _NAMES.fullmatch(name)]
    found = next(iter([*named, *binary]), None)
    if found is None:
        return None
    reason = f"has the values 0 and 1{', and the name of a label' if named else ''}"
    return ProposedLabel({"field": found}, [reason], _numbers(samples[found]))


def _of_column(sample: ColumnSample) -> ProposedLabel:
    if not sample.is_binary:
        raise UserError(f"--label {sample.name}: expected a column that has both 0 and 1 and no other values")
    return ProposedLabel({"field": sample.name}, ["given by --label"], _numbers(sample))


def _numbers(sample: ColumnSample) -> np.ndarray:
    return np.asarray(columns.numbers(sample.values, sample.name).values.fill_null(np.nan))
