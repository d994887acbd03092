"""Statistics of all numeric fields in one analyzer: mean, deviation, range and quantile boundaries.

`packed_statistics` stands beside `tft.mean`, `tft.var`, `tft.min`, `tft.max` and `tft.quantiles`, each of which adds
a branch to the job graph for each field. Its results do not depend on the order in which batches and workers come
together: sums are exact (integers), and quantiles come from counts of values, so that two runners give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

# A float32 is m · 2^(e − 24) with whole |m| < 2^24 and −148 <= e <= 128.
_DIGITS, _LOWEST, EXPONENTS = 24, -148, 277

# Distinct values of a field that are counted one by one; beyond, neighbours are counted together, two by two.
MOST_BINS = 1 << 16


class Statistics(NamedTuple):
    """Of the present values of one field; zeros where there is none.

    `mean`, `deviation` (of the population), `low` and `high` are float64 scalars, exactly rounded. `boundaries`,
    float32 `[buckets − 1]`, part the values into buckets of equal frequency; a value at a boundary is above it.
    """

    mean: tf.Tensor
    deviation: tf.Tensor
    low: tf.Tensor
    high: tf.Tensor
    boundaries: tf.Tensor


def packed_statistics(numbers: Mapping[str, tf.Tensor], buckets: Mapping[str, int]) -> dict[str, Statistics]:
    """Returns the statistics of each field over the whole data set: one analyzer for all.

    Args:
        numbers: float32 `[batch]` each; what is not finite is no value.
        buckets: for the fields that want boundaries, the number of buckets.
    """
    names = list(numbers)
    wanted = [buckets.get(name, 1) for name in names]
    width = sum(wanted) - len(names)
    (packed,) = tft.experimental.ptransform_analyzer(
        inputs=[tf.stack([tf.reshape(numbers[name], [-1]) for name in names], axis=1)],
        ptransform=_Summarize(wanted),
        output_dtypes=[tf.float64],
        output_shapes=[[4 * len(names) + width]],
        name="packed_statistics",
    )
    moments = tf.unstack(packed[: 4 * len(names)])
    boundaries = tf.split(tf.cast(packed[4 * len(names) :], tf.float32), [number - 1 for number in wanted])
    fields = zip(moments[0::4], moments[1::4], moments[2::4], moments[3::4], boundaries, strict=True)
    return {name: Statistics(*field) for name, field in zip(names, fields, strict=True)}


# -- the Beam side -----------------------------------------------------------------------------------


class _Summarize(beam.PTransform):
    """Batches, a tuple of one float32 array `[batch, fields]`, → one vector of all statistics."""

    def __init__(self, buckets: Sequence[int]) -> None:
        super().__init__()
        self._buckets = list(buckets)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        return batches | "Summarize" >> beam.CombineGlobally(Summary(self._buckets))


class Moments(NamedTuple):
    """Exact sums of each field's values, int64 `[fields, exponents]`, and its range, float64 `[fields]`.

    `sums[f, e]` adds up m of the values m · 2^(e − 24); `high_squares` and `low_squares` the upper and lower 24 bits
    of m². They hold 2^39 values.
    """

    number: np.ndarray
    sums: np.ndarray
    high_squares: np.ndarray
    low_squares: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Histogram(NamedTuple):
    """Counts of values by their bit patterns, which order as the values do, less the last `level` bits."""

    level: int
    bins: np.ndarray
    counts: np.ndarray


Summaries = tuple[Moments, list[Histogram]]


class Summary(beam.CombineFn):
    """Float32 arrays `[batch, fields]` → float64: mean, deviation, low, high of each field, then its boundaries."""

    def __init__(self, buckets: Sequence[int]) -> None:
        super().__init__()
        self._buckets = list(buckets)

    def create_accumulator(self) -> Summaries:
        """Returns a summary of nothing."""
        fields = len(self._buckets)
        zeros, infinite = np.zeros((fields, EXPONENTS), np.int64), np.full(fields, np.inf)
        empty = Histogram(0, np.array([], np.int64), np.array([], np.int64))
        return Moments(np.zeros(fields, np.int64), zeros, zeros, zeros, infinite, -infinite), [empty] * fields

    def add_input(self, summaries: Summaries, batch: tuple[np.ndarray]) -> Summaries:
        """Returns the summary with one more batch."""
        moments, histograms = summaries
        columns = [column[np.isfinite(column)] for column in batch[0].T]
        parts = [moments_of(column) for column in columns]
        moments = _added([moments, Moments(*map(np.stack, zip(*parts, strict=True)))])
        for field, buckets in enumerate(self._buckets):
            if buckets > 1:
                histograms[field] = _merged([histograms[field], _histogram(columns[field])])
        return moments, histograms

    def merge_accumulators(self, accumulators: Iterable[Summaries]) -> Summaries:
        """Returns one summary of all."""
        moments, histograms = zip(*accumulators, strict=True)
        return _added(moments), [_merged(of_field) for of_field in zip(*histograms, strict=True)]

    def extract_output(self, summaries: Summaries) -> np.ndarray:
        """Returns the vector of statistics."""
        moments, histograms = summaries
        four = [value for field in range(len(self._buckets)) for value in statistics_of(moments, field)]
        boundaries = [_boundaries(*pair) for pair in zip(histograms, self._buckets, strict=True)]
        return np.concatenate([np.array(four), *boundaries])


def moments_of(values: np.ndarray) -> Moments:
    """Returns the moments of one field's finite values, without the axis of fields."""
    fraction, exponent = np.frexp(values.astype(np.float64))
    whole = fraction * 2.0**_DIGITS
    square = whole * whole
    high = np.floor(square * 2.0**-_DIGITS)
    place = exponent - _LOWEST

    def by_exponent(parts: np.ndarray) -> np.ndarray:
        # Whole numbers below 2^24, so float64 adds up 2^29 of them exactly.
        return np.bincount(place, weights=parts, minlength=EXPONENTS).astype(np.int64)

    return Moments(
        np.array(len(values)),
        by_exponent(whole),
        by_exponent(high),
        by_exponent(square - high * 2.0**_DIGITS),
        values.min(initial=np.inf).astype(np.float64),
        values.max(initial=-np.inf).astype(np.float64),
    )


