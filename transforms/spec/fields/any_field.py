"""The properties of every field that other code reads."""

from __future__ import annotations

from typing import ClassVar, Literal

from ..base import Strict

COLUMN = "The raw column, or the path to a member such as `device.os` or `shelves[].name`; default: the field's name."

# A field's raw value in one row: one token, a list of tokens, or one number.
RawForm = Literal["token", "list", "number"]


class AnyField(Strict):
    """The properties of every field, with the values that most field types have."""

    raw: ClassVar[RawForm] = "token"
    has_vocabulary: ClassVar[bool] = False

    @property
    def is_list(self) -> bool:
        """Whether a row has a list of values in this field; only lists have a `combiner` and a `max_len`."""
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
        """The token that replaces a missing value or an empty list, if any."""
        return None
