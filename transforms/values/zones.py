"""Time zones as tables: from an IANA name to the moments at which its offset to UTC changes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

_DAY = 86_400
# Offsets are those of `zoneinfo` from 1900 to 2100. Earlier and later times have the first and the last of them.
_FIRST_DAY = datetime(1900, 1, 1).toordinal() - datetime(1970, 1, 1).toordinal()
_LAST_DAY = datetime(2100, 1, 1).toordinal() - datetime(1970, 1, 1).toordinal()


@dataclass(frozen=True, eq=False)
class Offsets:
    """The offsets of a time zone.

    Attributes:
        starts: Seconds since 1970, in UTC, from which on an offset holds, int64 `[n]`, ascending; the first one is the
            smallest int64.
        seconds: Local time minus UTC, in seconds, int64 `[n]`.
    """

    starts: np.ndarray
    seconds: np.ndarray


@functools.cache
def offsets_of(zone: str) -> Offsets:
    """Returns the offsets of a time zone, from Python's `zoneinfo`.

    `zoneinfo` does not publish its transitions, so they are searched: the offset at the start of each day, and between
    two days that differ the second at which it changes. No zone of the IANA database has changed twice within a day.

    Example:
        >>> offsets_of("UTC").seconds.tolist()
        [0]
    """
    info = ZoneInfo(zone)
    days = np.arange(_FIRST_DAY, _LAST_DAY) * _DAY
    offsets = np.array([_offset(info, second) for second in days.tolist()])
    starts, seconds = [np.iinfo(np.int64).min], [int(offsets[0])]
    for day in np.flatnonzero(np.diff(offsets)).tolist():
        before, after = int(days[day]), int(days[day + 1])
        while after - before > 1:
            middle = (before + after) // 2
            if _offset(info, middle) == offsets[day]:
                before = middle
            else:
                after = middle
        starts.append(after)
        seconds.append(int(offsets[day + 1]))
    return Offsets(np.array(starts, np.int64), np.array(seconds, np.int64))


def _offset(info: ZoneInfo, second: int) -> int:
    found = datetime.fromtimestamp(second, info).utcoffset()
    assert found is not None
    return int(found.total_seconds())
