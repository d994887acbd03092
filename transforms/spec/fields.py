"""The sections `vocabularies` and `fields`, and what differs between the kinds of field.

`AnyField` has the properties that other code reads, with the values of most kinds; a kind overrides those in which it
differs. Code that needs TensorFlow or Arrow is elsewhere, in `transforms.preprocessing` and `pipeline.rows.checks`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from .base import Name, Strict

_PERCENTILE = re.compile(r"^p(\d{1,2}(\.\d+)?|100)$")

# What one raw row holds in a field: one token, a list of tokens, or one number.
RawForm = Literal["token", "list", "number"]


class Vocabulary(Strict):
    """Settings of one vocabulary. Id 0 is padding, 1..num_oov_buckets are OOV buckets, then the tokens."""

    renamed: ClassVar[Mapping[str, str]] = {"num_oov": "num_oov_buckets"}

    min_count: int = Field(1, ge=1, description="Tokens seen less often in train become OOV.")
    top_k: int | None = Field(None, ge=1, description="Keep only this many of the most frequent tokens.")
    num_oov_buckets: int = Field(1, ge=1, description="OOV buckets; an unseen token goes to one by its hash.")
    dim: int | None = Field(None, ge=1, description="Embedding dimension; default: model.embedding_dim.")

    @property
    def first_token_id(self) -> int:
        """The id of the most frequent token."""
        return 1 + self.num_oov_buckets

    def table_rows(self, tokens: int) -> int:
        """Returns the rows of the embedding table for that number of tokens; padding and OOV buckets have rows, too."""
        return self.first_token_id + tokens

    def is_oov(self, ids: Any) -> Any:
        """Returns which ids, an array or tensor of integers, are OOV buckets: booleans of that shape."""
        return (ids > 0) & (ids < self.first_token_id)

    def is_token(self, ids: Any) -> Any:
        """Returns which ids, an array or tensor of integers, are tokens: booleans of that shape."""
        return ids >= self.first_token_id


class TokenPolicy(Strict):
    """Puts this token where a value is missing or a list is empty; it is counted like any other."""

    token: str = Field(min_length=1)


class AnyField(Strict):
    """The properties of a field that code reads whatever its kind, with the values of most kinds."""

    raw: ClassVar[RawForm] = "token"
    has_vocabulary: ClassVar[bool] = False

    @property
    def is_list(self) -> bool:
        """Whether a row holds a list of values; only such fields have a `combiner` and a `max_len`."""
        return self.raw == "list"

    @property
    def dtype(self) -> Literal["int64", "float32"]:
        """The dtype of encoded values: int64 for ids, float32 for numbers."""
        return "int64"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a row's encoded values: `()` for a single value, `(max_len,)` for a list."""
        return ()

    @property
    def is_embedded(self) -> bool:
        """Whether the encoded values are ids of an embedding table."""
        return self.has_vocabulary

    @property
    def buckets(self) -> int | None:
        """The number of quantile buckets if the encoded values are bucket ids, else None."""
        return None

    @property
    def is_weighted(self) -> bool:
        """Whether each value has a weight."""
        return False

    @property
    def combiner(self) -> str | None:
        """How the vectors of a list's values are combined (`pooling` in the spec); None for a single value."""
        return None

    @property
    def rejects_missing(self) -> bool:
        """Whether a row without a value, or with an empty list, is rejected."""
        return False

    @property
    def absent_token(self) -> str | None:
        """The token that is put where a row has no value or an empty list, if there is one."""
        return None


class VocabularyField(AnyField):
    """A field whose values are tokens of a vocabulary."""

    has_vocabulary: ClassVar[bool] = True
    renamed: ClassVar[Mapping[str, str]] = Vocabulary.renamed

    column: str | None = Field(None, description="The raw column; default: the field's own name.")
    vocabulary: Name | None = Field(None, description="A vocabulary's name, to share it; default: one's own.")
    min_count: int | None = Field(None, ge=1, description="See vocabularies.")
    top_k: int | None = Field(None, ge=1, description="See vocabularies.")
    num_oov_buckets: int | None = Field(None, ge=1, description="See vocabularies.")
    dim: int | None = Field(None, ge=1, description="See vocabularies.")
    text: Literal["bytes", "utf8"] = Field(
        "bytes",
        description="bytes: any bytes are a token; utf8: a row with a value that is not valid UTF-8 is refused.",
    )

    def vocabulary_settings(self) -> dict[str, Any]:
        """Returns the vocabulary settings that were given on the field itself."""
        given = {k: getattr(self, k) for k in ("min_count", "top_k", "num_oov_buckets", "dim")}
        return {k: v for k, v in given.items() if v is not None}


