"""The sections `split` and `sample`: which rows are train, eval and test, and which negative train rows are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator, model_validator

from .base import Boundary, Fraction, NotBoolean, Strict
from .times import TimeUnit, boundary_seconds, check_format, number_of, shown

SPLITS = ("train", "eval", "test")


class _Fractions(Strict):
    train: Fraction = Field(0.8, gt=0.0)
    eval: Fraction = 0.1
    test: Fraction = 0.1

    @model_validator(mode="after")
    def _sum_to_one(self) -> _Fractions:
        total = self.train + self.eval + self.test
        if abs(total - 1.0) > 1e-6:
            raise ValueError(
                f"train + eval + test must be 1, found {self.train:g} + {self.eval:g} + {self.test:g} = {total:g}; "
                "give all three (the defaults are 0.8, 0.1 and 0.1)"
            )
        return self


class ColumnSplit(Strict):
    """The split of a row depends on the value of a column."""

    column: str
    train: list[str] = Field(default=["train"], description="Values that mean the train split.")
    eval: list[str] = Field(default=["eval"], description="Values that mean the eval split.")
    test: list[str] = Field(default=["test"], description="Values that mean the test split.")

    @field_validator("train")
    @classmethod
    def _train_has_values(cls, train: list[str]) -> list[str]:
        if not train:
            raise ValueError("expected at least one value: without train rows there are no vocabularies and no model")
        return train

    @field_validator(*SPLITS)
    @classmethod
    def _missing_values_have_no_split(cls, values: list[str]) -> list[str]:
        if "" in values:
            raise ValueError("expected texts, found ''; an empty text is a missing value, whose row is rejected")
        return values

    @model_validator(mode="after")
    def _one_split_each(self) -> ColumnSplit:
        words = [word for name in SPLITS for word in dict.fromkeys(getattr(self, name))]
        twice = next((word for word in words if words.count(word) > 1), None)
        if twice is not None:
            names = " and ".join(f"`{name}`" for name in SPLITS if twice in getattr(self, name))
            raise ValueError(f"{twice!r} is in {names}; each value means one split (the default is the split's name)")
        return self


class FilePatterns(Strict):
    """Shell patterns (`*`, `?`), matched against the name of each input file."""

    train: str
    eval: str | None = None
    test: str | None = None

    @field_validator(*SPLITS)
    @classmethod
    def _match_names_of_files(cls, pattern: str | None) -> str | None:
        if pattern is not None and (not pattern or "/" in pattern):
            raise ValueError(f"expected a pattern of file names, without their folders; found {pattern!r}")
        return pattern

    @model_validator(mode="after")
    def _differ(self) -> FilePatterns:
        given = [pattern for pattern in (self.train, self.eval, self.test) if pattern is not None]
        if len(set(given)) < len(given):
            raise ValueError("two splits have the same pattern; a file can only be in one split")
        return self


class FileSplit(Strict):
    """The split of a row depends on its file: one file-name pattern per split."""

    files: FilePatterns


class HashSplit(_Fractions):
    """The split of a row depends on a stable hash of one or more columns.

    Rows with the same value, or with the same values of all columns, are in the same split.
    """

    hash: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="The column to hash, or a list of columns to hash together."
    )
    salt: str = Field("", description="Another salt gives another split of the same data.")

    @property
    def columns(self) -> list[str]:
        """The columns to hash."""
        return [self.hash] if isinstance(self.hash, str) else self.hash


class TimeSplit(_Fractions):
    """The oldest rows are train, the newest test. Rows with the same time are in the same split.

    The boundaries are given (`eval_from`, `test_from`), or computed from the fractions by counting the rows of each
    distinct time. These counts are held in memory, so a log with more than about 100 million distinct times needs
    given boundaries.
    """

    time: str = Field(description="The column with the time: a number, a timestamp or text.")
    eval_from: Boundary | str | None = Field(None, description="First time of the eval split.")
    test_from: Boundary | str | None = Field(None, description="First time of the test split.")
    time_unit: TimeUnit = Field(
        "auto",
        description="The unit of numbers in the column: `s`, `ms`, `us` or `ns` since 1970, `date` (YYYYMMDD) or "
        "`number` (any numbers with an order). `auto` finds it from the size of the numbers.",
    )

    time_format: str | None = Field(
        None,
        description='The format of texts in the column, in the words of Python\'s strptime: "%m/%d/%Y %I:%M:%S %p". '
        "Without it, texts are numbers or ISO 8601.",
    )

    @field_validator("time_format")
    @classmethod
    def _is_format(cls, time_format: str | None) -> str | None:
        if time_format is not None:
            check_format(time_format)
        return time_format

    @model_validator(mode="after")
    def _formats_have_no_unit(self) -> TimeSplit:
        if self.time_format is not None and self.time_unit not in ("auto", "s"):
            raise ValueError(
                f"`time_unit` is {self.time_unit}, but `time_format` says how the column is read, and boundaries that "
                "are numbers are in seconds; expected only one of them"
            )
        return self

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

    @model_validator(mode="after")
    def _in_order(self) -> TimeSplit:
        if self.eval_from is None or self.test_from is None:
            return self
        given = (self.eval_from, self.test_from)
        found = f"`eval_from` ({shown(self.eval_from)}) and `test_from` ({shown(self.test_from)})"
        numbers = [number_of(value) for value in given]
        are_dates = {number is None for number in numbers if number is None or not math.isinf(number)}
        if self.time_unit == "number" and True in are_dates:
            raise ValueError(f"{found} must be numbers, because `time_unit` is number")
        unit = "s" if self.time_format else self.time_unit
        if unit == "auto" and len(are_dates) > 1:
            raise ValueError(f"{found} must both be dates or both be numbers; or set `time_unit`")
        try:
            ends = [boundary_seconds(value, unit) for value in given]
        except ValueError:
            ends = [math.nan]
        if any(map(math.isnan, ends)):
            number = "YYYYMMDD" if self.time_unit == "date" else "numbers"
            raise ValueError(f"{found} must be {number} or ISO 8601 times, such as 2024-01-31T10:00:00Z")
        if ends[0] > ends[1]:
            raise ValueError(f"{found}: the test split may not begin before the eval split; exchange them")
        return self


class Sample(Strict):
    """Keeps all positive train rows and a share of the negative ones, by a stable hash.

    The rows of eval and test are all kept, and the model predicts probabilities of all rows.
    """

    negatives: Annotated[float, Field(gt=0.0, le=1.0), NotBoolean] = Field(
        description="The share of the negative train rows to keep, above 0 and at most 1."
    )
    by: str | None = Field(
        None,
        description="A column that the model does not read, such as the impression: negative rows with the same value "
        "are kept or left out together. By default, each row is kept or left out by itself.",
    )
    salt: str = Field("", description="Another salt keeps other rows.")

    def check_by(self, label: str, fields: Mapping[str, str]) -> None:
        """Raises ValueError if `by` is the column of the label or of a field; `fields` has the columns by name."""
        if self.by == label:
            raise ValueError(f"sample.by: {label!r} is the label, expected a column whose values form groups of rows")
        field = next((name for name, column in fields.items() if column == self.by), None)
        if field is not None:
            raise ValueError(
                f"sample.by: expected a column that the model does not read, found {self.by!r} of fields.{field}: the "
                "model would learn which of its values have lost their negative rows. Sample by row or by impression"
            )


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
