"""The field of numbers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from ..base import Float32, NotBoolean, PositiveFloat32, PositiveInt, Strict
from .any_field import COLUMN, AnyField, RawForm


class Quantiles(Strict):
    """Buckets of equal frequency in train, each with its own embedding."""

    quantiles: Annotated[int, Field(ge=2, le=10_000), NotBoolean] = Field(description="Number of buckets.")


class NumericField(AnyField):
    """One number per row. Encoded as float32 `[batch]`, or, in quantile buckets, as int64 `[batch]`.

    zscore: (x − mean) / standard deviation; minmax: to [0, 1]; log1p: sign(x)·ln(1 + |x|). Statistics are computed
    from the train split, without missing numbers. In a train split of n rows, |zscore| is at most √n: `clip: auto`
    changes no train number below 100 million rows, and limits extreme ones of other splits and of requests.
    """

    raw: ClassVar[RawForm] = "number"

    type: Literal["numeric"]
    column: str | None = Field(None, description=COLUMN)
    scale: Literal["zscore", "minmax", "log1p", "none"] | Quantiles = "zscore"
    percent: bool = Field(False, description="Whether texts may end with %: `3%` is 0.03.")
    missing: Literal["mean", "reject"] | Float32 = Field(
        "mean",
        description="mean: the mean of train; a number: that number (before scaling); reject: the row is rejected. In "
        "quantile buckets a missing number has id 0, unless reject is set.",
    )
    clip: Literal["auto"] | PositiveFloat32 | None = Field(
        "auto",
        description="Scaled numbers beyond ±clip become ±clip; null: no limit; auto: 10000 with zscore, no limit with "
        "other scales. Must not be a number with quantiles.",
    )
    dim: PositiveInt | None = Field(None, description="Only with quantiles: dimension of the buckets' embeddings.")

    @field_validator("missing", "clip")
    @classmethod
    def _no_number_for_buckets(cls, value: str | float | None, info: ValidationInfo) -> str | float | None:
        if isinstance(value, float) and isinstance(info.data.get("scale"), Quantiles):
            raise ValueError(
                f"a number ({value:g}) cannot be combined with quantiles, whose values are bucket ids; remove it"
            )
        return value

    @field_validator("dim")
    @classmethod
    def _only_buckets_are_embedded(cls, dim: int | None, info: ValidationInfo) -> int | None:
        scale = info.data.get("scale")
        if dim is not None and isinstance(scale, str):
            raise ValueError(
                f"only the buckets of `scale: {{quantiles: …}}` have embeddings, found `scale: {scale}`; remove `dim`"
            )
        return dim

    @property
    def dtype(self) -> Literal["int64", "float32"]:
        """int64 in quantile buckets, else float32."""
        return "float32" if self.buckets is None else "int64"

    @property
    def is_embedded(self) -> bool:
        """Whether the encoded values are ids of quantile buckets."""
        return self.buckets is not None

    @property
    def buckets(self) -> int | None:
        """The number of quantile buckets; None for the other scales."""
        return self.scale.quantiles if isinstance(self.scale, Quantiles) else None

    @property
    def limit(self) -> float | None:
        """The largest magnitude of a scaled number; None: no limit."""
        return (1e4 if self.scale == "zscore" else None) if self.clip == "auto" else self.clip

    @property
    def rejects_missing(self) -> bool:
        """Whether a row without a number is rejected."""
        return self.missing == "reject"
