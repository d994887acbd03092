"""Tokens that are in a vocabulary whatever train has of them: those of pretrained vectors."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldpool.transforms.sums.token_counts import COUNTS, in_vocabulary


def vocabulary(
    counts: Mapping[str, int], given_tokens: str | None, min_count: int = 1, top_k: int | None = None
) -> dict[str, int]:
    tokens = None if given_tokens is None else pa.array([token.encode() for token in given_tokens], pa.large_binary())
    table = pa.table([[token.encode() for token in counts], list(counts.values())], schema=COUNTS)
    found = in_vocabulary(table, min_count, top_k, tokens)
    return {token.decode(): count for token, count in zip(*found.to_pydict().values(), strict=True)}


COUNTS_OF_TRAIN = {"a": 1, "b": 5, "c": 3, "d": 3, "e": 1}


@pytest.mark.parametrize(
    ("given_tokens", "settings", "expected"),
    [
        (None, {"min_count": 2}, {"b": 5, "c": 3, "d": 3}),
        ("zy", {}, {"b": 5, "c": 3, "d": 3, "a": 1, "e": 1, "y": 0, "z": 0}),  # Those that train lacks come last.
        ("ze", {"min_count": 2}, {"b": 5, "c": 3, "d": 3, "e": 1, "z": 0}),
        ("bz", {"top_k": 1}, {"b": 5, "c": 3, "z": 0}),  # `top_k` limits the others only.
        ("z", {"min_count": 9}, {"z": 0}),
    ],
)
def test_given_tokens_are_in_the_vocabulary_in_the_order_of_counts(
    given_tokens: str | None, settings: dict[str, int], expected: dict[str, int]
) -> None:
    assert list(vocabulary(COUNTS_OF_TRAIN, given_tokens, **settings).items()) == list(expected.items())


@given(
    counts=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4)),
    tokens=st.sets(st.sampled_from("abcdefghyz")),
    min_count=st.integers(1, 5),
    top_k=st.none() | st.integers(1, 6),
)
def test_order_and_counts_equal_those_of_plain_python(
    counts: dict[str, int], tokens: set[str], min_count: int, top_k: int | None
) -> None:
    others = sorted((-n, t) for t, n in counts.items() if t not in tokens and n >= min_count)[:top_k]
    expected = sorted([*others, *((-counts.get(t, 0), t) for t in tokens)])
    found = vocabulary(counts, "".join(tokens), min_count, top_k)
    assert list(found.items()) == [(token, -n) for n, token in expected]