class CategoricalField(VocabularyField):
    """One value a row. Encoded as int64 `[batch]`."""

    type: Literal["categorical"]
    missing: Literal["pad", "oov", "reject"] | TokenPolicy = Field(
        "pad",
        description="pad: id 0, contributes nothing; oov: the first OOV bucket; {token: X}: a token of its "
        "own; reject: the row is refused.",
    )

    @property
    def rejects_missing(self) -> bool:
        """Whether a row without a value is rejected."""
        return self.missing == "reject"

    @property
    def absent_token(self) -> str | None:
        """The token that is put where a row has no value, if there is one."""
        return self.missing.token if isinstance(self.missing, TokenPolicy) else None


class MultivaluedField(VocabularyField):
    """A list of values a row. Encoded as int64 `[batch, max_len]`, padded with 0 at the end."""

    raw: ClassVar[RawForm] = "list"

    type: Literal["multivalued"]
    separator: str | None = Field(
        None, min_length=1, description="How lists are written in one text; real list columns ignore it."
    )
    max_len: int | str = Field(
        "auto", description="A length; auto: the longest list in train; p99: that percentile of the lengths."
    )
    keep: Literal["first", "last"] = Field("first", description="Which end of a longer list is kept.")
    empty: Literal["pad", "reject"] | TokenPolicy = Field(
        "pad",
        description="pad: all zeros, the pool gives zeros; {token: X}: a list of that one token; reject.",
    )
    weights: str | None = Field(
        None, description="A column with one number for each value (a parallel list); scales it in the pool."
    )
    pooling: Literal["mean", "sum", "sqrtn", "max"] = Field("mean", description="How a bag becomes one vector.")

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
    def _weights_need_a_sum(self) -> MultivaluedField:
        if self.weights and self.pooling == "max":
            raise ValueError("`weights` has no meaning for `pooling: max`; use mean, sum or sqrtn")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """`(max_len,)`.

        Raises:
            ValueError: `max_len` is not a number yet: the spec is not that of a run.
        """
        if not isinstance(self.max_len, int):
            raise ValueError(f"max_len: expected a number, found {self.max_len!r}; a run's spec has it resolved")
        return (self.max_len,)

    @property
    def is_weighted(self) -> bool:
        """Whether each value has a weight."""
        return self.weights is not None

    @property
    def combiner(self) -> str:
        """The pooling."""
        return self.pooling

    @property
    def rejects_missing(self) -> bool:
        """Whether a row with an empty list is rejected."""
        return self.empty == "reject"

    @property
    def absent_token(self) -> str | None:
        """The one token that is put in an empty list, if there is one."""
        return self.empty.token if isinstance(self.empty, TokenPolicy) else None


class Quantiles(Strict):
    """Buckets of equal frequency in train; the field is then embedded by its bucket."""

    quantiles: int = Field(ge=2, le=10_000)


class NumericField(AnyField):
    """One number a row. Encoded as float32 `[batch]`, or, in quantile buckets, as int64 `[batch]`.

    zscore: (x − mean) / standard deviation; minmax: to [0, 1]; log1p: sign(x)·ln(1 + |x|). Statistics
    come from the present values of the train split.
    """

    raw: ClassVar[RawForm] = "number"

    type: Literal["numeric"]
    column: str | None = Field(None, description="The raw column; default: the field's own name.")
    scale: Literal["zscore", "minmax", "log1p", "none"] | Quantiles = "zscore"
    missing: Literal["mean", "reject"] | float = Field(
        "mean",
        description="mean: the train mean; a number: that number (before scaling); reject. In "
        "quantile buckets a missing number has id 0, whatever stands here but reject.",
    )
    dim: int | None = Field(None, ge=1, description="Quantile buckets only: embedding dimension.")

    @property
    def dtype(self) -> Literal["int64", "float32"]:
        """int64 in quantile buckets, else float32."""
        return "float32" if self.buckets is None else "int64"

    @property
    def is_embedded(self) -> bool:
        """Whether the number is looked up by its quantile bucket."""
        return self.buckets is not None

    @property
    def buckets(self) -> int | None:
        """The number of quantile buckets if the scale is such, else None."""
        return self.scale.quantiles if isinstance(self.scale, Quantiles) else None

    @property
    def rejects_missing(self) -> bool:
        """Whether a row without a number is rejected."""
        return self.missing == "reject"


FieldType = TypeVar("FieldType", CategoricalField, MultivaluedField, NumericField)
FieldSpec = Annotated[CategoricalField | MultivaluedField | NumericField, Field(discriminator="type")]
