"""The section `vocabularies`: the settings of vocabularies, and their layout of ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from .base import PositiveInt, Strict

_DAYS = re.compile(r"[1-9][0-9]{0,5}d")


def _check_days(value: Any) -> Any:
    if not isinstance(value, str) or not _DAYS.fullmatch(value):
        raise ValueError(f"expected a number of days, such as `30d`, found {value!r}")
    return value


# A number of days as a text: `30d`.
Days = Annotated[str, BeforeValidator(_check_days)]


class Vocabulary(Strict):
    """Settings of one vocabulary. Id 0 is padding, 1..num_oov_buckets are OOV buckets, then the tokens.

    With `hash_buckets` there are no tokens: ids 1..hash_buckets are buckets, and the hash of a token selects one.
    """

    renamed: ClassVar[Mapping[str, str]] = {"num_oov": "num_oov_buckets"}

    min_count: PositiveInt = Field(1, description="Tokens that occur less often in train become OOV.")
    top_k: PositiveInt | None = Field(None, description="Keep only this number of the most frequent tokens.")
    num_oov_buckets: PositiveInt = Field(1, description="Number of OOV buckets; the hash of a token selects one.")
    hash_buckets: PositiveInt | None = Field(
        None,
        description="Number of buckets for all tokens, instead of a vocabulary: for too many tokens, or ever new ones. "
        "Different tokens may share a bucket.",
    )
    dim: PositiveInt | None = Field(None, description="Embedding dimension; default: model.embedding_dim.")
    vectors: str | None = Field(
        None,
        min_length=1,
        description="A Parquet or Arrow file of pretrained vectors, with the columns `token` and `vector`: embeddings "
        "start with them, and all of its tokens are in the vocabulary. The path is relative to the spec.",
    )
    freeze: bool = Field(False, description="Whether the pretrained vectors stay as they are in training.")
    retire_after: Days | None = Field(
        None, description="With `transform --grow`: unused tokens become OOV after this number of days, such as 30d."
    )

    @model_validator(mode="after")
    def _hashed_tokens_are_not_counted(self) -> Vocabulary:
        names = ("min_count", "top_k", "num_oov_buckets", "vectors", "retire_after")
        defaults = type(self).model_fields
        others = [name for name in names if getattr(self, name) != defaults[name].default]
        if self.hash_buckets is not None and others:
            raise ValueError(f"`hash_buckets` replaces a vocabulary; remove {', '.join(others)}")
        return self

    @model_validator(mode="after")
    def _only_vectors_are_frozen(self) -> Vocabulary:
        if self.freeze and self.vectors is None:
            raise ValueError("`freeze` is for pretrained vectors; add `vectors: FILE`, or remove it")
        return self

    @property
    def retires_after(self) -> timedelta | None:
        """The time after which tokens that train no longer has are retired; None: never."""
        return None if self.retire_after is None else timedelta(days=int(self.retire_after.removesuffix("d")))

    @property
    def first_token_id(self) -> int:
        """The id of the most frequent token, or of the first bucket if tokens are hashed."""
        return 1 if self.hash_buckets is not None else 1 + self.num_oov_buckets

    def table_rows(self, tokens: int) -> int:
        """Returns the number of rows of the embedding table: one for padding, one per bucket, one per token."""
        return self.first_token_id + (tokens if self.hash_buckets is None else self.hash_buckets)

    def is_oov(self, ids: Any) -> Any:
        """Returns which ids, an integer array or tensor, are OOV buckets: booleans of the same shape."""
        return (ids > 0) & (ids < self.first_token_id)

    def is_token(self, ids: Any) -> Any:
        """Returns which ids, an integer array or tensor, are tokens: booleans of the same shape."""
        return ids >= self.first_token_id
