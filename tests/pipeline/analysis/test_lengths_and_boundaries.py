"""Resolution of a spec: list lengths from the train rows, time boundaries from the shares of the splits."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldpool.pipeline.analysis.boundaries import _boundaries, sum_times, times_of, with_found_boundaries
from fieldpool.pipeline.analysis.lengths import percentile, with_lengths
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Spec, TimeSplit
from fieldpool.transforms.spec.times import TimeUnit


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


def test_lengths_of_lists_are_at_least_one() -> None:
    fields = {
        "a": {"type": "multivalued", "max_len": "auto"},
        "b": {"type": "multivalued", "max_len": "p50"},
        "c": {"type": "multivalued", "max_len": 7},
        "d": {"type": "multivalued"},
    }
    spec = Spec.model_validate({"label": {"field": "y"}, "split": {"column": "s"}, "fields": fields})
    resolved = with_lengths(spec, {"a": {3: 1}, "b": {2: 5, 8: 4}, "c": {1: 1}, "d": {}})
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


def error_without_times(*columns: pa.Array, unit: TimeUnit = "auto") -> str:
    """Returns the error of a time split by these columns, each in a file."""
    batches = [
        SourceBatch(f"{name}.csv", np.arange(1, len(column) + 1), pa.RecordBatch.from_arrays([column], ["t"]))
        for name, column in zip("ab", columns, strict=False)
    ]
    split = TimeSplit(time="t", time_unit=unit)
    with pytest.raises(UserError) as error:
        with_found_boundaries(sum_times([times_of(batch, split) for batch in batches]), split, batches)
    return str(error.value)


FORMS = ["2024-01-31 10:00:00 UTC", "31/01/2024", "31.01.2024", "Wed, 31 Jan 2024 10:00:00 GMT", "soon"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_binary()], ids=str)
@pytest.mark.parametrize("text", FORMS)
def test_column_without_readable_times_is_an_error_with_a_value(text: str, kind: pa.DataType) -> None:
    assert error_without_times(pa.array([None, text, "later"], kind)) == (
        f"a.csv: row 2: no row has a time that can be read in column 't' (split.time), this one has {text!r}; expected "
        "a number or ISO 8601 such as 2024-01-31T10:00:00Z. Convert the column, state its `time_format`, or split by "
        "another one"
    )


def test_numbers_that_are_not_times_of_the_stated_unit_are_an_error_with_a_value() -> None:
    error = error_without_times(pa.array([None]), pa.array([1704067200]), unit="date")
    assert "b.csv: row 1" in error
    assert "this one has 1704067200; expected a date as YYYYMMDD or ISO 8601" in error


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ([], "there are no rows"),
        ([pa.array([], pa.string())], "there are no rows"),
        ([pa.array([None, ""])], "all values of column 't' are missing"),
        ([pa.array([None, float("nan")])], "all values of column 't' are missing"),
    ],
)
def test_column_without_values_is_an_error(columns: list[pa.Array], fault: str) -> None:
    assert error_without_times(*columns).startswith(f"split.time: {fault}, so there is no time to split by")


def test_long_value_is_shortened_in_the_error() -> None:
    assert "has 'xxx" in (error := error_without_times(pa.array(["x" * 10_000])))
    assert len(error) < 400
