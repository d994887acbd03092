"""Exact sums and counts of float32 numbers, in NumPy: statistics that do not depend on the order of summation.

Why exact: float64 rounds after every addition, and a runner combines batches and workers in any order. The sum of
three numbers in two orders:

>>> a, b, c = np.array([1e9, 0.1, 0.3], np.float32).tolist()
>>> (a + b) + c
1000000000.4000001
>>> a + (b + c)
1000000000.4

So the same rows could give a different mean on another runner or with another number of workers: different bytes in
`stats.json`, and sometimes a different last bit in a scaled number of an example. Sums of integers do not depend on the
order. `Moments` holds sums of integers, one per exponent of float32, which are rounded once, at the end; `Histogram`
counts values.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

# A float32 is m · 2^(e − 24) with an integer |m| < 2^24 and −148 <= e <= 128.
_DIGITS, _LOWEST, EXPONENTS = 24, -148, 277

# Maximum number of bins of a histogram. A field with more distinct values has its bins merged in pairs of neighbours.
MOST_BINS = 1 << 16


class Moments(NamedTuple):
    """Count, exact sums and range of each field's values. int64 holds the sums of 2^39 values without overflow.

    Attributes:
        number: The number of values, int64 `[fields]`.
        sums: int64 `[fields, EXPONENTS]`: for each exponent e, from −148 on, the sum of m over the values
            m · 2^(e − 24).
        high_squares: int64 `[fields, EXPONENTS]`: likewise the sum of the upper 24 bits of m².
        low_squares: int64 `[fields, EXPONENTS]`: likewise the sum of the lower 24 bits of m².
        min: float64 `[fields]`; infinity without values.
        max: float64 `[fields]`; −infinity without values.
    """

    number: np.ndarray
    sums: np.ndarray
    high_squares: np.ndarray
    low_squares: np.ndarray
    min: np.ndarray
    max: np.ndarray


class Histogram(NamedTuple):
    """Counts of float32 values by bit pattern.

    Attributes:
        level: The number of low bits that are dropped from the patterns.
        bins: int64 `[bins]`, ascending: bit patterns as integers that sort like the values, shifted right by `level`.
        counts: int64 `[bins]`: the number of values in each bin.
    """

    level: int
    bins: np.ndarray
    counts: np.ndarray


# The moments of all fields, and each field's histogram; NO_VALUES for a field without quantile buckets.
Summaries = tuple[Moments, list[Histogram]]

NO_VALUES = Histogram(0, np.array([], np.int64), np.array([], np.int64))


def no_moments(fields: int) -> Moments:
    """Returns the moments of a number of fields without values."""
    zeros, infinite = np.zeros((fields, EXPONENTS), np.int64), np.full(fields, np.inf)
    return Moments(np.zeros(fields, np.int64), zeros, zeros, zeros, infinite, -infinite)


def moments_of(values: np.ndarray) -> Moments:
    """Returns the moments of one field's finite float32 values `[n]`; the arrays have no `fields` axis."""
    fraction, exponent = np.frexp(values.astype(np.float64))
    mantissa = fraction * 2.0**_DIGITS
    square = mantissa * mantissa
    high = np.floor(square * 2.0**-_DIGITS)
    index = exponent - _LOWEST

    def by_exponent(parts: np.ndarray) -> np.ndarray:
        # These are integers below 2^24, so float64 sums 2^29 of them exactly.
        return np.bincount(index, weights=parts, minlength=EXPONENTS).astype(np.int64)

    return Moments(
        np.array(len(values)),
        by_exponent(mantissa),
        by_exponent(high),
        by_exponent(square - high * 2.0**_DIGITS),
        values.min(initial=np.inf).astype(np.float64),
        values.max(initial=-np.inf).astype(np.float64),
    )


def add_moments(moments: Sequence[Moments]) -> Moments:
    """Returns the moments of all values, given those of parts of the values, in equal shapes."""
    number, sums, high_squares, low_squares, minima, maxima = (np.stack(parts) for parts in zip(*moments, strict=True))
    return Moments(
        number.sum(axis=0),
        sums.sum(axis=0),
        high_squares.sum(axis=0),
        low_squares.sum(axis=0),
        minima.min(axis=0),
        maxima.max(axis=0),
    )


def statistics_of(moments: Moments, field: int) -> tuple[float, float, float, float]:
    """Returns mean, population standard deviation, minimum and maximum of one field; zeros if it has no values."""
    count = int(moments.number[field])
    if not count:
        return 0.0, 0.0, 0.0, 0.0
    mean = _exact(moments.sums[field], 1) / count
    sum_of_squares = _exact(moments.high_squares[field], 2) * (1 << _DIGITS) + _exact(moments.low_squares[field], 2)
    variance = sum_of_squares / count - mean * mean
    return float(mean), float(variance) ** 0.5, float(moments.min[field]), float(moments.max[field])


def _exact(by_exponent: np.ndarray, power: int) -> Fraction:
    """Returns Σ_e s_e · 2^(power · (e − 24)), where s_e is the sum for exponent e."""
    total = sum(int(by_exponent[index]) << (power * int(index)) for index in np.flatnonzero(by_exponent))
    return Fraction(total, 1 << (power * (_DIGITS - _LOWEST)))


def histogram_of(values: np.ndarray) -> Histogram:
    """Returns the histogram of one field's finite float32 values."""
    bits = (values.astype(np.float32) + 0.0).view(np.int32)  # Adding 0 turns −0 into 0.
    return merge_histograms([Histogram(0, *np.unique(_flip_negative(bits).astype(np.int64), return_counts=True))])


def _flip_negative(bits: np.ndarray) -> np.ndarray:
    """Converts float32 bit patterns to integers that sort like the numbers; applied again, converts them back."""
    return np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


def merge_histograms(histograms: Sequence[Histogram]) -> Histogram:
    """Returns the sum, at the lowest level with at most MOST_BINS bins. The order of merging does not change it."""
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
    """Returns the boundaries of buckets of equal frequency: float64 `[buckets − 1]`, ascending; zeros without values.

    A boundary is the lower edge of the bin with the first value of its bucket. The lowest bucket has no boundary.
    """
    if not len(histogram.bins):
        return np.zeros(buckets - 1)
    cumulative = np.cumsum(histogram.counts)
    first_ranks = cumulative[-1] * np.arange(1, buckets) // buckets
    edges = histogram.bins[np.searchsorted(cumulative, first_ranks, side="right")] << histogram.level
    return _flip_negative(edges).astype(np.int32).view(np.float32).astype(np.float64)


def packed_statistics_of(moments: Moments, histograms: Sequence[Histogram], buckets: Sequence[int]) -> np.ndarray:
    """Returns the statistics of all fields as one vector, float64 `[4 · fields + boundaries]`.

    First mean, standard deviation, minimum and maximum of each field, then the boundaries of each field.

    Args:
        moments: Of the fields.
        histograms: Of each field; NO_VALUES for a field without quantile buckets.
        buckets: The number of each field's buckets, 1 without buckets.
    """
    scalars = [value for field in range(len(buckets)) for value in statistics_of(moments, field)]
    return np.concatenate([np.array(scalars), *map(boundaries_of, histograms, buckets)])
