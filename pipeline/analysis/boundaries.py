"""The boundaries of a time split that states only the shares of its splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...transforms.errors import SourceError
from ...transforms.spec import TimeSplit
from ..rows.columns import tokens
from ..rows.times import Times, expected_time, read_times
from ..sources.batches import SourceBatch, as_json, raw_row
from .time_units import resolve_unit, with_boundaries

# An error shows this number of characters of a value.
_SHOWN = 100


@dataclass(frozen=True)
class TimeCounts:
    """The distinct times of some rows, of numbers first, ascending, and the number of rows at each, int64 `[times]`."""

    times: Times
    rows: np.ndarray


def times_of(batch: SourceBatch, split: TimeSplit) -> TimeCounts:
    """Returns the times of a batch with the column of the split."""
    if not batch.data.num_rows:
        return sum_times([])
    times = read_times(batch.data[split.time], split.time, split.time_format)
    is_time = ~np.isnan(times.values)
    return _distinct(times.values[is_time], times.is_number[is_time], np.ones(is_time.sum(), np.int64))


def sum_times(parts: Sequence[TimeCounts]) -> TimeCounts:
    """Returns the times of all rows, given those of parts of the rows."""
    return _distinct(
        np.concatenate([np.array([]), *(part.times.values for part in parts)]),
        np.concatenate([np.array([], bool), *(part.times.is_number for part in parts)]),
        np.concatenate([np.array([], np.int64), *(part.rows for part in parts)]),
    )


def _distinct(values: np.ndarray, is_number: np.ndarray, rows: np.ndarray) -> TimeCounts:
    parts = []
    for kind in (True, False):  # The unit of numbers is not yet known.
        distinct, position = np.unique(values[is_number == kind], return_inverse=True)
        sums = np.bincount(position, weights=rows[is_number == kind], minlength=len(distinct))
        parts.append((distinct, np.full(len(distinct), kind), sums.astype(np.int64)))
    all_values, kinds, all_rows = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return TimeCounts(Times(all_values, kinds), all_rows)


def with_found_boundaries(counts: TimeCounts, split: TimeSplit, first_rows: Iterable[SourceBatch] = ()) -> TimeSplit:
    """Returns the split with its unit, and the boundaries that bring its shares closest to those of the spec.

    Args:
        counts: The times of all rows.
        split: The split without boundaries.
        first_rows: The first rows; an error shows a value of them.

    Raises:
        SourceError: there is no time.
        SpecError: the unit of times is ambiguous.
    """
    unit = resolve_unit(split, counts.times, counts.rows)
    seconds = counts.times.seconds(unit)
    if np.isnan(seconds).all():
        raise _no_times(split, first_rows)
    return with_boundaries(split, *_boundaries(seconds, counts.rows, split), unit)


def _no_times(split: TimeSplit, first_rows: Iterable[SourceBatch]) -> SourceError:
    """Returns the error that no row has a time, with the first value of the column, its file and its row."""
    batches = [batch for batch in first_rows if batch.data.num_rows]
    for batch in batches:
        present = np.flatnonzero(tokens(batch.data[split.time], split.time).values.is_valid())
        if len(present):
            value = as_json(raw_row(batch.data.select([split.time]), int(present[0]))[split.time])
            return SourceError(
                f"{batch.source}: row {batch.numbers[present[0]]}: no row has a time that can be read in column "
                f"{split.time!r} (split.time), this one has {_short(value)}; expected "
                f"{expected_time(split, split.time_unit)}. Convert the column, state its `time_format`, or split by "
                "another one"
            )
    fault = f"all values of column {split.time!r} are missing" if batches else "there are no rows"
    return SourceError(f"split.time: {fault}, so there is no time to split by; correct the files or the column")


def _short(value: object) -> str:
    text = repr(str(value)) if not isinstance(value, int | float) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _boundaries(times: np.ndarray, rows: np.ndarray, split: TimeSplit) -> tuple[float, float]:
    """Returns the first times of eval and test for which the splits' sizes are closest to the requested shares.

    Args:
        times: In any order, NaN for values that are not times, at least one time, float64 `[times]`.
        rows: The number of rows at each time, `[times]`.
        split: The split with the shares.
    """
    is_time = ~np.isnan(times)
    # Values of several units may be the same time.
    distinct, position = np.unique(times[is_time], return_inverse=True)
    before = np.concatenate([[0], np.cumsum(np.bincount(position, weights=rows[is_time]))])
    starts = np.append(distinct, np.inf)

    def start_of(share: float) -> float:
        return float(starts[np.abs(before - share * before[-1]).argmin()])

    return start_of(split.train), start_of(split.train + split.eval)
