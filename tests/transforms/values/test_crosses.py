"""Crosses: all combinations, in order, bounded; hashed ids are stable and in range."""

from __future__ import annotations

from itertools import product

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.transforms.values import crosses

ROWS = st.lists(st.lists(st.lists(st.sampled_from("abcd"), max_size=5), min_size=2, max_size=2), min_size=1, max_size=4)


def ragged(lists: list[list[str]]) -> tf.RaggedTensor:
    return tf.ragged.constant(lists, dtype=tf.string, ragged_rank=1)


def fields_of(rows: list[list[list[str]]]) -> list[tf.RaggedTensor]:
    return [ragged([row[field] for row in rows]) for field in range(len(rows[0]))]


@given(ROWS)
@settings(deadline=None, max_examples=30)
def test_crosses_are_the_products_of_the_lists(rows: list[list[list[str]]]) -> None:
    found = crosses.crossed_tokens(fields_of(rows), max_pairs=1000).to_list()
    assert found == [["_X_".join(pair).encode() for pair in product(*row)] for row in rows]


@given(ROWS, st.integers(1, 9))
@settings(deadline=None, max_examples=30)
def test_no_row_has_more_combinations_than_allowed(rows: list[list[list[str]]], most: int) -> None:
    found = crosses.crossed_tokens(fields_of(rows), most).to_list()
    for row, combinations in zip(rows, found, strict=True):
        whole = ["_X_".join(pair).encode() for pair in product(*row)]
        assert len(combinations) <= most
        assert set(combinations) <= set(whole)
        assert combinations == whole or len(whole) > most


def test_later_fields_lose_their_last_values_first() -> None:
    three, five = ragged([["a", "b", "c"]]), ragged([["1", "2", "3", "4", "5"]])
    (kept,) = crosses.crossed_tokens([three, five], 10).to_list()
    assert kept == [f"{a}_X_{b}".encode() for a in "abc" for b in "123"]


@given(ROWS)
@settings(deadline=None, max_examples=30)
def test_equal_combinations_have_equal_ids_in_range(rows: list[list[list[str]]]) -> None:
    texts = crosses.crossed_tokens(fields_of(rows), 1000).flat_values.numpy().tolist()
    ids = crosses.crossed_ids(fields_of(rows), 1000, 10**9, "salt").flat_values.numpy().tolist()
    assert all(1 <= i <= 10**9 for i in ids)
    assert len(set(ids)) == len(set(texts)) == len(set(zip(ids, texts, strict=True)))


def test_hashed_ids_never_change() -> None:
    """They are in trained models: a change would give them another meaning."""
    fields = [ragged([["mobile"]]), ragged([["drama", "war"]])]
    assert crosses.crossed_ids(fields, 10, 1_000_000, "device_genres").to_list() == [[17408, 803345]]
    assert crosses.crossed_ids(fields, 10, 1_000_000, "other").to_list() != [[17408, 803345]]


@pytest.mark.parametrize("count", [3, 4])
def test_three_and_four_fields_are_crossed(count: int) -> None:
    fields = [ragged([["a", "b"]])] * count
    (found,) = crosses.crossed_tokens(fields, 100).to_list()
    assert found == ["_X_".join(combination).encode() for combination in product("ab", repeat=count)]
