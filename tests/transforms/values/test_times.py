"""Parts of times equal Python's `datetime` and `zoneinfo`; times between two times equal a plain subtraction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.transforms.spec import MISSING_TIME, Age, TimePart
from fieldpool.transforms.values.times import part_of_time, time_between
from fieldpool.transforms.values.zones import offsets_of

# Zones with rules that differ: whole hours and not, north and south, changed often, never, by days, or without a rule.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Istanbul",
    "Europe/Moscow",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Caracas",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Gaza",
    "Asia/Pyongyang",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Antarctica/Troll",
]
FIRST, LAST = int(datetime(1970, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2037, 12, 31, tzinfo=UTC).timestamp())
PARTS = {
    "hour": lambda moment: moment.hour,
    "weekday": lambda moment: moment.weekday(),
    "day": lambda moment: moment.day,
    "month": lambda moment: moment.month,
    "hour_of_week": lambda moment: 24 * moment.weekday() + moment.hour,
}


def parts_of(seconds: np.ndarray, part: str, zone: str) -> list[int]:
    times = tf.constant(seconds.astype(np.int64) * 1_000_000)
    derivation = TimePart.model_validate({"time": "t", "part": part, "zone": zone})
    return [int(text) for text in part_of_time(times, derivation).numpy().tolist()]


def around_changes(zone: str) -> np.ndarray:
    """Returns seconds before, at and after each change of a zone's offset, and the same an hour away: both folds."""
    starts = offsets_of(zone).starts[1:]
    near = starts[(starts > FIRST + 7200) & (starts < LAST - 7200)][:, np.newaxis]
    return (near + np.array([-7200, -3601, -3600, -1, 0, 1, 3599, 3600, 7199])).ravel()


@pytest.mark.parametrize(
    ("part", "expected"), [("hour", "2"), ("weekday", "6"), ("day", "31"), ("month", "3"), ("hour_of_week", "146")]
)
def test_parts_are_those_of_the_local_time(part: str, expected: str) -> None:
    moment = datetime(2024, 3, 31, 2, 30, tzinfo=ZoneInfo("America/Phoenix"))
    times = tf.constant([int(moment.timestamp()) * 1_000_000])
    derivation = TimePart.model_validate({"time": "t", "part": part, "zone": "America/Phoenix"})
    assert part_of_time(times, derivation).numpy().tolist() == [expected.encode()]


@pytest.mark.parametrize("zone", ZONES)
def test_hours_equal_those_of_zoneinfo(zone: str) -> None:
    rng = np.random.default_rng(ZONES.index(zone))
    seconds = np.concatenate([around_changes(zone), rng.integers(FIRST, LAST, 10_000)])
    info = ZoneInfo(zone)
    expected = [datetime.fromtimestamp(second, info).hour for second in seconds.tolist()]
    assert parts_of(seconds, "hour", zone) == expected


@given(st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 30)), min_size=1, max_size=50))
@settings(deadline=None, max_examples=50)
def test_all_parts_equal_those_of_datetime(moments: list[datetime]) -> None:
    info = ZoneInfo("Europe/Berlin")
    aware = [moment.replace(tzinfo=UTC).astimezone(info) for moment in moments]
    times = np.array([(moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) for moment in aware])
    for part, of_moment in PARTS.items():
        assert parts_of(times, part, "Europe/Berlin") == [of_moment(moment) for moment in aware]


def test_a_missing_time_has_no_part() -> None:
    derivation = TimePart(time="t", part="hour")
    assert part_of_time(tf.constant([MISSING_TIME, 0], tf.int64), derivation).numpy().tolist() == [b"", b"0"]


@pytest.mark.parametrize(
    ("unit", "expected"), [("seconds", 5400.0), ("minutes", 90.0), ("hours", 1.5), ("days", 0.0625)]
)
def test_the_time_between_two_times_is_in_the_unit(unit: str, expected: float) -> None:
    derivation = Age.model_validate({"age": "published", "at": "clicked", "unit": unit})
    published, clicked = tf.constant([0, 5_400_000_000], tf.int64), tf.constant([5_400_000_000, 0], tf.int64)
    assert time_between(published, clicked, derivation).numpy().tolist() == [expected, -expected]


@pytest.mark.parametrize("missing", [(MISSING_TIME, 0), (0, MISSING_TIME), (MISSING_TIME, MISSING_TIME)])
def test_the_time_between_is_missing_if_a_time_is(missing: tuple[int, int]) -> None:
    earlier, later = (tf.constant([time], tf.int64) for time in missing)
    assert np.isnan(time_between(earlier, later, Age(age="a", at="b")).numpy()).all()
