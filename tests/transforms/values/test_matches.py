"""Matches equal a plain loop over the lists."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.transforms.spec import Match
from fieldpool.transforms.values import matches

TOKENS = st.lists(st.sampled_from("abcde"), max_size=6)
MEASURES = ["count", "share", "any", "last"]


def measured(values: list[list[str]], found_in: list[list[str]], measure: str) -> np.ndarray:
    derivation = Match.model_validate({"match": ["values", "list"], "measure": measure})
    ragged = [tf.ragged.constant(lists, dtype=tf.string, ragged_rank=1) for lists in (values, found_in)]
    return np.asarray(matches.matched(*ragged, derivation))


def by_loop(values: list[str], found_in: list[str], measure: str) -> float:
    positions = [position for position, token in enumerate(found_in, start=1) if token in values]
    if measure == "share":
        return len(positions) / len(found_in) if found_in else math.nan
    return {"count": len(positions), "any": min(len(positions), 1), "last": max(positions, default=0)}[measure]


@pytest.mark.parametrize(("measure", "expected"), [("count", 2), ("share", 0.5), ("any", 1), ("last", 3)])
def test_a_value_is_searched_in_a_list(measure: str, expected: float) -> None:
    assert measured([["a"]], [["a", "b", "a", "c"]], measure).tolist() == [expected]


@pytest.mark.parametrize("measure", MEASURES)
@given(st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=5))
@settings(deadline=None, max_examples=50)
def test_measures_equal_a_loop(measure: str, rows: list[tuple[list[str], list[str]]]) -> None:
    found = measured([values for values, _ in rows], [lists for _, lists in rows], measure)
    expected = np.float32([by_loop(values, lists, measure) for values, lists in rows])
    np.testing.assert_array_equal(found, expected)
