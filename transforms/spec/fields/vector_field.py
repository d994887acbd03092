"""The field of vectors: lists of floats, all of one length."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ..base import NotBoolean
from .any_field import AnyField
from .derivations import RawForm
from .vocabulary_fields import ListForm


class VectorField(AnyField):
    """A list of floats per row, all of one length. Encoded as float32 `[batch, length]`, as they are: not scaled."""

    raw: ClassVar[RawForm] = "vector"
    of_columns: ClassVar[tuple[str, ...]] = ("column", "separator", "list")

    type: Literal["vector"]
    length: Annotated[int, Field(ge=1, le=100_000), NotBoolean] | Literal["auto"] = Field(
        "auto",
        description="The number of floats; rows with another number are rejected. auto: that of the first row that has "
        "a vector.",
    )
    separator: str | None = Field(
        None, min_length=1, description="Separator of lists written as text; columns of a list type ignore it."
    )
    list: ListForm | None = Field(
        None,
        description="For texts that are lists in another syntax: `json` (`[0.5, 1.5]`) or `python`. Columns of a list "
        "type ignore it.",
    )
    missing: Literal["zeros", "reject"] = Field(
        "zeros",
        description="zeros: a missing vector or an empty list is a vector of zeros; reject: the row is rejected.",
    )

    @model_validator(mode="after")
    def _lists_are_written_in_one_way(self) -> VectorField:
        if self.list and self.separator:
            raise ValueError(
                f"expected either `separator` or `list`, found {self.separator!r} and `{self.list}`; remove one of them"
            )
        return self

    @property
    def dtype(self) -> Literal["int64", "float32"]:
        """float32."""
        return "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """`(length,)`.

        Raises:
            ValueError: `length` is `auto`; only the spec of a run always has a number.
        """
        if not isinstance(self.length, int):
            raise ValueError("length: expected a number, found 'auto'; the spec of a run has one")
        return (self.length,)

    @property
    def rejects_missing(self) -> bool:
        """Whether a row without a vector is rejected."""
        return self.missing == "reject"
