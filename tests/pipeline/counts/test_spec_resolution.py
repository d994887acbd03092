"""Resolution of a spec: list lengths from the train rows, time boundaries from the shares of the splits."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldpool.pipeline.counts.counters import Counted, Counts
from fieldpool.pipeline.counts.spec_resolution import _boundaries, percentile, with_lengths
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Spec, TimeSplit


@pytest.mark.parametrize(
    ("rows_by_length", "percent", "expected"),
    [
        ({1: 90, 5: 9, 100: 1}, 100, 100),
        ({1: 90, 5: 9, 100: 1}, 99, 5),
        ({1: 90, 5: 9, 100: 1}, 90, 1),
        ({1: 90, 5: 9, 100: 1}, 90.5, 5),
        ({0: 10}, 100, 0),
        ({}, 99, 0),
    ],
)
def test_percentiles_of_lengths(rows_by_length: dict[int, int], percent: float, expected: int) -> None:
    assert percentile(rows_by_length, percent) == expected


@given(
    st.dictionaries(st.integers(0, 50), st.integers(1, 1000), min_size=1),
    st.decimals(0, 100, places=3, allow_nan=False),
)
def test_percentile_is_the_smallest_length_that_enough_rows_do_not_exceed(
    rows_by_length: dict[int, int], percent: Decimal
) -> None:
    wanted = Fraction(percent) / 100 * sum(rows_by_length.values())
    expected = next(n for n in sorted(rows_by_length) if sum(r for m, r in rows_by_length.items() if m <= n) >= wanted)
    assert percentile(rows_by_length, float(percent)) == expected


def test_lengths_come_from_train_and_are_at_least_one() -> None:
    fields = {
        "a": {"type": "multivalued", "max_len": "auto"},
        "b": {"type": "multivalued", "max_len": "p50"},
        "c": {"type": "multivalued", "max_len": 7},
        "d": {"type": "multivalued"},
    }
    spec = Spec.model_validate({"label": {"field": "y"}, "split": {"column": "s"}, "fields": fields})
    counts = Counter(
        {
            Counted("length", "a", "train", 3): 1,
            Counted("length", "a", "test", 9): 1,
            Counted("length", "b", "train", 2): 5,
            Counted("length", "b", "train", 8): 4,
            Counted("length", "c", "train", 1): 1,
        }
    )
    resolved = with_lengths(spec, Counts(counts))
    assert [resolved.fields[name].max_len for name in "abcd"] == [3, 2, 7, 1]  # type: ignore[union-attr]


def boundaries(times: dict[int, int], **shares: float) -> tuple[float, float]:
    return _boundaries(np.array([*times], np.float64), np.array([*times.values()]), TimeSplit(time="t", **shares))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({t: 1 for t in range(10)}, (8.0, 9.0)),
        ({0: 80, 1: 10, 2: 10}, (1.0, 2.0)),
        ({0: 79, 1: 12, 2: 9}, (1.0, 2.0)),
    ],
)
def test_time_boundaries_are_closest_to_the_shares(times: dict[int, int], expected: tuple[float, float]) -> None:
    assert boundaries(times) == expected


def test_shares_of_zero_make_empty_splits() -> None:
    times = dict.fromkeys(range(10), 1)
    assert boundaries(times, train=0.7, eval=0.0, test=0.3) == (7.0, 7.0)
    assert boundaries(times, train=0.7, eval=0.3, test=0.0) == (7.0, float("inf"))


def test_column_without_valid_times_is_an_error() -> None:
    with pytest.raises(UserError, match="no row has a valid time in column 't'"):
        boundaries({})
