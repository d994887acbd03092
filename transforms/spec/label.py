"""The section `label`: the column to predict, which of its values are positive, and the weight of a row."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from .base import Strict
from .roles import LABEL_FEATURE, LABEL_WEIGHT_FEATURE

_COMPARISON = re.compile(r"\s*(>=|>|<=|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")


class Label(Strict):
    """The column to predict. Its values must be 0 or 1, or `positive` says which values are positive."""

    field: str = Field(description="The column with the label.")
    positive: Annotated[list[str], Field(min_length=1)] | str | None = Field(
        None,
        description="Which labels are positive: the texts in a list, such as [addtocart, buy], or the numbers for "
        'which a comparison holds, such as ">= 4" (also >, <= and <). All others are 0; missing labels are rejected.',
    )

    weight: str | None = Field(
        None,
        description="A column with the weight of the row in training and in all metrics: a finite number of 0 or more. "
        "A row of weight 2 counts as the row twice. Default: all rows count once.",
    )

    @field_validator("positive")
    @classmethod
    def _is_rule(cls, positive: list[str] | str | None) -> list[str] | str | None:
        if isinstance(positive, list) and "" in positive:
            raise ValueError("expected texts, found ''; an empty text is a missing label, whose row is rejected")
        if isinstance(positive, str):
            found = _COMPARISON.fullmatch(positive)
            if not found or math.isinf(float(found[2])):
                raise ValueError(
                    "expected a list of texts such as [buy], or a comparison with a number such as '>= 4' "
                    f"(operators >=, >, <=, <), found {positive!r}"
                )
        return positive

    @model_validator(mode="after")
    def _weight_is_another_column(self) -> Label:
        if self.weight == self.field:
            raise ValueError(f"weight: expected another column than the label, found {self.weight!r}; correct it")
        return self

    @property
    def columns(self) -> list[str]:
        """The raw columns of the label and of its weight."""
        return [self.field] if self.weight is None else [self.field, self.weight]

    @property
    def features(self) -> list[str]:
        """The features of an example that a request does not have: the label and, if rows have one, its weight."""
        return [LABEL_FEATURE] if self.weight is None else [LABEL_FEATURE, LABEL_WEIGHT_FEATURE]

    @property
    def words(self) -> list[str] | None:
        """The texts of positive labels; None without such a list."""
        return self.positive if isinstance(self.positive, list) else None

    @property
    def comparison(self) -> tuple[str, float] | None:
        """The operator and the number that positive labels are compared with; None without a comparison."""
        found = _COMPARISON.fullmatch(self.positive) if isinstance(self.positive, str) else None
        return (found[1], float(found[2])) if found else None

    @property
    def rule(self) -> str:
        """The column and the rule of positive labels as text: `click`, `event: buy`, `rating >= 4`."""
        if self.words is not None:
            return f"{self.field}: {', '.join(self.words)}"
        return f"{self.field} {self.positive.strip()}" if isinstance(self.positive, str) else self.field
