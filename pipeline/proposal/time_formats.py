"""Finds the format of times that are not ISO 8601, in the words of `strptime`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ...transforms.spec.times import iso_text, seconds_of_format

# The share of the rows whose texts must have the format.
_LEAST_ROWS = 0.9

# Times of other years than these are numbers that look like times by chance.
_YEARS = ("1990", "2040")

_CLOCK = r"""
    (?:(?P<gap>,?[ T]|:)(?P<hour>\d{1,2}):\d\d(?P<second>:\d\d(?P<fraction>\.\d{1,6})?)?(?P<half>[ ]?[AaPp][Mm])?)?
    (?P<zone>[ ]?(?:[+-]\d\d:?\d\d|UTC|GMT|Z))?
"""
# Formats of dates, and what they look like. One of {one} and {two} is the day, the other the month.
_DATES = {
    "{one}{sep}{two}{sep}{year}": r"\d{1,2}(?P<sep>[/.\-])\d{1,2}(?P=sep)(?P<year>\d{4}|\d\d)",
    "%m %d, %Y": r"\d{1,2}[ ]\d{1,2},[ ]\d{4}",
    "%Y{sep}%m{sep}%d": r"\d{4}(?P<sep>[/.\-])\d{1,2}(?P=sep)\d{1,2}",
    "{weekday}%d{sep}{month}{sep}{year}": r"""
        (?P<weekday>[A-Z][a-z][a-z],[ ])?\d{1,2}(?P<sep>[ /\-])(?P<month>[A-Za-z]{3,9})(?P=sep)(?P<year>\d{4}|\d\d)""",
    "{month} %d{comma} %Y": r"(?P<month>[A-Z][a-z]{2,8})[ ]\d{1,2}(?P<comma>,?)[ ]\d{4}",
}
_PATTERNS = {text: re.compile(pattern + _CLOCK, re.VERBOSE) for text, pattern in _DATES.items()}
_TWEETS = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [+-]\d{4} \d{4}")
_TWEET_FORMAT = "%a %b %d %H:%M:%S %z %Y"

# Formats of numbers, by their digits: the hour of the year 2014 in 14102100, and longer ones.
_COMPACT = {8: "%y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%f"}


@dataclass(frozen=True)
class TimeFormat:
    """A format of times.

    Attributes:
        text: The format.
        rows: The share of the rows whose texts have it, 0 to 1.
        reasons: How the order of day and month was decided, if both are numbers.
    """

    text: str
    rows: float
    reasons: tuple[str, ...] = ()


def find_format(counts: Mapping[bytes, int]) -> TimeFormat | None:
    """Returns the format of most rows; None if it is not found.

    Args:
        counts: The number of rows of each distinct text.
    """
    texts = {text.decode("utf-8", "replace").strip(): rows for text, rows in counts.items()}
    shapes: Counter[str] = Counter()
    for text, rows in texts.items():
        shapes[_shape(text)] += rows
    shape = max(shapes, key=lambda shape: (shape != "", shapes[shape]), default="")
    if 2 * shapes[shape] < shapes.total() or not shape:
        return None
    if "{one}" not in shape:
        return _confirmed(shape, texts)
    orders = {"day": ("%d", "%m"), "month": ("%m", "%d")}
    formats = {name: shape.format(one=one, two=two) for name, (one, two) in orders.items()}
    shares = {name: _share(form, texts) for name, form in formats.items()}
    best = max(shares, key=lambda name: shares[name])
    if shares["day"] != shares["month"]:
        other = "month" if best == "day" else "day"
        reason = f"the {best} comes first: with the {other} first, {1 - shares[other]:.1%} of the rows are not dates"
    else:
        best = "month" if "%p" in shape else "day"
        reason = f"AMBIGUOUS: no day is above 12; the {best} is taken to come first, which you must check"
    return TimeFormat(formats[best], shares[best], (reason,)) if shares[best] >= _LEAST_ROWS else None


def find_compact_format(counts: Mapping[bytes, int]) -> TimeFormat | None:
    """Returns the format of numbers such as 20240131100000; None if they are not times of the years 1990 to 2040."""
    digits = {len(text) for text in counts}
    form = _COMPACT.get(digits.pop()) if len(digits) == 1 else None
    return (
        None if form is None else _confirmed(form, {text.decode("utf-8", "replace"): n for text, n in counts.items()})
    )


def _confirmed(form: str, texts: Mapping[str, int]) -> TimeFormat | None:
    share = _share(form, texts)
    return TimeFormat(form, share) if share >= _LEAST_ROWS else None


def _share(form: str, texts: Mapping[str, int]) -> float:
    """Returns the share of the rows that have times of a format."""
    return sum(rows for text, rows in texts.items() if _has_format(text, form)) / sum(texts.values())


def _has_format(text: str, form: str) -> bool:
    try:
        return _YEARS[0] <= iso_text(seconds_of_format(text, form))[:4] <= _YEARS[1]
    except (ValueError, OverflowError):
        return False


def _shape(text: str) -> str:
    """Returns the format of a text, with {one} and {two} for day and month in an unknown order; "" if it has none."""
    if _TWEETS.fullmatch(text):
        return _TWEET_FORMAT
    for date, pattern in _PATTERNS.items():
        match = pattern.fullmatch(text)
        if match is None:
            continue
        found = match.groupdict()
        of_date = {
            "one": "{one}",
            "two": "{two}",
            "sep": found.get("sep"),
            "comma": found.get("comma"),
            "year": "%Y" if len(found.get("year") or "") == 4 else "%y",
            "month": "%b" if len(found.get("month") or "") == 3 else "%B",
            "weekday": "%a, " if found.get("weekday") else "",
        }
        return date.format(**of_date) + _clock(found)
    return ""


def _clock(found: Mapping[str, str | None]) -> str:
    zone = found["zone"] or ""
    if zone.strip()[:1] in ("+", "-", "Z"):
        zone = zone.replace(zone.strip(), "%z")
    if not found["hour"]:
        return zone
    half = found["half"]
    seconds = ":%S" if found["second"] else ""
    fraction = ".%f" if found["fraction"] else ""
    hour = f"{'%I' if half else '%H'}:%M{seconds}{fraction}"
    return f"{found['gap']}{hour}{' %p' if half and half[0] == ' ' else '%p' if half else ''}{zone}"
