"""The sections `limits` (the maximum size of one row) and `check` (the thresholds of `fieldpool check`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from .base import Fraction, PositiveFloat32, PositiveInt, Strict


class Limits(Strict):
    """Maximum size of one row. Larger rows are rejected as corrupt."""

    value_bytes: PositiveInt = Field(
        65_536, description="Maximum length of a key, carried value, token or list element, in bytes."
    )
    list_values: PositiveInt = Field(
        100_000, description="Maximum length of a list, before it is truncated to `max_len`."
    )


class Check(Strict):
    """Thresholds of `fieldpool check`, which compares new rows with a run and fails if one is exceeded; null: none.

    Rates are compared with those of the run's eval split, because vocabularies are not built from it; if eval is
    empty, with those of train.
    """

    renamed: ClassVar[Mapping[str, str]] = {"cut": "truncated"}

    oov: Fraction | None = Field(
        0.1, description="Maximum increase of a field's share of OOV values, after truncation."
    )
    missing: Fraction | None = Field(
        0.1, description="Maximum change, up or down, of the share of missing values or empty lists."
    )
    length: PositiveFloat32 | None = Field(
        0.5, description="Maximum relative change of a field's mean list length, before truncation."
    )
    truncated: Fraction | None = Field(
        0.1, description="Maximum increase of the share of values that are truncated by `max_len`."
    )
    range: Fraction | None = Field(0.05, description="Maximum share of numbers outside the range of train.")
    label: PositiveFloat32 | None = Field(0.5, description="Maximum relative change of the rate of positive labels.")
    unknown_columns: Literal["report", "fail"] = Field(
        "report", description="Columns that the run's files did not have: report them, or fail."
    )
