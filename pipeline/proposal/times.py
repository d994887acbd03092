"""Finds the columns with times, by their types, texts, numbers and names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.spec import TimeColumn as TimeSettings
from ...transforms.spec.times import DESCRIPTIONS, is_of_unit, iso_text, seconds_of
from ..rows.columns import TEXT
from ..rows.times import microseconds, read_times
from .column_sample import FEW, NO_NAMES, ColumnSample
from .field_rules import DerivedField
from .time_formats import TimeFormat, find_compact_format, find_format

# The share of the texts of a column that must be times, and the number of distinct numbers such as 14102100.
_LEAST_TIMES, _LEAST_COMPACT = 0.9, 20

_NAMES = re.compile(
    r"(?i:(.*[_\-. ])?(time|timestamp|date|datetime|ts|hour|dt|ds)([_\-. ].*)?|.*_at|.*timestamp|.*datetime)"
    r"|.*[a-z](Time|Date|At)([A-Z].*)?"
)
# Numbers in columns with these names are durations, unless they look like times since 1970.
_DURATIONS = re.compile(r".*(watch|dwell|play|view|load|response|elapsed|spent|wait|read).*", re.IGNORECASE)
# Times in columns with these names are not those of the event that a row describes.
_OF_OTHERS = re.compile(
    r".*(birth|dob|release|publish|signup|sign_up|regist|joined|expir|first_|last_|update|modified|premier).*",
    re.IGNORECASE,
)

# The number of different hours, or weekdays, that make them worth a field.
_LEAST_PARTS = 4

# Numbers in a column without a name are times if all of them are of these years: from 1995 to 2040.
_FIRST, _LAST = 788_918_400, 2_208_988_800


@dataclass(frozen=True)
class TimeColumn:
    """A column with times.

    Attributes:
        name: The column.
        rows: The share of the rows that have a time, 0 to 1.
        distinct: The number of distinct values.
        settings: Entries of a time split that say how to read the times: `time_unit`, `time_format`.
        reasons: Why the values are times.
    """

    name: str
    rows: float
    distinct: int
    settings: Mapping[str, Any]
    reasons: Sequence[str]

    @property
    def is_of_event(self) -> bool:
        """Whether it may be the time of what a row describes, and not another time, such as a date of birth."""
        return _OF_OTHERS.fullmatch(self.name) is None


def find_times(samples: Mapping[str, ColumnSample]) -> dict[str, TimeColumn]:
    """Returns the columns with times, by name."""
    found = (_time_column(sample) for sample in samples.values() if sample.counts and not sample.is_list)
    return {column.name: column for column in found if column is not None}


def derived_fields(samples: Mapping[str, ColumnSample], times: Mapping[str, TimeColumn]) -> dict[str, DerivedField]:
    """Returns the fields that are worth deriving from times, by name.

    These are the hour and the weekday of the event, if it happens at several of them, and the ages of other times, such
    as that of publication, at the time of the event.
    """
    known = {name: _microseconds(samples[name], time) for name, time in times.items()}
    events = [time for time in times.values() if time.is_of_event and len(known[time.name])]
    if not events:
        return {}
    event = max(events, key=lambda time: time.distinct).name
    hours = known[event] // 3_600_000_000
    found: dict[str, DerivedField] = {}
    for part, units in (("hour", hours % 24), ("weekday", hours // 24 % 7)):
        different = len(np.unique(units))
        if different >= _LEAST_PARTS:
            reason = f"{event} has {different} different {part}s, in UTC; set `zone` for the local time of the users"
            derivation = {"time": event, "part": part, "zone": "UTC"}
            found[f"{event}_{part}"] = DerivedField({"type": "categorical", "from": derivation}, [reason])
    for name, time in times.items():
        if not time.is_of_event and len(known[name]) and len(np.unique(known[name])) > 1:
            reason = f"{name} is another time than {event}: its age at that moment"
            derivation = {"age": name, "at": event, "unit": "days"}
            found[f"{name}_age"] = DerivedField({"type": "numeric", "from": derivation}, [reason])
    return found


def _microseconds(sample: ColumnSample, time: TimeColumn) -> np.ndarray:
    """Returns the times of a column, int64, without missing ones; none if it cannot be read as the spec would."""
    how = {"unit": time.settings.get("time_unit", "auto"), "format": time.settings.get("time_format")}
    if how["unit"] == "number":
        return np.zeros(0, np.int64)
    column = microseconds(sample.values, sample.name, TimeSettings.model_validate(how))
    return np.zeros(0, np.int64) if column.bad.any() else np.asarray(column.values.drop_null())


def _time_column(sample: ColumnSample) -> TimeColumn | None:
    kind = sample.values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _found(sample)
    if sample.numbers is not None:
        return _of_numbers(sample, sample.numbers)
    return _of_texts(sample) if sample.is_text and not sample.is_named_as_id else None


def _found(sample: ColumnSample, *reasons: str, share: float = 1.0, **settings: str) -> TimeColumn:
    rows = share * len(sample.texts) / len(sample.values)
    return TimeColumn(sample.name, rows, len(sample.counts), settings, reasons)


def _of_numbers(sample: ColumnSample, numbers: np.ndarray) -> TimeColumn | None:
    is_named = _NAMES.fullmatch(sample.name) is not None
    if is_named and read_times(sample.values, sample.name).are_compact_dates:
        return _found(sample, "dates as YYYYMMDD", time_unit="date")
    if len(sample.counts) < _LEAST_COMPACT or not (is_named or NO_NAMES.fullmatch(sample.name)):
        return None
    compact = find_compact_format(sample.counts) if sample.is_whole else None
    if compact is not None:
        return _of_format(sample, compact)
    if len(sample.counts) <= FEW:
        return None
    if _are_times_of_day(numbers):
        return None
    unit = next((unit for unit in ("s", "ms", "us", "ns") if is_of_unit(numbers, unit).all()), None)
    if unit is None:
        return _found(sample) if is_named and not _DURATIONS.fullmatch(sample.name) else None
    first, last = seconds_of(np.array([numbers.min(), numbers.max()]), unit).tolist()
    if not is_named and not (first >= _FIRST and last <= _LAST and sample.is_whole):
        return None
    return _found(sample, f"{DESCRIPTIONS[unit]}, from {iso_text(first)[:10]} to {iso_text(last)[:10]}")


def _are_times_of_day(numbers: np.ndarray) -> bool:
    """Returns whether numbers are times without a date, such as 935 and 2359, or 93500 and 235959."""
    if numbers.min() < 0 or numbers.max() >= 240_000 or (numbers % 1).any():
        return False
    hours, rest = np.divmod(numbers, 100 if numbers.max() < 2400 else 10_000)
    minutes, seconds = np.divmod(rest, 1 if numbers.max() < 2400 else 100)
    return bool(numbers.max() >= 1000 and hours.max() < 24 and minutes.max() < 60 and seconds.max() < 60)


def _of_texts(sample: ColumnSample) -> TimeColumn | None:
    """Returns a column with times as texts; a small share of them may be anything else."""
    is_iso = pc.match_substring_regex(sample.texts, rb"^\s*\d{4}-\d\d-\d\d")
    if pc.mean(is_iso).as_py() >= _LEAST_TIMES:
        texts, times = zip(*sample.counts.items(), strict=True)
        found = read_times(pa.array(texts, TEXT), sample.name)
        is_time = ~np.isnan(found.values) & ~found.is_number
        share = float(np.average(is_time, weights=times))
        if share >= _LEAST_TIMES:
            return _found(sample, "ISO 8601", share=share)
    found_format = find_format(sample.counts)
    return None if found_format is None else _of_format(sample, found_format)


def _of_format(sample: ColumnSample, found: TimeFormat) -> TimeColumn:
    return _found(sample, f"format {found.text}", *found.reasons, share=found.rows, time_format=found.text)
