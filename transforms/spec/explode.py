"""The entry `source.explode`: one row of a file becomes several, one for each element of a column."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from .base import Strict


class Explode(Strict):
    """Makes a row of each element of a column, such as the impressions that were shown together."""

    column: str = Field(description="The column with the elements. The rows have the groups of `into` in its place.")
    separator: str | None = Field(
        None, min_length=1, description="The text between elements; columns of a list type need none."
    )
    into: str = Field(
        description="A regular expression of Python for one element, with a named group for each new column: "
        '"(?P<news_id>.+)-(?P<clicked>[01])".'
    )

    @field_validator("into")
    @classmethod
    def _has_named_groups(cls, into: str) -> str:
        example = "such as '(?P<item>.+)-(?P<clicked>[01])'"
        try:
            groups = re.compile(into).groupindex
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"expected a regular expression, {example}; found {into!r} ({error})") from None
        if not groups:
            raise ValueError(f"expected a named group for each new column, {example}; found {into!r}")
        return into

    @property
    def groups(self) -> list[str]:
        """The names of the new columns."""
        return list(re.compile(self.into).groupindex)
