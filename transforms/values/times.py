"""Parts of times, and the time between two times. Times are int64 `[batch]`, microseconds since 1970, in UTC."""

from __future__ import annotations

import tensorflow as tf

from ..spec import MISSING_TIME, Age, TimePart
from .zones import offsets_of

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR
_UNITS = {"seconds": _SECOND, "minutes": 60 * _SECOND, "hours": _HOUR, "days": _DAY}


def part_of_time(times: tf.Tensor, derivation: TimePart) -> tf.Tensor:
    """Returns a part of each time in a time zone, as decimal text, string `[batch]`; the empty text if it is missing.

    It equals that of `datetime.fromtimestamp(seconds, ZoneInfo(zone))` from 1900 to 2100.
    """
    is_missing = tf.equal(times, MISSING_TIME)
    local = _local(tf.where(is_missing, tf.zeros_like(times), times), derivation.zone)
    # Days since 1970, and the microseconds since the day began.
    day, within = tf.math.floordiv(local, _DAY), tf.math.floormod(local, _DAY)
    hour, weekday = within // _HOUR, tf.math.floormod(day + 3, 7)  # 1970 began on a Thursday.
    if derivation.part == "hour":
        part = hour
    elif derivation.part == "weekday":
        part = weekday
    elif derivation.part == "hour_of_week":
        part = 24 * weekday + hour
    else:
        month, day_of_month = _month_and_day(day)
        part = month if derivation.part == "month" else day_of_month
    return tf.where(is_missing, "", tf.strings.as_string(part))


def time_between(earlier: tf.Tensor, later: tf.Tensor, derivation: Age) -> tf.Tensor:
    """Returns the time between two times in the derivation's unit, float32 `[batch]`; NaN if one of them is missing."""
    is_missing = tf.equal(earlier, MISSING_TIME) | tf.equal(later, MISSING_TIME)
    difference = tf.cast(later - earlier, tf.float64) / _UNITS[derivation.unit]
    return tf.where(is_missing, float("nan"), tf.cast(difference, tf.float32))


def _local(times: tf.Tensor, zone: str) -> tf.Tensor:
    """Returns the times of the clocks in a zone: UTC plus its offset at that moment."""
    offsets = offsets_of(zone)
    seconds = tf.math.floordiv(times, _SECOND)
    index = tf.searchsorted(tf.constant(offsets.starts), seconds, side="right") - 1
    return times + tf.gather(tf.constant(offsets.seconds * _SECOND), index)


def _month_and_day(days: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the month, 1 to 12, and the day of the month, 1 to 31, of days since 1970.

    Years are counted from 1 March, so that the leap day is the last one: in every year, month m after March then begins
    on day (153·m + 2) ÷ 5. An era has 400 years, 146,097 days; 1 March of the year 0 is 719,468 days before 1970.

    29 February 2024 is day 19,782 since 1970, so day 8,765 of its era: day 365 of the year 23, in month 11, day 29.
    """
    of_era = tf.math.floormod(days + 719_468, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    return tf.where(month < 10, month + 3, month - 9), of_year - (153 * month + 2) // 5 + 1
