"""Statistics of numeric fields: exact, and the same in whatever order batches come together."""

from __future__ import annotations

import doctest
import itertools
import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.transforms import exact_sums
from fieldpool.transforms.numeric_statistics import Summary

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def summarized(batches: list[np.ndarray], buckets: list[int]) -> np.ndarray:
    """Returns the statistics of float32 batches `[rows, fields]`, each summed up by a worker of its own."""
    summary = Summary(buckets)
    parts = [summary.add_input(summary.create_accumulator(), (batch.astype(np.float32),)) for batch in batches]
    return summary.extract_output(summary.merge_accumulators(parts))


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, np.newaxis]


def test_mean_deviation_and_range_of_the_present_values() -> None:
    batches = [np.array([[1, math.nan], [3, math.nan]]), np.array([[math.nan, 5], [8, math.inf]])]
    assert summarized(batches, [1, 1]).tolist() == [4.0, pytest.approx(math.sqrt(26 / 3)), 1.0, 8.0, 5.0, 0.0, 5.0, 5.0]


def test_no_values_give_zeros() -> None:
    assert summarized([column(math.nan)], [3]).tolist() == [0.0] * 6


def test_sums_do_not_cancel() -> None:
    assert summarized([column(2.0**60, 1.0, -(2.0**60))], [1])[0] == 1 / 3


def test_the_example_of_the_docstring() -> None:
    assert doctest.testmod(exact_sums) == doctest.TestResults(failed=0, attempted=3)


def test_any_order_gives_the_mean_whose_float64_sums_differ() -> None:
    means = {
        summarized([column(value) for value in values], [1])[0] for values in itertools.permutations([1e9, 0.1, 0.3])
    }
    exact = [Fraction(float(np.float32(value))) for value in (1e9, 0.1, 0.3)]
    assert means == {float(sum(exact) / 3)}


@given(values=st.lists(FLOATS, min_size=1, max_size=30))
@settings(deadline=None)
def test_moments_are_exactly_rounded(values: list[float]) -> None:
    mean, deviation, low, high = summarized([column(*values)], [1])
    exact = [Fraction(value) for value in values]
    assert mean == float(sum(exact) / len(exact))
    assert deviation == pytest.approx(float(statistics.pvariance(exact)) ** 0.5, rel=1e-15)
    assert (low, high) == (min(values), max(values))


@given(data=st.data(), values=st.lists(FLOATS, min_size=2, max_size=60), most=st.integers(2, 20))
@settings(deadline=None)
def test_the_order_of_batches_does_not_matter(data: st.DataObject, values: list[float], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_sums, "MOST_BINS", most)
        whole = summarized([column(*values)], [4])
        shuffled = data.draw(st.permutations(values))
        cut = data.draw(st.integers(1, len(values) - 1))
        parts = summarized([column(*shuffled[:cut]), column(*shuffled[cut:])], [4])
    np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize(
    ("values", "buckets", "boundaries"),
    [
        (range(8), 4, [2, 4, 6]),
        ([5, 5, 5, 5, 5, 5, 7, 9], 2, [5]),
        ([-3.5, -1, 0, 2], 2, [0]),
        ([-0.0, 0.0], 2, [0]),
    ],
)
def test_boundaries_split_the_values_evenly(values: list[float], buckets: int, boundaries: list[float]) -> None:
    assert summarized([column(*values)], [buckets])[4:].tolist() == boundaries


def test_many_distinct_values_stay_near_even_buckets() -> None:
    values = np.random.default_rng(0).lognormal(3, 2, 300_000).astype(np.float32)
    boundaries = summarized([values[:100_000, None], values[100_000:, None]], [10])[4:]
    shares = np.diff([0, *np.sort(values).searchsorted(boundaries.astype(np.float32)), len(values)]) / len(values)
    np.testing.assert_allclose(shares, 0.1, atol=0.001)
