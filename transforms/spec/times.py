"""Units of times: the unit of a number by its size, and its conversion to seconds since 1970, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import numpy as np

from ..errors import UserError

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "date", "number"]

# The sizes by which a unit is recognised: times from 1973 to 2286. Numbers in none of the ranges have no known unit.
_EPOCHS = {"s": (1e8, 1e10), "ms": (1e11, 1e13), "us": (1e14, 1e16), "ns": (1e17, 1e19)}
_DATES = (19000101, 21001231)
_MICROSECOND = timedelta(microseconds=1)
_ROUNDED_UP = re.compile(r"[.,]\d{6}[5-9]")  # The digits after microseconds.
# A time whose year, month, day, hour, minute and second differ.
_EXAMPLE = datetime(2001, 2, 3, 16, 5, 6, tzinfo=UTC)
_MICROSECONDS = {"ms": 1e3, "us": 1.0, "ns": 1e-3}

DESCRIPTIONS = {
    "s": "seconds since 1970",
    "ms": "milliseconds since 1970",
    "us": "microseconds since 1970",
    "ns": "nanoseconds since 1970",
    "date": "dates as YYYYMMDD",
    "number": "plain numbers",
}


def is_of_unit(numbers: np.ndarray, unit: str) -> np.ndarray:
    """Returns which numbers look like times of a unit, by their size, bool `[rows]`.

    For `date`, these are YYYYMMDD from 1900 to 2100; for `number`, those that look like times of no other unit.
    """
    if unit == "number":
        return ~np.any([is_of_unit(numbers, other) for other in DESCRIPTIONS if other != "number"], axis=0)
    if unit == "date":
        return ~np.isnan(_seconds_of_dates(numbers))
    low, high = _EPOCHS[unit]
    return (numbers >= low) & (numbers < high)


def unit_of(number: float) -> str:
    """Returns the unit that a number looks like a time of, a key of DESCRIPTIONS."""
    return next(unit for unit in DESCRIPTIONS if is_of_unit(np.array([number]), unit)[0])


def seconds_of(numbers: np.ndarray, unit: str) -> np.ndarray:
    """Returns numbers of a unit as seconds since 1970, float64 `[rows]`, rounded to microseconds.

    Seconds and plain numbers are returned unchanged; NaN if the unit is `date` and a number is not a date.
    """
    if unit == "date":
        return np.where(np.isinf(numbers), numbers, _seconds_of_dates(numbers))
    # The product is rounded so that the same instant is the same number in every unit.
    return np.round(numbers * _MICROSECONDS[unit]) / 1e6 if unit in _MICROSECONDS else numbers


def in_unit(seconds: float, unit: str) -> float | str:
    """Returns seconds since 1970 as a number of a unit, the inverse of `seconds_of`; as ISO 8601 text for `date`."""
    if unit == "date" and np.isfinite(seconds):
        return iso_text(seconds).removesuffix("T00:00:00Z")
    return float(np.round(seconds * 1e6) / _MICROSECONDS[unit]) if unit in _MICROSECONDS else seconds


def iso_text(seconds: float) -> str:
    """Returns seconds since 1970 as ISO 8601 text in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def number_of(value: float | str) -> float | None:
    """Returns a number, or a text that is a number, as a float; None for other texts."""
    try:
        return float(value)
    except ValueError:
        return None


def seconds_of_text(text: str) -> float:
    """Returns an ISO 8601 text as seconds since 1970; without a time zone, it is taken as UTC.

    Raises:
        ValueError: the text is not ISO 8601.
    """
    text = text.strip().replace("Z", "+00:00")
    # Python's datetime drops digits after microseconds.
    return (_microseconds(datetime.fromisoformat(text)) + bool(_ROUNDED_UP.search(text))) / 1e6


def seconds_of_format(text: str, time_format: str) -> float:
    """Returns a text in a format of strptime as seconds since 1970; without a time zone, it is taken as UTC.

    Raises:
        ValueError: the text does not have the format.
    """
    return _microseconds(datetime.strptime(text.strip(), time_format.strip())) / 1e6


def _microseconds(moment: datetime) -> int:
    # Python's datetime has no year 10000, which 9999-12-31T23:00-05:00 is in UTC.
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1) - (moment.utcoffset() or timedelta())) // _MICROSECOND


def check_format(time_format: str) -> None:
    """Raises ValueError if a format is not one of strptime, or if it would read times wrongly without an error."""
    directives = set(re.findall(r"%(.)", time_format, re.DOTALL))
    if ("I" in directives) != ("p" in directives):
        raise ValueError(f"expected %I together with %p, or %H for 24 hours; found {time_format!r}")
    if directives & set("UW") and not directives & set("aAwu"):
        raise ValueError(f"expected a day of the week (%a) beside the week (%U or %W), found {time_format!r}")
    if "Z" in directives:
        raise ValueError(
            f"expected offsets as %z; names of zones (%Z) cannot be read. Found {time_format!r}; if all times have the "
            "same zone, write its name in place of %Z, and the times are taken as UTC"
        )
    try:
        text = _EXAMPLE.strftime(time_format)
        has_year = datetime.strptime(text.strip(), time_format.strip()).year == _EXAMPLE.year
    except (ValueError, re.error) as error:
        raise ValueError(
            f"expected a format of Python's strptime, such as '%d.%m.%Y %H:%M'; found {time_format!r} ({error})"
        ) from None
    if not has_year:
        raise ValueError(f"expected a format with a year (%Y or %y), found {time_format!r}")


def boundary_seconds(value: float | str, unit: str) -> float:
    """Returns a boundary of a time split, a number of the unit or ISO 8601 text, as `seconds_of` does.

    Raises:
        ValueError: the text is neither a number nor ISO 8601.
    """
    number = number_of(value)
    return seconds_of_text(str(value)) if number is None else float(seconds_of(np.array([number]), unit)[0])


def shown(value: float | str | None) -> str:
    """Returns a boundary as text: 20240131, not 20240131.0 or 2.0240131e7."""
    return np.format_float_positional(value, trim="-") if isinstance(value, float) else str(value)


def _seconds_of_dates(numbers: np.ndarray) -> np.ndarray:
    """Returns YYYYMMDD as seconds since 1970, NaN for numbers that are not dates from 1900 to 2100."""
    found = np.full(len(numbers), np.nan)
    is_near = (numbers >= _DATES[0]) & (numbers <= _DATES[1]) & (numbers == np.floor(numbers))
    if not is_near.any():
        return found
    digits = numbers[is_near].astype(np.int64)
    years, months, days = digits // 10000, digits // 100 % 100, digits % 100
    first = ((years - 1970) * 12 + months - 1).astype("datetime64[M]")
    dates = first.astype("datetime64[D]") + (days - 1)
    is_date = (months >= 1) & (months <= 12) & (dates.astype("datetime64[M]") == first)
    found[is_near] = np.where(is_date, dates.astype("datetime64[s]").astype(np.float64), np.nan)
    return found


def parsed_date(text: str, option: str) -> date:
    """Returns the date of an option.

    Raises:
        UserError: it is not a date.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option}: expected a date such as 2026-11-28, found {text!r}") from None
