"""The entry `from` of a field: how its values are computed from other fields and columns, in the graph.

The values themselves are computed by `transforms.values`, so a model is served the values it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator

from ..base import Name, NotBoolean, PositiveInt, Strict

TimePartName = Literal["hour", "weekday", "day", "month", "hour_of_week"]

# A field's value in one row: one token, a list of tokens, one number, or a list of numbers.
RawForm = Literal["token", "list", "number", "vector"]

_FIELD_OR_COLUMN = "A field, or, if none has this name, a column"


class AnyDerivation(Strict):
    """The properties of every derivation, with the values that most of them have."""

    # The forms that the values can have.
    forms: ClassVar[tuple[RawForm, ...]] = ("number",)

    def fields(self) -> list[str]:
        """Returns the fields that it reads, which must exist."""
        return []

    def fields_or_columns(self) -> list[str]:
        """Returns what it reads that is a field, or else a column."""
        return []

    def times(self) -> list[str]:
        """Returns the columns that it reads as times."""
        return []


class TimePart(AnyDerivation):
    """A part of a time, as a token: `hour` 0 to 23, `weekday` 0 (Monday) to 6, `day` 1 to 31, `month` 1 to 12."""

    forms: ClassVar[tuple[RawForm, ...]] = ("token",)

    time: str = Field(description="The column with the time.")
    part: TimePartName = Field(description="Which part; hour_of_week: 0 (Monday, 0:00) to 167.")
    zone: str = Field("UTC", description="The time zone, with its IANA name, such as Europe/Berlin.")

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"expected the IANA name of a time zone, such as Europe/Berlin, found {zone!r}") from None
        return zone

    def times(self) -> list[str]:
        """Returns the column of the time."""
        return [self.time]


class Age(AnyDerivation):
    """The time from one column to another: `at` − `age`, negative if `at` is earlier; missing if one of them is."""

    age: str = Field(description="The column with the earlier time, such as that of publication.")
    at: str = Field(description="The column with the later time, such as that of the impression.")
    unit: Literal["seconds", "minutes", "hours", "days"] = "days"

    def times(self) -> list[str]:
        """Returns both columns."""
        return [self.age, self.at]


class Cross(AnyDerivation):
    """All combinations of the values of fields, one token each; no combination if one of the fields has no value."""

    forms: ClassVar[tuple[RawForm, ...]] = ("token", "list")

    cross: Annotated[list[Name], Field(min_length=2, max_length=4)] = Field(
        description="The fields, categorical or multivalued. The values of lists are those before truncation."
    )
    max_pairs: PositiveInt = Field(
        1000,
        description="Maximum number of combinations in a row. Beyond it, the later fields lose their last values.",
    )

    @field_validator("cross")
    @classmethod
    def _differ(cls, cross: list[str]) -> list[str]:
        if len(set(cross)) < len(cross):
            raise ValueError(f"expected different fields, found {', '.join(cross)}")
        return cross

    def fields(self) -> list[str]:
        """Returns the crossed fields."""
        return self.cross


class Match(AnyDerivation):
    """How the value, or the values, of one field occur in the list of another one; before truncation."""

    match: Annotated[list[Name], Field(min_length=2, max_length=2)] = Field(
        description="Two fields: the value or values to look for, and the list to look in."
    )
    measure: Literal["count", "share", "any", "last"] = Field(
        "count",
        description="count: the number of values of the list that match; share: count ÷ length of the list, missing "
        "for an empty list; any: 1 or 0; last: the position of the last match, from 1, or 0 without a match.",
    )

    def fields(self) -> list[str]:
        """Returns both fields."""
        return self.match


class Ratio(AnyDerivation):
    """One number divided by another; missing if one of them is, the second one is 0, or the result is too large."""

    ratio: Annotated[list[str], Field(min_length=2, max_length=2)] = Field(
        description="Two numbers. Each is a numeric field, or, if no field has this name, a column."
    )

    def fields_or_columns(self) -> list[str]:
        """Returns both numbers."""
        return self.ratio


class MissingIndicator(AnyDerivation):
    """1 if a field has no value in a row, or an empty list, else 0."""

    missing: Name = Field(description="The field.")

    def fields(self) -> list[str]:
        """Returns the field."""
        return [self.missing]


class Words(AnyDerivation):
    """The words of a text, in lower case: the parts between characters that are neither letters nor digits."""

    forms: ClassVar[tuple[RawForm, ...]] = ("list",)

    text: str = Field(description=f"{_FIELD_OR_COLUMN}, with the text.")
    ngrams: Annotated[int, Field(ge=1, le=5), NotBoolean] = Field(
        1, description="Also the sequences of 2 up to this number of words, joined by spaces, behind the words."
    )

    def fields_or_columns(self) -> list[str]:
        """Returns the text."""
        return [self.text]


_KINDS: Mapping[str, type[AnyDerivation]] = {
    "time": TimePart,
    "age": Age,
    "cross": Cross,
    "match": Match,
    "ratio": Ratio,
    "missing": MissingIndicator,
    "text": Words,
}


def _kind_of(derivation: Any) -> str | None:
    """Returns the key that names the kind of derivation; None, which is an error, unless there is exactly one."""
    if isinstance(derivation, BaseModel):
        return next((kind for kind, model in _KINDS.items() if isinstance(derivation, model)), None)
    kinds = [kind for kind in _KINDS if isinstance(derivation, dict) and kind in derivation]
    return kinds[0] if len(kinds) == 1 else None


Derivation = Annotated[
    Annotated[TimePart, Tag("time")]
    | Annotated[Age, Tag("age")]
    | Annotated[Cross, Tag("cross")]
    | Annotated[Match, Tag("match")]
    | Annotated[Ratio, Tag("ratio")]
    | Annotated[MissingIndicator, Tag("missing")]
    | Annotated[Words, Tag("text")],
    Discriminator(
        _kind_of,
        custom_error_type="derivation_kind",
        custom_error_message="expected one of `time:`, `age:`, `cross:`, `match:`, `ratio:`, `missing:` or `text:`, "
        "such as {time: clicked_at, part: hour}",
    ),
]
