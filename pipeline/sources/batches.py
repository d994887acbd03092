"""What readers give: rows of one file as they stand there, and the rows that they could not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa

from ...transforms.errors import SourceError

BATCH_ROWS = 16_384


class Reason(StrEnum):
    """Why a row is rejected; `format` fills in what is between braces. docs/errors.md has each of them."""

    WRONG_WIDTH = "expected {expected} columns, found {found}"
    NO_JSON_OBJECT = "no JSON object: {error}"
    NESTED_VALUE = "expected text, a number or a list of these, found {found}"
    NO_EXAMPLE = "no tf.Example: {error}"
    NO_KEY = "the key is missing"
    NO_LABEL = "the label is missing"
    NO_VALUE = "the value is missing"
    EMPTY_LIST = "the list is empty"
    WRONG_LABEL = "expected a label of 0 or 1"
    NOT_FINITE = "not a finite number"
    UNKNOWN_SPLIT = "expected one of {expected}"
    NO_TIME = "no time that can be read"
    NOTHING_TO_HASH = "no value to hash"
    SEVERAL_VALUES = "a list of several values where one value is expected"
    WRONG_WEIGHTS = "as many weights as values of {column} expected"
    WRONG_WEIGHT = "a weight is not a finite number of 0 or more"
    INVALID_UTF8 = "invalid UTF-8"
    LONG_VALUE = "a value is longer than limits.value_bytes, {limit:,}"
    LONG_LIST = "the list has more values than limits.list_values, {limit:,}"


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used. `row` counts the data rows of `source` from 1."""

    source: str
    row: int
    field: str
    reason: str
    raw: dict[str, Any]


@dataclass(frozen=True)
class SourceBatch:
    """Rows of one file as they stand there.

    Attributes:
        source: The file's path.
        numbers: The number of each row in the file, int64 `[rows]`, from 1.
        data: The rows, with at least the columns that were asked for; without any column where there are no rows.
        rejected: Rows that the reader could not read.
    """

    source: str
    numbers: np.ndarray
    data: pa.RecordBatch
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def read(self) -> int:
        """How many rows of the file this is, the rejected ones among them."""
        return self.data.num_rows + len(self.rejected)


def no_rows() -> pa.RecordBatch:
    """Returns a batch of nothing, to go with rejected rows."""
    return pa.RecordBatch.from_pylist([])


def selected(batch: pa.RecordBatch | pa.Table, columns: list[str]) -> Any:
    """Returns the columns of a batch; one that no row of the batch has is full of missing values."""
    names = set(batch.schema.names)
    return type(batch).from_arrays(
        [batch[column] if column in names else pa.nulls(batch.num_rows) for column in columns], columns
    )


def check_columns(path: str, found: Sequence[str], wanted: Sequence[str]) -> None:
    """Raises SourceError if a file has a wanted column not at all, or several times."""
    twice = [column for column in wanted if list(found).count(column) > 1]
    if twice:
        raise SourceError(f"{path}: has several columns named {twice[0]!r}; rename all but one")
    missing = [column for column in wanted if column not in found]
    if missing:
        raise SourceError(
            f"{path}: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, found))}. "
            f"Mend the name in the spec (a field reads another column with `column:`)"
        )


def raw_row(batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    """Returns a row as plain values; texts that are not valid UTF-8 as bytes, times that Python has not as text."""
    return {name: _plain(column[row]) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _plain(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        if pa.types.is_string(value.type) or pa.types.is_large_string(value.type):
            return value.cast(pa.large_binary()).as_py()
        if isinstance(value, pa.ListScalar):
            return [_plain(item) for item in value.values]
        return str(value.cast(pa.string()))
