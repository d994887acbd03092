"""Reads times from a column: those of a split, in its unit, and those of derived fields, in microseconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.spec import TimeColumn, TimeSplit
from ...transforms.spec.times import (
    DESCRIPTIONS,
    boundary_seconds,
    is_of_unit,
    number_of,
    seconds_of,
    seconds_of_format,
    seconds_of_text,
    unit_of,
)
from ..sources.batches import Reason
from . import columns

# The end of the year 9999.
_LAST_SECOND = 253_402_300_800.0

_ISO = "ISO 8601 such as 2024-01-31T10:00:00Z"

# What a time may be, for the reason of rejected rows.
EXPECTED = {
    **{unit: f"{DESCRIPTIONS[unit]} or {_ISO}" for unit in ("s", "ms", "us", "ns")},
    "date": f"a date as YYYYMMDD or {_ISO}",
    "number": "a number",
    "auto": f"a number or {_ISO}",
}


@dataclass(frozen=True)
class Times:
    """The values of a time column.

    Attributes:
        values: Float64 `[rows]`: numbers as they are, timestamps, dates and ISO 8601 texts as seconds since 1970. NaN
            if a value is missing, not finite, or a text that is neither a number nor ISO 8601.
        is_number: Whether a value is a number, whose unit is that of the split; bool `[rows]`.
    """

    values: np.ndarray
    is_number: np.ndarray

    def seconds(self, unit: str) -> np.ndarray:
        """Returns the times as seconds since 1970, or as they are for plain numbers; float64 `[rows]`.

        NaN if a value is not a time of the unit: a number that looks like a time of another unit, or for `number` a
        value that is not a number. With `auto`, all values are returned as they are.
        """
        if unit == "auto":
            return self.values
        if unit == "number":
            return np.where(self.is_number, self.values, np.nan)
        converted = seconds_of(self.values, unit)
        if unit != "date":  # Of which only dates are converted.
            is_other = ~(is_of_unit(self.values, unit) | is_of_unit(self.values, "number"))
            converted = np.where(is_other, np.nan, converted)
        return np.where(self.is_number, converted, self.values)

    @property
    def are_compact_dates(self) -> bool:
        """Whether most numbers are YYYYMMDD, and no value is another time."""
        is_time = ~np.isnan(self.values)
        numbers = self.values[is_time & self.is_number]
        return bool(2 * is_of_unit(numbers, "date").sum() > len(numbers) and self.is_number[is_time].all())


def read_times(column: pa.Array, name: str, time_format: str | None = None) -> Times:
    """Returns the times of a column with numbers, timestamps, dates or texts.

    Args:
        column: The values.
        name: The column's name, for errors.
        time_format: The format of texts, and of the texts of numbers; timestamps and dates need none.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return read_times(column.dictionary_decode(), name, time_format)
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
        kind = column.type
    if pa.types.is_timestamp(kind):
        numbers = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        if kind.unit == "ns":  # Which float64 cannot represent exactly.
            numbers, kind = numbers // 1000 + (numbers % 1000 >= 500), pa.timestamp("us")
        values = np.where(column.is_null(), np.nan, seconds_of(numbers.astype(np.float64), kind.unit))
        is_number = np.zeros(len(values), bool)
    elif time_format is not None:
        return _read_texts(columns.tokens(column, name).values, time_format)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        # A safe cast would refuse large integers.
        values = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
        is_number = np.ones(len(values), bool)
    else:
        pairs = [_of_text(value) for value in columns.tokens(column, name).values.to_pylist()]
        values = np.array([value for value, _ in pairs], np.float64)
        is_number = np.array([is_number for _, is_number in pairs], bool)
    return Times(np.where(np.isfinite(values), values, np.nan), is_number)


def microseconds(column: pa.Array, name: str, how: TimeColumn) -> columns.Column:
    """Returns one time a row, int64 microseconds since 1970 in UTC; null if it is missing. Bad: not a time.

    Args:
        column: As in `read_times`.
        name: The column's name, for errors.
        how: With the unit `auto`, each number has the unit that its size shows.
    """
    times = read_times(column, name, how.format)
    seconds = _seconds_by_size(times) if how.unit == "auto" else times.seconds(how.unit)
    is_time = np.abs(seconds) < _LAST_SECOND  # False for NaN.
    numeric = pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_temporal(column.type)
    present = column.is_valid() if numeric else columns.tokens(column, name).values.is_valid()
    is_missing = ~np.asarray(present)
    if pa.types.is_floating(column.type):
        is_missing |= np.asarray(pc.is_nan(column).fill_null(True))
    found = np.where(is_time, np.round(np.where(is_time, seconds, 0.0) * 1e6), 0).astype(np.int64)
    expected = EXPECTED[how.unit] if how.format is None else f"the format {how.format!r}"
    return columns.Column(
        pa.array(found, mask=~is_time), ~is_time & ~is_missing, Reason.NO_TIME.format(expected=expected)
    )


