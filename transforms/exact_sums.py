"""Exact sums and counts of float32 numbers, in NumPy: statistics that do not depend on the order of adding.

Why exact: float64 rounds after every addition, and a runner adds up batches and workers in any order. Three numbers,
and two orders of adding them:

>>> a, b, c = np.array([1e9, 0.1, 0.3], np.float32).tolist()
>>> (a + b) + c
1000000000.4000001
>>> a + (b + c)
1000000000.4

So the same rows would give another mean on another runner, or with another number of workers: other bytes in
`stats.json`, and now and then another last bit in a scaled number of a record. Integers add up to the same in any
order. `Moments` has sums of integers, one for each exponent of float32, which are rounded once, at the end;
`Histogram` counts values.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

# A float32 is m · 2^(e − 24) with whole |m| < 2^24 and −148 <= e <= 128.
_DIGITS, _LOWEST, EXPONENTS = 24, -148, 277

# Distinct values of a field that are counted one by one; beyond, neighbours are counted together, two by two.
MOST_BINS = 1 << 16


class Moments(NamedTuple):
    """Exact sums of each field's values, int64 `[fields, exponents]`, and its range, float64 `[fields]`.

    `number` counts the values. `sums[f, e]` adds up m of the values m · 2^(e − 24), with e counted from the lowest;
    `high_squares` and `low_squares` add up the upper and lower 24 bits of m². They hold 2^39 values.
    """

    number: np.ndarray
    sums: np.ndarray
    high_squares: np.ndarray
    low_squares: np.ndarray
    min: np.ndarray
    max: np.ndarray


class Histogram(NamedTuple):
    """Counts of values by their bit patterns, which order as the values do, less the last `level` bits."""

    level: int
    bins: np.ndarray
    counts: np.ndarray


NO_VALUES = Histogram(0, np.array([], np.int64), np.array([], np.int64))


def no_moments(fields: int) -> Moments:
    """Returns the moments of fields without values."""
    zeros, infinite = np.zeros((fields, EXPONENTS), np.int64), np.full(fields, np.inf)
    return Moments(np.zeros(fields, np.int64), zeros, zeros, zeros, infinite, -infinite)


def moments_of(values: np.ndarray) -> Moments:
    """Returns the moments of one field's finite float32 values, without the axis of fields."""
    fraction, exponent = np.frexp(values.astype(np.float64))
    whole = fraction * 2.0**_DIGITS
    square = whole * whole
    high = np.floor(square * 2.0**-_DIGITS)
    index = exponent - _LOWEST

    def by_exponent(parts: np.ndarray) -> np.ndarray:
        # Whole numbers below 2^24, so float64 adds up 2^29 of them exactly.
        return np.bincount(index, weights=parts, minlength=EXPONENTS).astype(np.int64)

    return Moments(
        np.array(len(values)),
        by_exponent(whole),
        by_exponent(high),
        by_exponent(square - high * 2.0**_DIGITS),
        values.min(initial=np.inf).astype(np.float64),
        values.max(initial=-np.inf).astype(np.float64),
    )


def add_moments(moments: Sequence[Moments]) -> Moments:
    """Returns the moments of all values together; those given have equal shapes."""
    number, sums, high_squares, low_squares, least, greatest = (np.stack(parts) for parts in zip(*moments, strict=True))
    return Moments(
        number.sum(axis=0),
        sums.sum(axis=0),
        high_squares.sum(axis=0),
        low_squares.sum(axis=0),
        least.min(axis=0),
        greatest.max(axis=0),
    )


def statistics_of(moments: Moments, field: int) -> tuple[float, float, float, float]:
    """Returns mean, standard deviation (of the population), minimum and maximum of one field; zeros without values."""
    count = int(moments.number[field])
    if not count:
        return 0.0, 0.0, 0.0, 0.0
    mean = _exact(moments.sums[field], 1) / count
    squares = _exact(moments.high_squares[field], 2) * (1 << _DIGITS) + _exact(moments.low_squares[field], 2)
    variance = squares / count - mean * mean
    return float(mean), float(variance) ** 0.5, float(moments.min[field]), float(moments.max[field])


def _exact(by_exponent: np.ndarray, power: int) -> Fraction:
    """Returns the sum of parts · 2^(power · (e − 24)) over the exponents e."""
    total = sum(int(by_exponent[index]) << (power * int(index)) for index in np.flatnonzero(by_exponent))
    return Fraction(total, 1 << (power * (_DIGITS - _LOWEST)))


def histogram_of(values: np.ndarray) -> Histogram:
    """Returns the histogram of one field's finite float32 values."""
    bits = (values.astype(np.float32) + 0.0).view(np.int32)  # Adding 0 makes −0 a 0.
    return merge_histograms([Histogram(0, *np.unique(_flip_negative(bits).astype(np.int64), return_counts=True))])


def _flip_negative(bits: np.ndarray) -> np.ndarray:
    """Returns float32 bit patterns as integers that order as the numbers do, and such integers as bit patterns."""
    return np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


def merge_histograms(histograms: Sequence[Histogram]) -> Histogram:
    """Returns the sum, at the first level that leaves at most MOST_BINS bins: the same in any order of merging."""
    level = max(histogram.level for histogram in histograms)
    bins = np.concatenate([histogram.bins >> (level - histogram.level) for histogram in histograms])
    counts = np.concatenate([histogram.counts for histogram in histograms])
    while True:
        bins, index = np.unique(bins, return_inverse=True)
        counts = np.bincount(index, weights=counts, minlength=len(bins)).astype(np.int64)
        if len(bins) <= MOST_BINS:
            return Histogram(level, bins, counts)
        level, bins = level + 1, bins >> 1


def boundaries_of(histogram: Histogram, buckets: int) -> np.ndarray:
    """Returns what splits the values into buckets of equal frequency: float64 `[buckets − 1]`, zeros without values.

    Each is the lower edge of the bin that holds the first value of its bucket; the lowest bucket needs none.
    """
    if not len(histogram.bins):
        return np.zeros(buckets - 1)
    below = np.cumsum(histogram.counts)
    first = below[-1] * np.arange(1, buckets) // buckets
    ordered = histogram.bins[np.searchsorted(below, first, side="right")] << histogram.level
    return _flip_negative(ordered).astype(np.int32).view(np.float32).astype(np.float64)
