"""The sections `label` and `split`: the column to predict, and which rows are train, eval and test."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from .base import Fraction, Strict

SPLITS = ("train", "eval", "test")


class Label(Strict):
    """The column to predict; its values must be 0 or 1."""

    field: str = Field(description="The column with the label.")


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
    """The split of a row depends on the value of a column."""

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
    """The split of a row depends on its file: one file-name pattern per split."""

    files: FilePatterns


class HashSplit(_Fractions):
    """The split of a row depends on a stable hash of a column: rows with the same value are in the same split."""

    hash: str = Field(description="The column to hash.")
    salt: str = Field("", description="Another salt gives another split of the same data.")


class TimeSplit(_Fractions):
    """The oldest rows are train, the newest test. Rows with the same time are in the same split.

    The boundaries are given (`eval_from`, `test_from`), or computed from the fractions by counting the rows of each
    distinct time. These counts are held in memory, so a log with more than about 100 million distinct times needs
    given boundaries.
    """

    time: str = Field(description="The column with the time: a number, a timestamp or ISO 8601 text.")
    eval_from: float | str | None = Field(None, description="First time of the eval split.")
    test_from: float | str | None = Field(None, description="First time of the test split.")

    @model_validator(mode="before")
    @classmethod
    def _iso_times(cls, data: Any) -> Any:
        # YAML parses 2024-01-31 as a date; the spec keeps the text.
        if isinstance(data, dict):
            return {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in data.items()}
        return data

    @model_validator(mode="after")
    def _both_or_none(self) -> TimeSplit:
        if (self.eval_from is None) != (self.test_from is None):
            raise ValueError("give both `eval_from` and `test_from`, or neither")
        return self


def _kind_of_split(split: Any) -> str | None:
    """Returns the key that names the kind of split; None, which is an error, unless there is exactly one."""
    if isinstance(split, BaseModel):
        keys = set(type(split).model_fields)
    else:
        keys = set(split) if isinstance(split, dict) else set()
    kinds = keys & {"column", "files", "hash", "time"}
    return kinds.pop() if len(kinds) == 1 else None


Split = Annotated[
    Annotated[ColumnSplit, Tag("column")]
    | Annotated[FileSplit, Tag("files")]
    | Annotated[HashSplit, Tag("hash")]
    | Annotated[TimeSplit, Tag("time")],
    Discriminator(
        _kind_of_split,
        custom_error_type="split_kind",
        custom_error_message="expected one of `column:`, `files:`, `hash:` or `time:`, such as {column: split}",
    ),
]