def _seconds_by_size(times: Times) -> np.ndarray:
    """Returns the times as seconds since 1970, float64 `[rows]`; NaN for numbers whose size shows no unit."""
    seconds = np.where(times.is_number, np.nan, times.values)
    for unit in ("s", "ms", "us", "ns", "date"):
        of_unit = times.is_number & is_of_unit(times.values, unit)
        if of_unit.any():
            seconds[of_unit] = seconds_of(times.values[of_unit], unit)
    return seconds


def _of_text(value: bytes | None) -> tuple[float, bool]:
    """Returns a text as in `Times`: its value, and whether it is a number."""
    try:
        text = "nan" if value is None else value.decode()
        number = number_of(text)
        return (seconds_of_text(text), False) if number is None else (number, True)
    except ValueError:
        return np.nan, False


def _read_texts(texts: pa.Array, time_format: str) -> Times:
    """Returns the times of texts in a format; equal texts are parsed once."""
    encoded = texts.dictionary_encode()
    seconds = _seconds_by_arrow(encoded.dictionary, time_format.strip())
    for row in np.flatnonzero(np.isnan(seconds)).tolist():
        seconds[row] = _of_format(encoded.dictionary[row].as_py(), time_format)
    values = np.append(seconds, np.nan)[np.asarray(encoded.indices.fill_null(-1))]
    return Times(values, np.zeros(len(texts), bool))


def _seconds_by_arrow(texts: pa.Array, time_format: str) -> np.ndarray:
    """Returns the times of texts that Arrow certainly reads as Python does, in a third of the time; NaN for others.

    Arrow takes 30 February for 1 March, and knows no offsets and fractions. So its time counts only if it is written as
    the same text, except for leading zeros.
    """
    try:
        trimmed = pc.utf8_trim_whitespace(texts.cast(pa.large_string()))
        times = pc.strptime(trimmed, format=time_format, unit="s", error_is_null=True)
        written, given = (
            pc.replace_substring_regex(values.cast(pa.large_string()), r"\b0(\d)", r"\1")
            for values in (pc.strftime(times, format=time_format), trimmed)
        )
        seconds = pc.if_else(pc.equal(written, given), times.cast(pa.int64()).cast(pa.float64()), None)
        return np.array(seconds.fill_null(np.nan))
    except pa.ArrowException:  # A text is not valid UTF-8, or Arrow does not know the format.
        return np.full(len(texts), np.nan)


def _of_format(text: bytes, time_format: str) -> float:
    try:
        return seconds_of_format(text.decode(), time_format)
    except ValueError:
        return np.nan


def expected_time(split: TimeSplit, unit: str) -> str:
    """Returns what the values of a split's column may be, for errors; `unit` is that of its numbers."""
    return EXPECTED[unit] if split.time_format is None else f"the format {split.time_format!r}"


def split_unit(split: TimeSplit) -> str:
    """Returns the unit of the numbers in the column of a split with boundaries, or `auto` if it is not known.

    If the spec does not have it, like those of runs of version 0.1.0, it is that of the boundaries; for dates, seconds.
    """
    if split.time_format is not None:
        return "s"
    if split.time_unit != "auto":
        return split.time_unit
    units = boundary_units(split)
    found = units.pop() if len(units) == 1 else "auto"
    return {"dates": "s", "date": "auto", "number": "auto"}.get(found, found)


def boundary_units(split: TimeSplit) -> set[str]:
    """Returns the units that the boundaries look like; `dates` for ISO 8601 texts, nothing for infinite numbers."""
    given = [value for value in (split.eval_from, split.test_from) if value is not None]
    numbers = [number_of(value) for value in given]
    return {"dates" if n is None else unit_of(n) for n in numbers if n is None or np.isfinite(n)}


def boundaries_of(split: TimeSplit, unit: str) -> tuple[float, float]:
    """Returns the boundaries of a split in the terms of `Times.seconds`."""
    assert split.eval_from is not None
    assert split.test_from is not None
    return boundary_seconds(split.eval_from, unit), boundary_seconds(split.test_from, unit)
