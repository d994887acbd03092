"""The fields of tokens: categorical and multivalued."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..base import Name, NotBoolean, PositiveInt, Strict
from ..vocabularies import Days, Vocabulary
from .any_field import AnyField
from .derivations import RawForm

_PERCENTILE = re.compile(r"^p(\d{1,2}(\.\d+)?|100)$")

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
    of_columns: ClassVar[tuple[str, ...]] = ("column", "text", "normalize")

    vocabulary: Name | None = Field(
        None, description="Name of a vocabulary that fields share; default: a vocabulary for this field alone."
    )
    min_count: PositiveInt | None = Field(None, description="See vocabularies.")
    top_k: PositiveInt | None = Field(None, description="See vocabularies.")
    hash_buckets: PositiveInt | None = Field(None, description="See vocabularies.")
    num_oov_buckets: PositiveInt | None = Field(None, description="See vocabularies.")
    dim: PositiveInt | None = Field(None, description="See vocabularies.")
    vectors: str | None = Field(None, min_length=1, description="See vocabularies.")
    freeze: bool | None = Field(None, description="See vocabularies.")
    retire_after: Days | None = Field(None, description="See vocabularies.")
    normalize: list[Literal["strip", "lower"]] = Field(
        default=[],
        description="What is done to each token first, in this order: strip: white space around it is removed; lower: "
        "letters become lower case.",
    )
    text: Literal["bytes", "utf8"] = Field(
        "bytes",
        description="bytes: a token may be any bytes; utf8: rows with a value that is not valid UTF-8 are rejected.",
    )

    @property
    def changes_values(self) -> bool:
        """Whether the tokens are not those of the column, but computed in the graph."""
        return bool(self.derivation is not None or self.normalize)

    @model_validator(mode="after")
    def _settings_are_those_of_a_vocabulary(self) -> Self:
        Vocabulary(**self.vocabulary_settings())
        return self

    def vocabulary_settings(self) -> dict[str, Any]:
        """Returns the vocabulary settings that are set on the field itself."""
        given = {k: getattr(self, k) for k in Vocabulary.model_fields}
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
    of_columns: ClassVar[tuple[str, ...]] = (
        "column",
        "text",
        "normalize",
        "separator",
        "list",
        "trim",
        "weights",
    )

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
