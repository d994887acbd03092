"""Statistics of all numeric fields in one analyzer: mean, standard deviation, range and quantile boundaries.

`packed_statistics` replaces `tft.mean`, `tft.var`, `tft.min`, `tft.max` and `tft.quantiles`, each of which adds a
branch per field to the job graph. Its results do not depend on the order in which batches and workers are combined, so
two runners give the same bits: see `exact_sums`. TFT's cache keeps them per data set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from .accumulators.arrow_bytes import FORMAT, bytes_of_summaries, summaries_of_bytes
from .accumulators.cacheable import ArrowCoder, cacheable_analyzer
from .sums.exact_sums import (
    MOST_BINS,
    NO_VALUES,
    Moments,
    Summaries,
    add_moments,
    histogram_of,
    merge_histograms,
    moments_of,
    no_moments,
    packed_statistics_of,
)


class Statistics(NamedTuple):
    """Statistics of one field's numbers, without the missing ones; zeros if all are missing.

    Attributes:
        mean: float64 scalar, rounded once.
        std: Of the population, float64 scalar; the variance is rounded once.
        min: float64 scalar.
        max: float64 scalar.
        boundaries: float32 `[buckets − 1]`: they split the values into buckets of equal frequency; a boundary belongs
            to the upper bucket.
    """

    mean: tf.Tensor
    std: tf.Tensor
    min: tf.Tensor
    max: tf.Tensor
    boundaries: tf.Tensor


def packed_statistics(numbers: Mapping[str, tf.Tensor], buckets: Mapping[str, int]) -> dict[str, Statistics]:
    """Returns the (deferred) statistics of each field over the complete data set, from one analyzer for all fields.

    Args:
        numbers: For each field its numbers, float32 `[batch]`; those that are not finite are ignored.
        buckets: The number of quantile buckets, for the fields that have them.
    """
    names = list(numbers)
    num_buckets = [buckets.get(name, 1) for name in names]
    num_boundaries = sum(num_buckets) - len(names)
    (packed,) = tft.experimental.ptransform_analyzer(
        inputs=[tf.stack([tf.reshape(numbers[name], [-1]) for name in names], axis=1)],
        ptransform=summarize(num_buckets),
        output_dtypes=[tf.float64],
        # The shape would be a part of the cache's keys, and with it the number of boundaries.
        output_shapes=[[None]],
        name="packed_statistics",
    )
    packed.set_shape([4 * len(names) + num_boundaries])
    return unpacked(packed, names, buckets)


def unpacked(packed: tf.Tensor, names: Sequence[str], buckets: Mapping[str, int]) -> dict[str, Statistics]:
    """Returns the statistics of each field.

    Args:
        packed: The statistics that `Summary.extract_output` returns.
        names: The fields, in the order of the columns that were summarized.
        buckets: As in `packed_statistics`.
    """
    moments = tf.unstack(packed[: 4 * len(names)])
    num_boundaries = [buckets.get(name, 1) - 1 for name in names]
    boundaries = tf.split(tf.cast(packed[4 * len(names) :], tf.float32), num_boundaries)
    fields = zip(moments[0::4], moments[1::4], moments[2::4], moments[3::4], boundaries, strict=True)
    return {name: Statistics(*field) for name, field in zip(names, fields, strict=True)}


def summarize(buckets: Sequence[int]) -> tft.experimental.CacheablePTransformAnalyzer:
    """Returns the analyzer: batches, each a tuple of one float32 array `[batch, fields]`, → all statistics, float64.

    Args:
        buckets: The number of quantile buckets of each field, 1 without buckets.
    """
    summary = Summary(buckets)
    return cacheable_analyzer(
        accumulate="SummarizeBundles" >> beam.ParDo(_SummarizeBundle(summary)),
        merge="MergeSummaries" >> beam.CombineGlobally(_MergeSummaries(summary)),
        extract="Statistics" >> beam.Map(summary.extract_output),
        coder=ArrowCoder(encode=bytes_of_summaries, decode=summaries_of_bytes),
        # Another number of buckets needs no other histogram.
        key=f"format {FORMAT}, {MOST_BINS} bins, with histograms: {[number > 1 for number in buckets]}",
    )


class Summary(beam.CombineFn):
    """Float32 arrays `[batch, fields]` → float64: mean, std, min and max of each field, then its boundaries."""

    def __init__(self, buckets: Sequence[int]) -> None:
        super().__init__()
        self._buckets = list(buckets)

    def create_accumulator(self) -> Summaries:
        """Returns the summary of no values."""
        fields = len(self._buckets)
        return no_moments(fields), [NO_VALUES] * fields

    def add_input(self, summaries: Summaries, batch: tuple[np.ndarray]) -> Summaries:
        """Returns the summary with one more batch."""
        moments, histograms = summaries
        columns = [column[np.isfinite(column)] for column in batch[0].T]
        parts = [moments_of(column) for column in columns]
        moments = add_moments([moments, Moments(*map(np.stack, zip(*parts, strict=True)))])
        for field, buckets in enumerate(self._buckets):
            if buckets > 1:
                histograms[field] = merge_histograms([histograms[field], histogram_of(columns[field])])
        return moments, histograms

    def merge_accumulators(self, accumulators: Iterable[Summaries]) -> Summaries:
        """Returns the summary of all values."""
        moments, histograms = zip(*accumulators, strict=True)
        return add_moments(moments), [merge_histograms(of_field) for of_field in zip(*histograms, strict=True)]

    def extract_output(self, summaries: Summaries) -> np.ndarray:
        """Returns the statistics, float64 `[4 · fields + boundaries]`."""
        return packed_statistics_of(*summaries, self._buckets)


class _SummarizeBundle(beam.DoFn):
    """Batches → summaries, once per bundle."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def start_bundle(self) -> None:
        self._summaries = self._summary.create_accumulator()

    def process(self, batch: tuple[np.ndarray]) -> None:
        self._summaries = self._summary.add_input(self._summaries, batch)

    def finish_bundle(self) -> Iterator[Any]:
        yield beam.transforms.window.GlobalWindows.windowed_value(self._summaries)


class _MergeSummaries(beam.CombineFn):
    """Summaries of parts of the data → the summary of all."""

    def __init__(self, summary: Summary) -> None:
        super().__init__()
        self._summary = summary

    def create_accumulator(self) -> Summaries:
        return self._summary.create_accumulator()

    def add_input(self, summaries: Summaries, part: Summaries) -> Summaries:
        return self._summary.merge_accumulators([summaries, part])

    def merge_accumulators(self, accumulators: Iterable[Summaries]) -> Summaries:
        return self._summary.merge_accumulators(accumulators)

    def extract_output(self, summaries: Summaries) -> Summaries:
        return summaries
