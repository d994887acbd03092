"""What a page says of one field: counts, the coverage of its vocabulary, the lengths of its lists, and what is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from markupsafe import Markup

from .charts import bars, curves

# Points of a coverage curve, and bars of a histogram, that a picture has at most.
_POINTS = 60
_BARS = 40

BYTES_OF_A_WEIGHT = 4


@dataclass(frozen=True)
class FieldProfile:
    """A field of a data set. Shares are from 0 to 1; None where there is nothing to tell.

    Attributes:
        name: Of the field.
        type: categorical, multivalued or numeric.
        missing: Share of rows without a value, or with an empty list.
        distinct: Distinct tokens in train.
        tokens: Those of them that are in the vocabulary.
        oov_eval: Share of the eval split's values that are in no vocabulary of train.
        oov_test: The same of the test split.
        counts: How often each token of train occurs, int64, most frequent first.
        values: All values of train, those without a token in `counts` too.
        lengths: Rows by the length of their list.
        max_len: What lists are cut to.
        dim: Length of the embedding.
        table_rows: Rows of its table: padding, OOV buckets and tokens.
        shared: The vocabulary, where another field has it, too: the table is counted there.
        numbers: Smallest, median and largest number, mean and standard deviation.
        reasons: Why a proposed spec has the field as it is.
        examples: Some values.
    """

    name: str
    type: str
    missing: float = 0.0
    distinct: int | None = None
    tokens: int | None = None
    oov_eval: float | None = None
    oov_test: float | None = None
    counts: np.ndarray | None = None
    values: int | None = None
    lengths: Mapping[int, int] | None = None
    max_len: int | None = None
    dim: int | None = None
    table_rows: int | None = None
    shared: str | None = None
    numbers: Mapping[str, float] | None = None
    reasons: Sequence[str] = ()
    examples: Sequence[str] = field(default_factory=tuple)

    @property
    def embedding_mb(self) -> float | None:
        """Megabytes of the embedding table with its linear weights, in float32."""
        if self.table_rows is None or self.dim is None:
            return None
        return self.table_rows * (self.dim + 1) * BYTES_OF_A_WEIGHT / 1e6

    def coverage(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns numbers of tokens and the share of train's values that so many of the most frequent ones make up."""
        if self.counts is None or not self.counts.sum():
            return None
        places = np.unique(np.geomspace(1, len(self.counts), _POINTS).round().astype(int))
        return places, np.cumsum(self.counts)[places - 1] / (self.values or self.counts.sum())

    def cuts(self) -> list[tuple[int, float, float]]:
        """Returns lengths to cut at, each with the share of rows and the share of values that it would cut."""
        if not self.lengths or not max(self.lengths):
            return []
        lengths, rows = np.array(sorted(self.lengths.items())).T
        at_percentiles = [lengths[np.searchsorted(np.cumsum(rows), rows.sum() * p)] for p in (0.5, 0.9, 0.95, 0.99)]
        wanted = sorted({*(int(n) for n in at_percentiles if n), int(lengths[-1]), *([self.max_len or 1])})
        values = max(1, int((lengths * rows).sum()))
        return [
            (
                cut,
                float(rows[lengths > cut].sum() / rows.sum()),
                float((np.maximum(lengths - cut, 0) * rows).sum() / values),
            )
            for cut in wanted
        ]

    @cached_property
    def pictures(self) -> list[Markup]:
        """Returns the coverage curve and the histogram of lengths, as far as there are such."""
        drawn = []
        coverage = self.coverage()
        if coverage is not None:
            drawn.append(
                curves(
                    f"{self.name}: share of the values that the most frequent tokens cover",
                    [("", coverage[0].tolist(), coverage[1].tolist())],
                    labels=("most frequent tokens", "values covered"),
                    percent="y",
                    log_x=True,
                    marked=self.tokens,
                )
            )
        if self.lengths:
            names, heights, marked = _histogram(self.lengths, self.max_len)
            drawn.append(
                bars(
                    f"{self.name}: rows by the length of their list",
                    names,
                    heights,
                    labels=("values in the list", "rows"),
                    marked=marked,
                )
            )
        return drawn


def _histogram(lengths: Mapping[int, int], max_len: int | None) -> tuple[list[str], list[int], float | None]:
    """Returns bars, wide enough that they are not too many, and the place after the one that `max_len` is in."""
    width = -(-(max(lengths) + 1) // _BARS)
    heights = np.zeros(max(lengths) // width + 1, np.int64)
    for length, rows in lengths.items():
        heights[length // width] += rows
    names = [str(i * width) if width == 1 else f"{i * width}–{(i + 1) * width - 1}" for i in range(len(heights))]
    marked = None if max_len is None or max_len >= max(lengths) else max_len // width + 0.5
    return names, heights.tolist(), marked
