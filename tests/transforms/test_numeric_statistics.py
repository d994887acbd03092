"""Statistics of numeric fields: exact, and the same for any order of batches."""

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

from fieldpool.transforms.numeric_statistics import Summary
from fieldpool.transforms.sums import exact_sums

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def summarized(batches: list[np.ndarray], buckets: list[int]) -> np.ndarray:
    """Returns the statistics of float32 batches `[rows, fields]`, each summed up by a separate worker."""
    summary = Summary(buckets)
    parts = [summary.add_input(summary.create_accumulator(), (batch.astype(np.float32),)) for batch in batches]
    return summary.extract_output(summary.merge_accumulators(parts))


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, np.newaxis]


def test_statistics_ignore_missing_numbers() -> None:
    batches = [np.array([[1, math.nan], [3, math.nan]]), np.array([[math.nan, 5], [8, math.inf]])]
    assert summarized(batches, [1, 1]).tolist() == [4.0, pytest.approx(math.sqrt(26 / 3)), 1.0, 8.0, 5.0, 0.0, 5.0, 5.0]


def test_no_values_give_zeros() -> None:
    assert summarized([column(math.nan)], [3]).tolist() == [0.0] * 6


def test_sums_do_not_cancel() -> None:
    assert summarized([column(2.0**60, 1.0, -(2.0**60))], [1])[0] == 1 / 3


def test_docstring_example() -> None:
    assert doctest.testmod(exact_sums) == doctest.TestResults(failed=0, attempted=3)


def test_mean_is_exact_where_float64_sums_depend_on_the_order() -> None:
    means = {
        summarized([column(value) for value in values], [1])[0] for values in itertools.permutations([1e9, 0.1, 0.3])
    }
    exact = [Fraction(float(np.float32(value))) for value in (1e9, 0.1, 0.3)]
    assert means == {float(sum(exact) / 3)}


@given(values=st.lists(FLOATS, min_size=1, max_size=30))
@settings(deadline=None)
def test_moments_are_exactly_rounded(values: list[float]) -> None:
    mean, std, minimum, maximum = summarized([column(*values)], [1])
    exact = [Fraction(value) for value in values]
    assert mean == float(sum(exact) / len(exact))
    assert std == pytest.approx(float(statistics.pvariance(exact)) ** 0.5, rel=1e-15)
    assert (minimum, maximum) == (min(values), max(values))


@given(data=st.data(), values=st.lists(FLOATS, min_size=2, max_size=60), most_bins=st.integers(2, 20))
@settings(deadline=None)
def test_statistics_do_not_depend_on_the_order(data: st.DataObject, values: list[float], most_bins: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_sums, "MOST_BINS", most_bins)
        at_once = summarized([column(*values)], [4])
        shuffled = data.draw(st.permutations(values))
        middle = data.draw(st.integers(1, len(values) - 1))
        in_two_batches = summarized([column(*shuffled[:middle]), column(*shuffled[middle:])], [4])
    np.testing.assert_array_equal(in_two_batches, at_once)


@pytest.mark.parametrize(
    ("values", "buckets", "boundaries"),
    [
        (range(8), 4, [2, 4, 6]),
        ([5, 5, 5, 5, 5, 5, 7, 9], 2, [5]),
        ([-3.5, -1, 0, 2], 2, [0]),
        ([-0.0, 0.0], 2, [0]),
    ],
)
def test_boundaries_give_buckets_of_equal_frequency(values: list[float], buckets: int, boundaries: list[float]) -> None:
    assert summarized([column(*values)], [buckets])[4:].tolist() == boundaries


def test_buckets_of_many_distinct_values_are_nearly_equal() -> None:
    values = np.random.default_rng(0).lognormal(3, 2, 300_000).astype(np.float32)
    boundaries = summarized([values[:100_000, None], values[100_000:, None]], [10])[4:]
    shares = np.diff([0, *np.sort(values).searchsorted(boundaries.astype(np.float32)), len(values)]) / len(values)
    np.testing.assert_allclose(shares, 0.1, atol=0.001)
