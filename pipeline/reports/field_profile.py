"""The profile of one field on a page: counts, coverage of its vocabulary, list lengths, truncation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...transforms.spec import EmbeddingTable
from .charts import Captioned, bars, curves

# The maximum number of points of a coverage curve, and of bars of a histogram.
_POINTS = 60
_BARS = 40

# Quantiles of the list lengths whose truncation is shown.
_QUANTILES = (0.5, 0.9, 0.95, 0.99)

_BYTES_OF_A_WEIGHT = 4


class Truncation(NamedTuple):
    """The effect of a `max_len`: the shares of rows truncated and of values dropped, from 0 to 1."""

    max_len: int
    rows: float
    values: float


@dataclass(frozen=True)
class FieldProfile:
    """The profile of a field. Shares are from 0 to 1; None means that a property does not apply to the field.

    Attributes:
        name: The field's name.
        type: categorical, multivalued, numeric or vector.
        missing: Share of rows without a value, or with an empty list.
        distinct: Distinct tokens in train.
        tokens: Tokens in the vocabulary.
        oov_eval: Share of the eval split's values that are not in the vocabulary.
        oov_test: The same of the test split.
        counts: Occurrences of each token in train, int64, most frequent first.
        covered: Share of train's values whose token has a pretrained vector.
        uncounted: The number of values in train that are not in `counts`.
        lengths: The number of rows in train by list length.
        max_len: The length that lists are truncated to.
        table: The field's embedding table; None if it has none, or if a previous field has the same.
        shared: The vocabulary's name, if other fields use it as well.
        numbers: Smallest, median and largest number, mean and standard deviation.
        reasons: The reasons for the field's settings in a proposed spec.
        sample_values: The most frequent values.
        hash_buckets: The number of ids of hashed tokens; None with a vocabulary.
        collisions: Share of the distinct tokens that share their id with another one; None if not counted.
        expected_collisions: The share that is expected of that number of tokens and ids.
    """

    name: str
    type: str
    missing: float = 0.0
    distinct: int | None = None
    tokens: int | None = None
    oov_eval: float | None = None
    oov_test: float | None = None
    counts: np.ndarray | None = None
    covered: float | None = None
    uncounted: int = 0
    lengths: Mapping[int, int] | None = None
    max_len: int | None = None
    table: EmbeddingTable | None = None
    shared: str | None = None
    numbers: Mapping[str, float] | None = None
    reasons: Sequence[str] = ()
    sample_values: Sequence[str] = ()
    hash_buckets: int | None = None
    collisions: float | None = None
    expected_collisions: float | None = None

    @property
    def embedding_mb(self) -> float | None:
        """Size of the embedding table and its linear weights in megabytes, as float32."""
        if self.table is None:
            return None
        return self.table.rows * (self.table.dim + 1) * _BYTES_OF_A_WEIGHT / 1e6

    def coverage(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns numbers n of tokens, and for each n the share of train's values in the n most frequent tokens."""
        if self.counts is None or not self.counts.sum():
            return None
        tokens = np.unique(np.geomspace(1, len(self.counts), _POINTS).round().astype(int))
        return tokens, np.cumsum(self.counts)[tokens - 1] / (self.counts.sum() + self.uncounted)

    def truncations(self) -> list[Truncation]:
        """Returns the effect of several values of `max_len`: quantiles of the lengths, the longest, and the field's."""
        if not self.lengths or not max(self.lengths):
            return []
        lengths, rows = np.array(sorted(self.lengths.items())).T
        quantiles = np.quantile(lengths, _QUANTILES, weights=rows, method="inverted_cdf")
        max_lens = {int(length) for length in quantiles if length} | {int(lengths[-1]), self.max_len or 1}
        values = (lengths * rows).sum()
        return [
            Truncation(
                max_len,
                float(rows[lengths > max_len].sum() / rows.sum()),
                float((np.maximum(lengths - max_len, 0) * rows).sum() / values),
            )
            for max_len in sorted(max_lens)
        ]

    @cached_property
    def charts(self) -> list[Captioned]:
        """The coverage curve and the histogram of list lengths, if the field has them."""
        charts: list[Captioned] = []
        coverage = self.coverage()
        if coverage is not None:
            curve = curves(
                f"{self.name}: values covered by the most frequent tokens",
                [("", coverage[0].tolist(), coverage[1].tolist())],
                labels=("most frequent tokens", "values covered"),
                percent="y",
                log_x=True,
                marked=self.tokens,
            )
            caption = "Share of train's values covered by the most frequent tokens; dotted: size of the vocabulary"
            charts.append((caption, curve))
        if self.lengths:
            names, heights, marked = _histogram(self.lengths, self.max_len)
            histogram = bars(
                f"{self.name}: rows by list length",
                names,
                heights,
                labels=("list length", "rows"),
                marked=marked,
            )
            charts.append(("Rows by list length; dotted: max_len", histogram))
        return charts


def _histogram(lengths: Mapping[int, int], max_len: int | None) -> tuple[list[str], list[int], float | None]:
    """Returns names and heights of at most `_BARS` bars, and the x of the right edge of the bar with `max_len`."""
    width = math.ceil((max(lengths) + 1) / _BARS)
    heights = np.zeros(max(lengths) // width + 1, np.int64)
    for length, rows in lengths.items():
        heights[length // width] += rows
    names = [str(i * width) if width == 1 else f"{i * width}–{(i + 1) * width - 1}" for i in range(len(heights))]
    marked = None if max_len is None or max_len >= max(lengths) else max_len // width + 0.5
    return names, heights.tolist(), marked
