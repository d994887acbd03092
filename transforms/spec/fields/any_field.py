"""The properties of every field that other code reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..base import Strict
from .derivations import Derivation, RawForm

COLUMN = "The raw column, or the path to a member such as `device.os` or `shelves[].name`; default: the field's name."

_TYPES: Mapping[RawForm, str] = {"token": "categorical", "list": "multivalued", "number": "numeric", "vector": "vector"}


class AnyField(Strict):
    """The properties of every field, with the values that most field types have."""

    raw: ClassVar[RawForm] = "token"
    has_vocabulary: ClassVar[bool] = False
    # Entries that say how a raw column is read: a derived field has none.
    of_columns: ClassVar[tuple[str, ...]] = ("column",)

    column: str | None = Field(None, description=COLUMN)
    derivation: Derivation | None = Field(
        None, alias="from", description="How the values are computed from other fields and columns, without a column."
    )
    side: Literal["user"] | None = Field(
        None,
        description="user: all candidates of a request share the value, so the signature `rank` of an exported model "
        "takes it once; default: each candidate has its own.",
    )

    @model_validator(mode="after")
    def _derived_fields_have_no_column(self) -> Self:
        if self.derivation is None:
            return self
        defaults = type(self).model_fields
        given = [name for name in self.of_columns if getattr(self, name) != defaults[name].default]
        if given:
            raise ValueError(f"`from` computes the values, so nothing is read; remove {', '.join(given)}")
        if self.rejects_missing:
            raise ValueError("rows are checked before `from` computes the values, so it cannot reject; remove `reject`")
        if self.raw not in self.derivation.forms:
            expected = " or ".join(_TYPES[form] for form in self.derivation.forms)
            raise ValueError(f"`from` computes {expected} values, found `type: {_TYPES[self.raw]}`; change the type")
        return self

    @property
    def changes_values(self) -> bool:
        """Whether the values are not those of the column, but computed in the graph."""
        return self.derivation is not None

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
        """The number of buckets if the encoded values are bucket ids, else None."""
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
