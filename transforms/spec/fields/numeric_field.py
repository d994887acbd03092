"""The field of numbers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from ..base import Float32, NotBoolean, PositiveFloat32, PositiveInt, Strict
from .any_field import AnyField
from .derivations import RawForm


class Quantiles(Strict):
    """Buckets of equal frequency in train, each with its own embedding."""

    quantiles: Annotated[int, Field(ge=2, le=10_000), NotBoolean] = Field(description="Number of buckets.")


class Boundaries(Strict):
    """Buckets with the given boundaries, each with its own embedding; a boundary belongs to the upper bucket."""

    boundaries: Annotated[tuple[Float32, ...], Field(min_length=1, max_length=10_000)] = Field(
        description="Increasing numbers; n boundaries give n + 1 buckets."
    )

    @field_validator("boundaries")
    @classmethod
    def _increase(cls, boundaries: tuple[float, ...]) -> tuple[float, ...]:
        if (np.diff(np.array(boundaries, np.float32)) <= 0).any():
            raise ValueError(f"expected increasing numbers, found {', '.join(f'{b:g}' for b in boundaries)}")
        return boundaries


def _kind_of_scale(scale: Any) -> str | None:
    """Returns the key of a mapping, or `word`; None, which is an error, for a mapping with neither key, or both."""
    if isinstance(scale, Quantiles | Boundaries):
        return type(scale).__name__.lower()
    if not isinstance(scale, dict):
        return "word"
    kinds = [kind for kind in ("quantiles", "boundaries") if kind in scale]
    return kinds[0] if len(kinds) == 1 else None


Scale = Annotated[
    Annotated[Literal["zscore", "minmax", "log1p", "sqrt", "none"], Tag("word")]
    | Annotated[Quantiles, Tag("quantiles")]
    | Annotated[Boundaries, Tag("boundaries")],
    Discriminator(
        _kind_of_scale,
        custom_error_type="scale_kind",
        custom_error_message="expected {quantiles: 10} or {boundaries: [18, 65]}",
    ),
]


class NumericField(AnyField):
    """One number per row. Encoded as float32 `[batch]`, or, in buckets, as int64 `[batch]`.

    zscore: (x − mean) / standard deviation; minmax: to [0, 1]; log1p: sign(x)·ln(1 + |x|); sqrt: sign(x)·√|x|.
    Statistics are computed from the train split, without missing numbers. In a train split of n rows, |zscore| is at
    most √n: `clip: auto` changes no train number below 100 million rows, and limits extreme ones of other splits and of
    requests.
    """

    raw: ClassVar[RawForm] = "number"
    of_columns: ClassVar[tuple[str, ...]] = ("column", "percent")

    type: Literal["numeric"]
    scale: Scale = "zscore"
    range: Annotated[list[Float32 | None], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="A minimum and a maximum: numbers beyond them become the minimum or the maximum, before statistics "
        "are computed and numbers are scaled; null: no limit on this side.",
    )
    percent: bool = Field(False, description="Whether texts may end with %: `3%` is 0.03.")
    missing: Literal["mean", "reject"] | Float32 = Field(
        "mean",
        description="mean: the mean of train; a number: that number (before scaling); reject: the row is rejected. In "
        "buckets a missing number has id 0, unless reject is set.",
    )
    clip: Literal["auto"] | PositiveFloat32 | None = Field(
        "auto",
        description="Scaled numbers beyond ±clip become ±clip; null: no limit; auto: 10000 with zscore, no limit with "
        "other scales. Must not be a number with buckets.",
    )
    dim: PositiveInt | None = Field(None, description="Only with buckets: dimension of their embeddings.")

    @field_validator("range")
    @classmethod
    def _is_in_order(cls, limits: list[float | None] | None) -> list[float | None] | None:
        if limits is None:
            return None
        low, high = limits
        if low is None and high is None:
            raise ValueError("expected a minimum, a maximum or both, found neither")
        if low is not None and high is not None and low >= high:
            raise ValueError(f"expected a minimum below the maximum, found {low:g} and {high:g}")
        return limits

    @field_validator("missing", "clip")
    @classmethod
    def _no_number_for_buckets(cls, value: str | float | None, info: ValidationInfo) -> str | float | None:
        if isinstance(value, float) and isinstance(info.data.get("scale"), Quantiles | Boundaries):
            raise ValueError(
                f"a number ({value:g}) cannot be combined with buckets, whose values are bucket ids; remove it"
            )
        return value

    @field_validator("dim")
    @classmethod
    def _only_buckets_are_embedded(cls, dim: int | None, info: ValidationInfo) -> int | None:
        scale = info.data.get("scale")
        if dim is not None and isinstance(scale, str):
            raise ValueError(
                "only buckets (`scale: {quantiles: …}` or `{boundaries: …}`) have embeddings, found "
                f"`scale: {scale}`; remove `dim`"
            )
        return dim

    @property
    def dtype(self) -> Literal["int64", "float32"]:
        """int64 in buckets, else float32."""
        return "float32" if self.buckets is None else "int64"

    @property
    def is_embedded(self) -> bool:
        """Whether the encoded values are ids of buckets."""
        return self.buckets is not None

    @property
    def buckets(self) -> int | None:
        """The number of buckets; None for the other scales."""
        return len(self.scale.boundaries) + 1 if isinstance(self.scale, Boundaries) else self.quantiles

    @property
    def quantiles(self) -> int | None:
        """The number of buckets of equal frequency in train; None for the other scales."""
        return self.scale.quantiles if isinstance(self.scale, Quantiles) else None

    @property
    def changes_values(self) -> bool:
        """Whether the numbers are not those of the column, but computed in the graph."""
        return self.derivation is not None or self.range is not None

    @property
    def limit(self) -> float | None:
        """The largest magnitude of a scaled number; None: no limit."""
        return (1e4 if self.scale == "zscore" else None) if self.clip == "auto" else self.clip

    @property
    def rejects_missing(self) -> bool:
        """Whether a row without a number is rejected."""
        return self.missing == "reject"
