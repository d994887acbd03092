"""What a page says of one field: counts, the coverage of its vocabulary, list lengths and what is truncated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...transforms.spec import EmbeddingTable
from .charts import Captioned, bars, curves

# The most points of a coverage curve, and the most bars of a histogram.
_POINTS = 60
_BARS = 40

# Percentiles of the list lengths that are tried as `max_len`.
_CUTS = (0.5, 0.9, 0.95, 0.99)

_BYTES_OF_A_WEIGHT = 4


class Cut(NamedTuple):
    """What a `max_len` would truncate: the shares of rows and of values, from 0 to 1."""

    max_len: int
    rows: float
    values: float


@dataclass(frozen=True)
class FieldProfile:
    """A field of a data set. Shares are from 0 to 1; None where there is nothing to say.

    Attributes:
        name: Of the field.
        type: categorical, multivalued or numeric.
        missing: Share of rows without a value, or with an empty list.
        distinct: Distinct tokens in train.
        tokens: Those of them that are in the vocabulary.
        oov_eval: Share of the eval split's values that are not in the vocabulary.
        oov_test: The same of the test split.
        counts: How often each token of train occurs, int64, most frequent first.
        uncounted: Values of train that are not in `counts`.
        lengths: Rows by the length of their list.
        max_len: What lists are truncated to.
        table: The field's embedding table, if it has one and no field before it has the same.
        shared: The vocabulary, if other fields have it, too.
        numbers: Smallest, median and largest number, mean and standard deviation.
        reasons: Why a proposed spec has the field as it is.
        sample_values: Some values.
    """

    name: str
    type: str
    missing: float = 0.0
    distinct: int | None = None
    tokens: int | None = None
    oov_eval: float | None = None
    oov_test: float | None = None
    counts: np.ndarray | None = None
    uncounted: int = 0
    lengths: Mapping[int, int] | None = None
    max_len: int | None = None
    table: EmbeddingTable | None = None
    shared: str | None = None
    numbers: Mapping[str, float] | None = None
    reasons: Sequence[str] = ()
    sample_values: Sequence[str] = ()

    @property
    def embedding_mb(self) -> float | None:
        """Megabytes of the embedding table with its linear weights, in float32."""
        if self.table is None:
            return None
        return self.table.rows * (self.table.dim + 1) * _BYTES_OF_A_WEIGHT / 1e6

    def coverage(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns numbers of tokens, and the share of train's values that this many of the most frequent ones have."""
        if self.counts is None or not self.counts.sum():
            return None
        tokens = np.unique(np.geomspace(1, len(self.counts), _POINTS).round().astype(int))
        return tokens, np.cumsum(self.counts)[tokens - 1] / (self.counts.sum() + self.uncounted)

    def cuts(self) -> list[Cut]:
        """Returns what each of some values of `max_len`, the field's own among them, would truncate."""
        if not self.lengths or not max(self.lengths):
            return []
        lengths, rows = np.array(sorted(self.lengths.items())).T
        percentiles = np.quantile(lengths, _CUTS, weights=rows, method="inverted_cdf")
        max_lens = {int(length) for length in percentiles if length} | {int(lengths[-1]), self.max_len or 1}
        values = (lengths * rows).sum()
        return [
            Cut(
                max_len,
                float(rows[lengths > max_len].sum() / rows.sum()),
                float((np.maximum(lengths - max_len, 0) * rows).sum() / values),
            )
            for max_len in sorted(max_lens)
        ]

    @cached_property
    def charts(self) -> list[Captioned]:
        """The coverage curve and the histogram of lengths, if the field has them."""
        charts: list[Captioned] = []
        coverage = self.coverage()
        if coverage is not None:
            curve = curves(
                f"{self.name}: share of the values that the most frequent tokens cover",
                [("", coverage[0].tolist(), coverage[1].tolist())],
                labels=("most frequent tokens", "values covered"),
                percent="y",
                log_x=True,
                marked=self.tokens,
            )
            caption = "Share of train's values that the most frequent tokens cover; dotted: the size of the vocabulary"
            charts.append((caption, curve))
        if self.lengths:
            names, heights, marked = _histogram(self.lengths, self.max_len)
            histogram = bars(
                f"{self.name}: rows by the length of their list",
                names,
                heights,
                labels=("values in the list", "rows"),
                marked=marked,
            )
            charts.append(("Rows by the length of their list; dotted: max_len", histogram))
        return charts


def _histogram(lengths: Mapping[int, int], max_len: int | None) -> tuple[list[str], list[int], float | None]:
    """Returns the names and heights of at most `_BARS` bars, and the x just after the bar that `max_len` is in."""
    width = math.ceil((max(lengths) + 1) / _BARS)
    heights = np.zeros(max(lengths) // width + 1, np.int64)
    for length, rows in lengths.items():
        heights[length // width] += rows
    names = [str(i * width) if width == 1 else f"{i * width}–{(i + 1) * width - 1}" for i in range(len(heights))]
    marked = None if max_len is None or max_len >= max(lengths) else max_len // width + 0.5
    return names, heights.tolist(), marked
