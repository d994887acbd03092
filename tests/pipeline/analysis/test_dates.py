"""The date of the rows of a run: that of the newest partition folder or time."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from fieldpool.pipeline.analysis.boundaries import TimeCounts
from fieldpool.pipeline.analysis.dates import newest_date, newest_folder_date
from fieldpool.pipeline.rows.times import Times
from fieldpool.transforms.spec import TimeSplit

NOVEMBER_28 = date(2026, 11, 28)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["logs/dt=2026-11-27/a.csv", "logs/dt=2026-11-28/hour=03/a.csv", "logs/dt=2026-11-01"], NOVEMBER_28),
        (["logs/event_date=2026-11-28"], NOVEMBER_28),
        (["snapshot=2026-12-31/logs/dt=2026-11-28/expires=2027-01-01"], NOVEMBER_28),
        (["logs/day=20261128/a.csv"], NOVEMBER_28),
        (["logs/shop=20261128/a.csv"], None),  # A number.
        (["logs/dt=2026-02-30/a.csv", "logs/dt=__HIVE_DEFAULT_PARTITION__/a.csv", "dt=2026-11-28.csv"], None),
        ([], None),
    ],
)
def test_date_of_partition_folders(paths: list[str], expected: date | None) -> None:
    assert newest_folder_date(paths) == expected


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("s", [1795824000.0, 1795910399.0], NOVEMBER_28),  # In UTC, its first and last second.
        ("ms", [1795824000000.0], NOVEMBER_28),
        ("date", [20261127.0, 20261128.0], NOVEMBER_28),
        ("number", [1.0, 2.0], None),
        ("s", [], None),
    ],
)
def test_date_of_times(unit: str, values: list[float], expected: date | None) -> None:
    split = TimeSplit(time="t", time_unit=unit, train=0.8, eval=0.1, test=0.1)
    times = Times(np.array(values), np.ones(len(values), bool))
    assert newest_date(TimeCounts(times, np.ones(len(values), np.int64)), split) == expected
