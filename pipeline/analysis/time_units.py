"""Finds the unit of the numbers in the column of a time split, from their sizes and the boundaries of the spec."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...transforms.errors import SpecError
from ...transforms.spec import TimeSplit
from ...transforms.spec.times import DESCRIPTIONS, in_unit, is_of_unit, shown
from ..rows.times import Times, boundary_units, read_times
from ..sources.batches import SourceBatch


def first_times(batches: Iterable[SourceBatch], split: TimeSplit) -> Times:
    """Returns the times of the first batch that has any in the split's column; reads no further."""
    for batch in batches:
        if batch.data.num_rows:
            times = read_times(batch.data[split.time], split.time, split.time_format)
            if not np.isnan(times.values).all():
                return times
    return Times(np.array([]), np.array([], bool))


def resolve_unit(split: TimeSplit, times: Times, rows: np.ndarray | None = None) -> str:
    """Returns the unit of the numbers in the column of a time split, never `auto`.

    It is that of the spec; otherwise that of most numbers, if it agrees with the boundaries.

    Args:
        split: The split of the spec.
        times: Times of the column.
        rows: The number of rows of each of them, `[times]`; by default 1.

    Raises:
        SpecError: the boundaries are in another unit than the spec or the column, or the unit is ambiguous.
    """
    if split.time_format is not None:
        split = split.model_copy(update={"time_unit": "s"})
    if split.time_unit != "auto":
        _check_boundaries(split)
        return split.time_unit
    boundary, number_rows = _boundary_unit(split), _rows_by_unit(times, rows)
    found = max(number_rows, key=lambda unit: number_rows[unit])
    time_rows = _rows_of(times, ~times.is_number, rows)
    if not number_rows[found] or (found == "number" and time_rows >= number_rows[found]):
        if boundary == "number" and time_rows:
            raise _error(split, f"{_shown(split)}, but the column has times; write the boundaries as dates")
        return "s" if boundary in (None, "dates") else boundary

    numbers = times.values[times.is_number & ~np.isnan(times.values)]
    has = f"the column has numbers such as {shown(numbers[is_of_unit(numbers, found)][0])}"
    if boundary is None:
        if found == "date" and not time_rows:
            raise _error(split, f"{has}; set `time_unit: date` if they are dates, `time_unit: number` if not")
        return found
    if boundary == found or (boundary == "dates" and found != "number"):
        return found
    if found == "number" and boundary != "dates":
        return boundary if time_rows else "number"
    form = "as numbers" if boundary == "dates" else "as dates, or in the unit of the column"
    raise _error(split, f"{_shown(split)}, but {has} ({DESCRIPTIONS[found]}); write the boundaries {form}")


def with_boundaries(split: TimeSplit, eval_from: float, test_from: float, unit: str) -> TimeSplit:
    """Returns a split with a unit and boundaries, given in the terms of `Times.seconds`."""
    ends = {"eval_from": in_unit(eval_from, unit), "test_from": in_unit(test_from, unit)}
    return split.model_copy(update={**ends, "time_unit": unit})


def _rows_by_unit(times: Times, rows: np.ndarray | None) -> dict[str, int]:
    """Returns the number of rows with numbers of each unit."""
    return {unit: _rows_of(times, times.is_number & is_of_unit(times.values, unit), rows) for unit in DESCRIPTIONS}


def _rows_of(times: Times, is_counted: np.ndarray, rows: np.ndarray | None) -> int:
    is_counted = is_counted & ~np.isnan(times.values)
    return int(is_counted.sum() if rows is None else rows[is_counted].sum())


def _boundary_unit(split: TimeSplit) -> str | None:
    """Returns the unit of the boundaries, `dates` for ISO 8601 texts, None without boundaries."""
    units = boundary_units(split)
    if "date" in units:
        step = "write dates as 2024-01-31, or set `time_unit: number` if they are not dates"
        raise _error(split, f"{_shown(split)}; {step}")
    units -= {"number"} if len(units) > 1 else set()  # Counters have small and large numbers.
    if len(units) > 1:
        raise _error(split, f"{_shown(split)} ({_named(units)}); write both in the same unit, or as dates")
    return units.pop() if units else None


def _check_boundaries(split: TimeSplit) -> None:
    """Raises SpecError if a boundary is a number of another unit than that of the spec."""
    others = boundary_units(split) - {"dates", "number", split.time_unit}
    if split.time_unit != "number" and others:
        unit = DESCRIPTIONS[split.time_unit]
        raise _error(split, f"{_shown(split)} ({_named(others)}), but `time_unit` means {unit}; correct one of them")


def _named(units: set[str]) -> str:
    return " and ".join(DESCRIPTIONS[unit] for unit in sorted(units))


def _shown(split: TimeSplit) -> str:
    return f"the boundaries are {shown(split.eval_from)} and {shown(split.test_from)}"


def _error(split: TimeSplit, fault: str) -> SpecError:
    return SpecError(f"split.time: column {split.time!r}: {fault}")
