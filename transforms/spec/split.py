"""The sections `label` and `split`: what is predicted, and which rows train, evaluate and test."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from .base import Fraction, Strict

SPLITS = ("train", "eval", "test")


class Label(Strict):
    """The column to predict; its values must be 0 or 1."""

    field: str = Field(description="The label's column.")


class _Fractions(Strict):
    train: Fraction = Field(0.8, gt=0.0)
    eval: Fraction = 0.1
    test: Fraction = 0.1

    @model_validator(mode="after")
    def _sum_to_one(self) -> _Fractions:
        total = self.train + self.eval + self.test
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"train + eval + test must be 1, found {total:g}")
        return self


class ColumnSplit(Strict):
    """A column says which split a row belongs to."""

    column: str
    train: list[str] = Field(default=["train"], description="Values that mean the train split.")
    eval: list[str] = Field(default=["eval"], description="Values that mean the eval split.")
    test: list[str] = Field(default=["test"], description="Values that mean the test split.")


class FilePatterns(Strict):
    """Shell patterns (`*`, `?`), matched against the name of each input file."""

    train: str
    eval: str | None = None
    test: str | None = None


class FileSplit(Strict):
    """The file that a row comes from says its split: one file-name pattern a split."""

    files: FilePatterns


class HashSplit(_Fractions):
    """Rows with one value of `hash` (a user, say) all go to one split, by a stable hash of that value."""

    hash: str = Field(description="The column that is hashed.")
    salt: str = Field("", description="Change it for another split of the same data.")


class TimeSplit(_Fractions):
    """Oldest rows train, newest test. Rows of one instant stay together.

    The boundaries are given (`eval_from`, `test_from`), or found from the fractions by counting the
    distinct times: that count is held in memory, so a log with more than about 100 million distinct
    times wants given boundaries.
    """

    time: str = Field(description="The column with the time: a number, a timestamp or ISO 8601 text.")
    eval_from: float | str | None = Field(None, description="First time of the eval split.")
    test_from: float | str | None = Field(None, description="First time of the test split.")

    @model_validator(mode="before")
    @classmethod
    def _iso_times(cls, data: Any) -> Any:
        # YAML reads 2024-01-31 as a date; the spec keeps its text.
        if isinstance(data, dict):
            return {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in data.items()}
        return data

    @model_validator(mode="after")
    def _both_or_none(self) -> TimeSplit:
        if (self.eval_from is None) != (self.test_from is None):
            raise ValueError("give both `eval_from` and `test_from`, or neither")
        return self


def _rule_of_split(split: Any) -> str | None:
    """Returns the key that names the rule; None, which is an error, where there is none or more than one."""
    if isinstance(split, BaseModel):
        keys = set(type(split).model_fields)
    else:
        keys = set(split) if isinstance(split, dict) else set()
    rules = keys & {"column", "files", "hash", "time"}
    return rules.pop() if len(rules) == 1 else None


Split = Annotated[
    Annotated[ColumnSplit, Tag("column")]
    | Annotated[FileSplit, Tag("files")]
    | Annotated[HashSplit, Tag("hash")]
    | Annotated[TimeSplit, Tag("time")],
    Discriminator(
        _rule_of_split,
        custom_error_type="split_kind",
        custom_error_message="expected one of `column:`, `files:`, `hash:` or `time:`, such as {column: split}",
    ),
]
