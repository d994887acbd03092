"""The sections `limits` (the size of one row) and `check` (how far new rows may drift from a run)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from .base import Fraction, Strict


class Limits(Strict):
    """How large one row may be; a row with more is rejected, for it is broken rather than rich."""

    value_bytes: int = Field(65_536, ge=1, description="The longest key, token or element of a list.")
    list_values: int = Field(100_000, ge=1, description="The most values in one list, before `max_len` cuts it.")


class Check(Strict):
    """How far new rows may be from a run's before `fieldpool check` fails; null: as far as they like.

    Rates are compared with those of the run's eval split, which no vocabulary has seen; where it is empty, with train.
    """

    renamed: ClassVar[Mapping[str, str]] = {"cut": "truncated"}

    oov: Fraction | None = Field(0.1, description="By how much the share of OOV values may rise, for each field.")
    missing: Fraction | None = Field(0.1, description="By how much the share of missing values may rise or fall.")
    length: float | None = Field(0.5, gt=0, description="Part of itself that a mean list length may change by.")
    truncated: Fraction | None = Field(
        0.1, description="Maximum increase of the share of values that are truncated by `max_len`."
    )
    range: Fraction | None = Field(0.05, description="The share of numbers that may lie outside the range of train.")
    label: float | None = Field(
        0.5, gt=0, description="Part of itself that the share of positive labels may change by."
    )
    unknown_columns: Literal["report", "fail"] = Field(
        "report", description="What becomes of columns that the run's files did not have."
    )