def _added(moments: Sequence[Moments]) -> Moments:
    number, sums, high_squares, low_squares, low, high = (np.stack(parts) for parts in zip(*moments, strict=True))
    return Moments(
        number.sum(axis=0),
        sums.sum(axis=0),
        high_squares.sum(axis=0),
        low_squares.sum(axis=0),
        low.min(axis=0),
        high.max(axis=0),
    )


def statistics_of(moments: Moments, field: int) -> tuple[float, float, float, float]:
    """Returns mean, deviation, low and high of one field; zeros without values."""
    count = int(moments.number[field])
    if not count:
        return 0.0, 0.0, 0.0, 0.0
    mean = _exact(moments.sums[field], 1) / count
    squares = _exact(moments.high_squares[field], 2) * (1 << _DIGITS) + _exact(moments.low_squares[field], 2)
    variance = squares / count - mean * mean
    return float(mean), float(variance) ** 0.5, float(moments.low[field]), float(moments.high[field])


def _exact(by_exponent: np.ndarray, power: int) -> Fraction:
    """Returns the sum of parts · 2^(power · (e − 24)) over the exponents e."""
    total = sum(int(by_exponent[place]) << (power * int(place)) for place in np.flatnonzero(by_exponent))
    return Fraction(total, 1 << (power * (_DIGITS - _LOWEST)))


def _histogram(values: np.ndarray) -> Histogram:
    bits = (values.astype(np.float32) + 0.0).view(np.int32)  # Adding 0 makes −0 a 0.
    ordered = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64)
    return _merged([Histogram(0, *np.unique(ordered, return_counts=True))])


def _merged(histograms: Sequence[Histogram]) -> Histogram:
    """Returns the sum, at the first level that leaves at most MOST_BINS bins: the same in any order of merging."""
    level = max(histogram.level for histogram in histograms)
    bins = np.concatenate([histogram.bins >> (level - histogram.level) for histogram in histograms])
    counts = np.concatenate([histogram.counts for histogram in histograms])
    while True:
        bins, place = np.unique(bins, return_inverse=True)
        counts = np.bincount(place, weights=counts, minlength=len(bins)).astype(np.int64)
        if len(bins) <= MOST_BINS:
            return Histogram(level, bins, counts)
        level, bins = level + 1, bins >> 1


def _boundaries(histogram: Histogram, buckets: int) -> np.ndarray:
    """Returns the lower edges of the bins that hold the first value of each bucket but the lowest."""
    if not len(histogram.bins):
        return np.zeros(buckets - 1)
    below = np.cumsum(histogram.counts)
    first = below[-1] * np.arange(1, buckets) // buckets
    ordered = histogram.bins[np.searchsorted(below, first, side="right")] << histogram.level
    bits = np.where(ordered < 0, ordered ^ 0x7FFFFFFF, ordered).astype(np.int32)
    return bits.view(np.float32).astype(np.float64)
