"""The output of readers: unconverted rows of one file, and the rows that could not be read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa

from ...transforms.errors import SourceError
from .paths import TEXT, Shapes, Steps, columns_at, members_of, root_of, shape_at

BATCH_ROWS = 16_384

# Delimiters that a name may have if the file is read with another one; and the names of columns without a header.
_DELIMITERS = ("::", "||", ";", "\t", "|", ",", "^", "~")
_BY_POSITION = re.compile(r"c\d+")

# A text value is truncated to this many characters in the raw values of a rejected row, and in its reason.
_RAW_CHARACTERS = 1000
_REASON_CHARACTERS = 200


class Reason(StrEnum):
    """Why a row is rejected, shown to users; `format` fills in the braces. docs/errors.md lists all reasons."""

    WRONG_WIDTH = "expected {expected} columns, found {found}"
    UNCLOSED_QUOTE = "a quote is not closed"
    TEXT_AFTER_QUOTE = "text after a closing quote"
    NO_JSON_OBJECT = "not a JSON object: {error}"
    NESTED_VALUE = "expected text, a number or a list of these, found {found}"
    WRONG_PATH = "the path does not fit: {error}"
    TEXT_ON_PATH = "the path leads into a text; if the text is a list, set list: json or list: python"
    NO_FFM = "not a line of libffm (label field:feature:value …): {found}"
    NO_EXAMPLE = "not a tf.Example"
    NO_MATCH = "expected an element that matches source.explode.into"
    NO_KEY = "the key is missing"
    NO_LABEL = "the label is missing"
    NO_VALUE = "the value is missing"
    EMPTY_LIST = "the list is empty"
    NO_LIST = "not a list: expected {expected}"
    WRONG_LABEL = "expected a label of 0 or 1 (as text '0' or '1') or a boolean (or set label.positive)"
    NO_LABEL_WEIGHT = "the weight of the row is missing"
    WRONG_LABEL_WEIGHT = "expected a finite, non-negative number as the weight of the row"
    NO_NUMBER = "expected a number for label.positive {rule!r}"
    NOT_FINITE = "not a finite number"
    UNKNOWN_SPLIT = "expected one of {expected}"
    NO_TIME = "not a time: expected {expected}"
    NOTHING_TO_HASH = "the value to hash is missing"
    SEVERAL_VALUES = "expected a single value"
    WRONG_WEIGHTS = "expected one weight for each value of {column}"
    WRONG_WEIGHT = "a weight is not a finite, non-negative number"
    INVALID_UTF8 = "not valid UTF-8"
    LONG_VALUE = "a value is longer than limits.value_bytes ({limit:,} bytes)"
    NAN_PROBABILITY = "the model's probability is NaN: its numbers overflow for this row"
    LONG_LIST = "the list has more values than limits.list_values ({limit:,})"
    OTHER_LENGTH = "expected a vector of {length} numbers"


@dataclass(frozen=True)
class Rejected:
    """A rejected row. `row` is its number among the data rows of `source`, from 1, or the text of `exploding`."""

    source: str
    row: int | str
    field: str
    reason: str
    raw: dict[str, Any]

    def order(self) -> tuple[int, ...]:
        """Returns the row as numbers, by which rows of one source are in order: `12.3` is (12, 3)."""
        return tuple(map(int, str(self.row).split(".")))


@dataclass(frozen=True)
class SourceBatch:
    """Unconverted rows of one file.

    Attributes:
        source: The file's path.
        numbers: The number of each row in the file, int64 `[rows]`, from 1; of exploded rows texts such as `12.3`.
        data: The rows, with at least the requested columns, in the plain types of `column_types`; without columns if
            there are no rows.
        rejected: Rows that could not be read.
        source_rows: The number of rows of the file that exploded rows were made from; None if rows are not exploded.
        in_texts: Columns whose path leads into their texts, which are lists, and the steps that are left: see `paths`.
    """

    source: str
    numbers: np.ndarray
    data: pa.RecordBatch
    rejected: list[Rejected] = field(default_factory=list)
    source_rows: int | None = None
    in_texts: Mapping[str, Steps] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """The number of rows in this batch, including rejected rows."""
        return self.data.num_rows + len(self.rejected)


def no_rows() -> pa.RecordBatch:
    """Returns an empty batch, for a SourceBatch that has only rejected rows."""
    return pa.RecordBatch.from_pylist([])


def selected(batch: pa.RecordBatch | pa.Table, columns: list[str]) -> Any:
    """Returns the given columns of a batch; a column that the batch lacks is filled with nulls."""
    names = set(batch.schema.names)
    return type(batch).from_arrays(
        [batch[column] if column in names else pa.nulls(batch.num_rows) for column in columns], columns
    )


def at_paths(batch: SourceBatch, paths: Sequence[str]) -> SourceBatch:
    """Returns a batch with the columns at the given paths, without those that it lacks, in place of its columns.

    Raises:
        WrongPathError: a path does not fit the type of its column.
    """
    names = batch.data.schema.names
    if set(paths) <= set(names) or not batch.data.num_rows:
        return batch
    data, in_texts = columns_at(batch.data, [path for path in paths if root_of(path, names)])
    return replace(batch, data=data, in_texts={**batch.in_texts, **in_texts})


def check_columns(
    path: str, found: Sequence[str], wanted: Sequence[str], other: str | None = None, shapes: Shapes | None = None
) -> None:
    """Raises SourceError if a file lacks a requested column, or has several columns of that name.

    Args:
        path: The file.
        found: Its columns.
        wanted: The requested columns, or paths into nested columns.
        other: A file that has the columns, if there is one.
        shapes: The shapes of its columns; by default, all are texts.
    """
    shapes = shapes or dict.fromkeys(found, TEXT)
    names = [root for root, _ in filter(None, (root_of(column, shapes) for column in wanted))]
    duplicates = [name for name in names if list(found).count(name) > 1]
    if duplicates:
        raise SourceError(f"{path}: has several columns named {duplicates[0]!r}; rename all but one")
    missing = [column for column in wanted if shape_at(column, shapes) is None]
    if missing:
        has = [column for name in found for column in members_of(name, shapes[name])[0] or [name]]
        shown = ", ".join(map(repr, missing)), ", ".join(map(repr, has))
        raise SourceError(f"{path}: has no column {shown[0]}; it has {shown[1]}. {_next_step(found, missing, other)}")


def _next_step(found: Sequence[str], missing: Sequence[str], other: str | None) -> str:
    """Returns what the user can do if a file with the columns `found` lacks some; `other` has them."""
    for delimiter in _DELIMITERS:
        parts = {part.strip(" \"'") for name in found if delimiter in name for part in name.split(delimiter)}
        if parts.issuperset(missing) and other:
            return f"Unlike in {other}, its names are separated by {delimiter!r}: use one delimiter in all files"
        if parts.issuperset(missing):
            setting = f"`source: {{delimiter: {json.dumps(delimiter)}}}`"
            return f"Its names are separated by {delimiter!r}: set {setting} or `source: auto` in the spec"
    if other and f"/{missing[0]}=" in f"/{other}":
        folder = f"'{missing[0]}=VALUE'"
        return f"{other} has it as a folder of its path: move this file into a folder {folder}, or leave it out"
    if other:
        return f"{other} has it: add the column to this file, empty if its values are missing, or leave the file out"
    if all(map(_BY_POSITION.fullmatch, missing)):
        return "If its first line is a row, set `source: {header: false}` in the spec; the columns are then c0, c1, …"
    return (
        "Correct the name in the spec (a field reads another column with `column:`). If the spec is that of a run or "
        "model, the data must have its columns: add or rename the column in the files"
    )


def raw_row(batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    """Returns a row as Python values; invalid UTF-8 as bytes, times that Python cannot represent as text."""
    return {name: _plain(column[row]) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def rejected_row(source: str, number: int | str, column: str, reason: str, raw: Mapping[str, Any]) -> Rejected:
    """Returns a row that is rejected for a value; its reason has the value found. `raw` are values of `raw_row`."""
    values = {name: as_json(value) for name, value in raw.items()}
    value = values.get(column)
    found = "" if value is None else f", found {_truncated(repr(value), _REASON_CHARACTERS)}"
    return Rejected(source, number, column, reason + found, values)


def as_json(value: Any) -> Any:
    """Returns a value that can be written as JSON, truncated to a readable length; NaN and infinity as text."""
    if isinstance(value, list):
        return [as_json(item) for item in value[:100]]
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, str):
        return _truncated(value, _RAW_CHARACTERS)
    is_json = isinstance(value, int | bool | None) or (isinstance(value, float) and math.isfinite(value))
    return value if is_json else str(value)


def _truncated(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + "…"


def _plain(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (ValueError, OverflowError, LookupError):  # LookupError: a time zone that this machine does not know.
        if pa.types.is_timestamp(value.type):
            value = value.cast(pa.timestamp(value.type.unit))
        if pa.types.is_string(value.type) or pa.types.is_large_string(value.type):
            return value.cast(pa.large_binary()).as_py()
        if isinstance(value, pa.ListScalar):
            return [_plain(item) for item in value.values]
        return str(value.cast(pa.string()))


def is_utf8(text: bytes) -> bool:
    """Returns whether a text is valid UTF-8. pyarrow prints a traceback if it cannot decode a row for a handler."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
