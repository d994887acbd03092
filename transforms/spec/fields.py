"""The section `fields`: each type of field overrides the properties of `AnyField` in which it differs.

Code that needs TensorFlow or Arrow is in `transforms.preprocessing` and `pipeline.rows.checks`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from .any_field import AnyField, RawForm
from .base import Float32, Name, NotBoolean, PositiveFloat32, PositiveInt, Strict
from .vocabularies import Days, Vocabulary

_PERCENTILE = re.compile(r"^p(\d{1,2}(\.\d+)?|100)$")

COLUMN = "The raw column, or the path to a member such as `device.os` or `shelves[].name`; default: the field's name."

# The syntax of a text that is a list.
ListForm = Literal["json", "python"]


class TokenPolicy(Strict):
    """Replaces a missing value or an empty list by this token, which is counted like any other."""

    token: str = Field(min_length=1)

    @field_validator("token")
    @classmethod
    def _is_in_one_line(cls, token: str) -> str:
        if "\n" in token or "\r" in token:
            raise ValueError(f"expected a text without line feeds and carriage returns, found {token!r}")
        return token


class VocabularyField(AnyField):
    """A field whose values are tokens of a vocabulary."""

    has_vocabulary: ClassVar[bool] = True
    renamed: ClassVar[Mapping[str, str]] = Vocabulary.renamed

    column: str | None = Field(None, description=COLUMN)
    vocabulary: Name | None = Field(
        None, description="Name of a vocabulary that fields share; default: a vocabulary for this field alone."
    )
    min_count: PositiveInt | None = Field(None, description="See vocabularies.")
    top_k: PositiveInt | None = Field(None, description="See vocabularies.")
    num_oov_buckets: PositiveInt | None = Field(None, description="See vocabularies.")
    dim: PositiveInt | None = Field(None, description="See vocabularies.")
    retire_after: Days | None = Field(None, description="See vocabularies.")
    text: Literal["bytes", "utf8"] = Field(
        "bytes",
        description="bytes: a token may be any bytes; utf8: rows with a value that is not valid UTF-8 are rejected.",
    )

    def vocabulary_settings(self) -> dict[str, Any]:
        """Returns the vocabulary settings that are set on the field itself."""
        given = {k: getattr(self, k) for k in ("min_count", "top_k", "num_oov_buckets", "dim", "retire_after")}
        return {k: v for k, v in given.items() if v is not None}


class CategoricalField(VocabularyField):
    """One value per row. Encoded as int64 `[batch]`."""

    type: Literal["categorical"]
    missing: Literal["pad", "oov", "reject"] | TokenPolicy = Field(
        "pad",
        description="pad: id 0, contributes nothing; oov: the first OOV bucket; {token: X}: the token X, counted "
        "like any other; reject: the row is rejected.",
    )

    @property
    def rejects_missing(self) -> bool:
        """Whether a row without a value is rejected."""
        return self.missing == "reject"

    @property
    def absent_token(self) -> str | None:
        """The token that replaces a missing value, if any."""
        return self.missing.token if isinstance(self.missing, TokenPolicy) else None


class MultivaluedField(VocabularyField):
    """A list of values per row. Encoded as int64 `[batch, max_len]`, padded with 0 at the end."""

    raw: ClassVar[RawForm] = "list"

    type: Literal["multivalued"]
    separator: str | None = Field(
        None, min_length=1, description="Separator of lists written as text; columns of a list type ignore it."
    )
    list: ListForm | None = Field(
        None,
        description="For texts that are lists in another syntax: `json` (`[\"a\", \"b\"]`) or `python` (`['a', 'b']`). "
        "Columns of a list type ignore it.",
    )
    trim: bool = Field(False, description="Whether white space around each element is removed.")
    max_len: Annotated[int, NotBoolean] | str = Field(
        "auto",
        description="Maximum number of values; longer lists are truncated. A number; auto: the longest list in train; "
        "p99: that percentile of the lengths in train.",
    )
    keep: Literal["first", "last"] = Field("first", description="Which end of a longer list is kept.")
    empty: Literal["pad", "reject"] | TokenPolicy = Field(
        "pad",
        description="pad: zeros, and the pool gives zeros; {token: X}: a list of that one token; reject: the row is "
        "rejected.",
    )
    weights: str | None = Field(
        None,
        description="A column, or path, with a parallel list: one number of 0 or more per value, its weight in the "
        "pool.",
    )
    pooling: Literal["mean", "sum", "sqrtn", "max"] = Field(
        "mean", description="How the vectors of a bag are combined into one."
    )

    @field_validator("max_len")
    @classmethod
    def _max_len(cls, value: int | str) -> int | str:
        if isinstance(value, int):
            if not 1 <= value <= 100_000:
                raise ValueError(f"expected a length from 1 to 100000, found {value}")
        elif value != "auto" and not _PERCENTILE.match(value):
            raise ValueError(f"expected a length, `auto`, or a percentile such as `p99`; found {value!r}")
        return value

    @model_validator(mode="after")
    def _lists_are_written_in_one_way(self) -> MultivaluedField:
        if self.list and self.separator:
            raise ValueError(
                f"expected either `separator` or `list`, found {self.separator!r} and `{self.list}`; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _weights_need_a_sum(self) -> MultivaluedField:
        if self.weights and self.pooling == "max":
            raise ValueError("`weights` cannot be combined with `pooling: max`; use mean, sum or sqrtn")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """`(max_len,)`.

        Raises:
            ValueError: `max_len` is `auto` or a percentile; only the spec of a run always has a number.
        """
        if not isinstance(self.max_len, int):
            raise ValueError(f"max_len: expected a number, found {self.max_len!r}; the spec of a run has one")
        return (self.max_len,)

    @property
    def is_weighted(self) -> bool:
        """Whether each value has a weight."""
        return self.weights is not None

    @property
    def combiner(self) -> str:
        """The pooling: mean, sum, sqrtn or max."""
        return self.pooling

    @property
    def rejects_missing(self) -> bool:
        """Whether a row with an empty list is rejected."""
        return self.empty == "reject"

    @property
    def absent_token(self) -> str | None:
        """The token that an empty list gets as its only value, if any."""
        return self.empty.token if isinstance(self.empty, TokenPolicy) else None


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


FieldType = TypeVar("FieldType", CategoricalField, MultivaluedField, NumericField)
FieldSpec = Annotated[CategoricalField | MultivaluedField | NumericField, Field(discriminator="type")]
