"""The sums of rows: those that a vocabulary, a list length and a statistic are made from."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from row_batches import EVERY, ROWS, batch_of

from fieldpool.pipeline.analysis.row_sums import RowSums, no_rows, sums_of, total
from fieldpool.pipeline.rows.columns import BAG, TEXT
from fieldpool.transforms.spec import Spec


def spec_of(**fields: dict[str, Any]) -> Spec:
    return Spec.model_validate({"label": {"field": "y"}, "split": {"column": "s"}, "fields": fields})


def categorical(**settings: Any) -> dict[str, Any]:
    return {"type": "categorical", **settings}


def multivalued(**settings: Any) -> dict[str, Any]:
    return {"type": "multivalued", **settings}


def rows_of(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def counts_of(sums: RowSums, vocabulary: str) -> dict[bytes, int]:
    pairs = [tuple(row.values()) for row in sums.tokens[vocabulary].to_pylist()]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


LISTS = pa.array([[b"a", b"", b"b", b"c"], [b"", b"a"], [], [b""]], BAG)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"max_len": "auto"}, {b"a": 2, b"b": 1, b"c": 1}),
        ({"max_len": "p50"}, {b"a": 2, b"b": 1, b"c": 1}),
        ({"max_len": 2}, {b"a": 2, b"b": 1}),
        ({"max_len": 2, "keep": "last"}, {b"a": 1, b"b": 1, b"c": 1}),
        ({"max_len": 1, "empty": {"token": "none"}}, {b"a": 2, b"none": 2}),
    ],
    ids=str,
)
def test_tokens_of_lists_are_those_that_the_model_sees(settings: dict[str, Any], expected: dict[bytes, int]) -> None:
    sums = sums_of(rows_of(f=LISTS), spec_of(f=multivalued(**settings)))
    assert counts_of(sums, "f") == expected
    assert sums.lengths["f"].tolist() == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {b"a": 2, b"b": 1}),
        ({"missing": "oov"}, {b"a": 2, b"b": 1}),
        ({"missing": {"token": "b"}}, {b"a": 2, b"b": 2}),
    ],
    ids=str,
)
def test_missing_tokens_are_counted_only_if_they_have_a_token(
    settings: dict[str, Any], expected: dict[bytes, int]
) -> None:
    values = pa.array([b"a", None, b"b", b"a"], TEXT)
    assert counts_of(sums_of(rows_of(f=values), spec_of(f=categorical(**settings))), "f") == expected


def test_fields_that_share_a_vocabulary_are_counted_together() -> None:
    spec = spec_of(f=multivalued(max_len=9, vocabulary="v"), g=categorical(vocabulary="v"))
    sums = sums_of(rows_of(f=LISTS, g=pa.array([b"a", b"z", None, b"b"], TEXT)), spec)
    assert counts_of(sums, "v") == {b"a": 3, b"b": 2, b"c": 1, b"z": 1}


def test_numbers_are_summed_exactly_and_counted_by_value_where_there_are_buckets() -> None:
    spec = spec_of(n={"type": "numeric"}, q={"type": "numeric", "scale": {"quantiles": 2}})
    numbers = pa.array([1.5, None, -2.0, 1.5], pa.float32())
    sums = sums_of(rows_of(n=numbers, q=numbers), spec)
    assert sums.moments.number.tolist() == [3, 3]
    assert (sums.moments.min.tolist(), sums.moments.max.tolist()) == ([-2.0, -2.0], [1.5, 1.5])
    assert {name: histogram.counts.tolist() for name, histogram in sums.histograms.items()} == {"q": [1, 2]}


@given(ROWS, st.integers(0, 9))
def test_sums_of_parts_are_those_of_all_rows(rows: list[dict[str, Any]], at: int) -> None:
    parts = [sums_of(batch_of(part), EVERY) for part in (rows[at:], rows[:at])]
    found, lists = total(parts, EVERY), [list(filter(None, row["b"])) for row in rows]
    kept = Counter(token for values in lists for token in values[-2:]) + Counter(row["a"] or b"-" for row in rows)
    assert counts_of(found, "v") == kept
    assert counts_of(found, "c") == Counter(token for row in rows for token in row["c"] if token)
    assert found.rows == len(rows)
    lengths = Counter(map(len, lists))
    assert {n: count for n, count in enumerate(found.lengths["b"].tolist()) if count} == lengths
    [whole] = [sums_of(batch_of(rows), EVERY)]
    for part, expected in zip(found.moments, whole.moments, strict=True):
        assert np.array_equal(part, expected)
    assert all(map(np.array_equal, found.histograms["n"], whole.histograms["n"]))


def test_no_rows_are_the_sums_of_nothing() -> None:
    empty = pa.RecordBatch.from_pylist([])
    assert counts_of(sums_of(empty, EVERY), "v") == {}
    assert total([], EVERY).rows == no_rows(EVERY).rows == 0
