"""The date of the rows of a run, from which the time is counted after which tokens are retired."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime

import numpy as np

from ...transforms.spec import TimeSplit
from ..rows.times import split_unit
from ..sources.formats.hive_folders import folder_columns
from .boundaries import TimeCounts

# In a folder with one of the names, digits alone are a date: other numbers of eight digits are ids, for example.
_DATE, _COMPACT = re.compile(rb"(\d{4})-(\d\d)-(\d\d)"), re.compile(rb"(\d{4})(\d\d)(\d\d)")
_COMPACT_NAMES = ("dt", "ds", "date", "day")


def newest_folder_date(paths: Iterable[str]) -> date | None:
    """Returns the newest date among partition folders such as `dt=2026-11-28` or `day=20261128`; None without one.

    Of several folders in a path, it is that of the innermost one of the names `dt`, `ds`, `date` and `day`, or else
    that of the innermost one with a date.

    Args:
        paths: Paths of files or folders.
    """
    return max(filter(None, map(_date_of_path, paths)), default=None)


def _date_of_path(path: str) -> date | None:
    columns = reversed(folder_columns(f"{path}/file").items())
    found = {name: day for name, value in columns if (day := _date_of(name, value)) is not None}
    return next((found[name] for name in found if name in _COMPACT_NAMES), next(iter(found.values()), None))


def _date_of(name: str, value: bytes | None) -> date | None:
    parts = _DATE.fullmatch(value or b"") or (_COMPACT.fullmatch(value or b"") if name in _COMPACT_NAMES else None)
    try:
        return date(*map(int, parts.groups())) if parts else None
    except ValueError:
        return None


def newest_date(times: TimeCounts, split: TimeSplit) -> date | None:
    """Returns the date, in UTC, of the newest time; None if the times are plain numbers, or there are none.

    Args:
        times: The times of the rows.
        split: Their split, with its boundaries and unit.
    """
    unit = split_unit(split)
    seconds = times.times.seconds(unit)
    if unit in ("auto", "number") or np.isnan(seconds).all():
        return None
    try:
        return datetime.fromtimestamp(float(np.nanmax(seconds)), UTC).date()
    except (ValueError, OverflowError, OSError):  # Before the year 1 or after 9999.
        return None
