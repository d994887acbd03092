"""Growth of a vocabulary: ids never move, new tokens are appended, unused tokens are retired and come back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.analysis.growth import Grown, grow
from fieldpool.transforms.known import LEDGER
from fieldpool.transforms.spec import Vocabulary

FIRST = date(2026, 11, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number - 1)


def counts(numbers: Mapping[str, int]) -> pa.Table:
    schema = pa.schema([("token", pa.large_binary()), ("count", pa.int64())])
    return pa.table([[token.encode("latin-1") for token in numbers], list(numbers.values())], schema=schema)


def grown(*days: Mapping[str, int], **settings: object) -> Grown:
    """Returns the vocabulary after growth by the counts of several days, from nothing."""
    ledger = LEDGER.empty_table()
    for number, of_day in enumerate(days, start=1):
        result = grow(ledger, counts(of_day), Vocabulary(**settings), day(number))
        ledger = result.ledger
    return result


def tokens(result: Grown) -> str:
    return b" ".join(result.tokens["token"].to_pylist()).decode("latin-1")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, "b a c d"), ({"min_count": 2}, "b a c"), ({"top_k": 2}, "b a"), ({"min_count": 5}, "")],
)
def test_without_older_tokens_it_is_the_plain_vocabulary(settings: dict[str, int], expected: str) -> None:
    """Most frequent first, ties by bytes; empty lines are impossible."""
    assert tokens(grown({"d": 1, "c": 2, "a": 2, "b": 3, "x\ny": 9, "\r": 9}, **settings)) == expected


def test_older_tokens_keep_their_lines_and_new_ones_are_appended_by_frequency() -> None:
    result = grown({"a": 5, "b": 3}, {"b": 9, "z": 2, "y": 2, "x": 7})
    assert tokens(result) == "a b x y z"
    assert result.tokens["count"].to_pylist() == [0, 9, 7, 2, 2]
    assert result.ledger["id"].to_pylist() == [2, 3, 4, 5, 6]
    assert result.ledger["since"].to_pylist() == [day(1), day(1), day(2), day(2), day(2)]
    assert result.ledger["until"].to_pylist() == [day(1), *4 * [day(2)]]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"min_count": 3}, "a b x"),  # Older tokens need one occurrence only.
        ({"top_k": 3}, "a b x"),
        ({"top_k": 1}, "a"),  # No place is free; x is more frequent, but new.
    ],
)
def test_min_count_and_top_k_limit_new_tokens(settings: dict[str, int], expected: str) -> None:
    assert tokens(grown({"a": 5, "b": 3}, {"b": 1, "x": 7, "y": 2}, **settings)) == expected


@pytest.mark.parametrize(("days", "retired"), [(1, []), (2, []), (3, [0]), (4, [0])])
def test_token_that_is_not_used_for_the_stated_time_is_retired(days: int, retired: list[int]) -> None:
    result = grown({"a": 5, "b": 3}, *days * [{"b": 1}], retire_after="3d")
    assert result.retired.tolist() == retired
    assert tokens(result) == "a b"
    assert result.ledger["until"].to_pylist() == [day(1), day(1 + days)]


@pytest.mark.parametrize(("count", "retired"), [(1, [0]), (2, [])])
def test_retired_token_comes_back_to_its_id_when_it_has_min_count(count: int, retired: list[int]) -> None:
    result = grown({"a": 5, "b": 3}, {"b": 1}, {"a": count, "c": 9}, min_count=2, retire_after="1d")
    assert tokens(result) == "a b c"
    assert result.retired.tolist() == [*retired, 1]
    assert result.ledger["since"].to_pylist()[0] == day(1)
    assert result.ledger["until"].to_pylist()[0] == (day(1) if retired else day(3))


def test_retired_tokens_leave_their_places_below_top_k_to_new_ones() -> None:
    result = grown({"a": 5, "b": 3}, {"b": 1, "x": 2, "y": 1}, top_k=2, retire_after="1d")
    assert (tokens(result), result.retired.tolist()) == ("a b x", [0])


def test_retired_token_stays_retired_without_the_setting() -> None:
    before = grown({"a": 5}, {}, retire_after="1d")
    assert grow(before.ledger, counts({}), Vocabulary(), day(9)).retired.tolist() == [0]


def test_time_of_a_token_whose_dates_are_not_known_begins_at_the_first_date() -> None:
    before = grow(LEDGER.empty_table(), counts({"a": 5}), Vocabulary(), None)
    assert before.ledger["since"].to_pylist() == before.ledger["until"].to_pylist() == [None]
    settings = Vocabulary(retire_after="2d")
    first = grow(before.ledger, counts({}), settings, day(1))
    second = grow(first.ledger, counts({}), settings, day(3))
    assert (first.retired.tolist(), second.retired.tolist()) == ([], [0])
    assert second.ledger["since"].to_pylist() == [None]


def test_ids_begin_after_the_oov_buckets() -> None:
    assert grown({"a": 1}, {"b": 1}, num_oov_buckets=4).ledger["id"].to_pylist() == [5, 6]


@dataclass
class Reference:
    """A vocabulary in plain Python."""

    lines: list[str] = field(default_factory=list)
    used: dict[str, date] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)

    def grow(self, of_day: Mapping[str, int], settings: Vocabulary, as_of: date) -> None:
        for token in self.lines:
            if of_day.get(token, 0) >= (settings.min_count if token in self.retired else 1):
                self.used[token] = as_of
                self.retired.discard(token)
            if settings.retires_after and as_of - self.used[token] >= settings.retires_after:
                self.retired.add(token)
        new = sorted((-n, t.encode()) for t, n in of_day.items() if t not in self.used and n >= settings.min_count)
        places = len(new) if settings.top_k is None else settings.top_k - len(self.lines) + len(self.retired)
        for _, token in new[: max(0, places)]:
            self.lines.append(token.decode())
            self.used[token.decode()] = as_of


DAYS = st.lists(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4), max_size=6), min_size=1, max_size=8)
SETTINGS = st.fixed_dictionaries(
    {"min_count": st.integers(1, 3), "num_oov_buckets": st.integers(1, 2)},
    optional={"top_k": st.integers(1, 6), "retire_after": st.sampled_from(["1d", "2d", "3d"])},
)


@settings(deadline=None, max_examples=50)
@given(DAYS, SETTINGS, st.randoms(use_true_random=False))
def test_any_chain_equals_the_reference_and_does_not_depend_on_the_order_of_counts(
    days: list[dict[str, int]], given_settings: dict[str, Any], chance: random.Random
) -> None:
    vocabulary, reference, ledger = Vocabulary(**given_settings), Reference(), LEDGER.empty_table()
    for number, of_day in enumerate(days, start=1):
        shuffled = chance.sample(sorted(of_day.items()), len(of_day))
        result = grow(ledger, counts(dict(shuffled)), vocabulary, day(number))
        older, ledger = ledger, result.ledger
        reference.grow(of_day, vocabulary, day(number))
        assert ledger["token"].to_pylist() == [token.encode() for token in reference.lines]
        assert ledger["until"].to_pylist() == [reference.used[token] for token in reference.lines]
        assert {reference.lines[line] for line in result.retired} == reference.retired
        assert result.tokens["count"].to_pylist() == [of_day.get(token, 0) for token in reference.lines]
        kept = ledger.slice(0, older.num_rows)
        assert kept.select(["token", "id", "since"]) == older.select(["token", "id", "since"])
        assert ledger["id"].to_pylist() == list(range(vocabulary.first_token_id, vocabulary.table_rows(len(ledger))))


def grown_with(given_tokens: list[str], *days: Mapping[str, int], **settings: object) -> Grown:
    """Returns the vocabulary after growth by several days, each with the same tokens of pretrained vectors."""
    tokens = pa.array([token.encode() for token in given_tokens], pa.large_binary())
    ledger = LEDGER.empty_table()
    for number, of_day in enumerate(days, start=1):
        result = grow(ledger, counts(of_day), Vocabulary(**settings), day(number), tokens)
        ledger = result.ledger
    return result


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, "b a y z c x"), ({"min_count": 2}, "b y z c"), ({"top_k": 3}, "b a y z c")],
)
def test_tokens_with_pretrained_vectors_are_appended_and_do_not_count_for_top_k(
    settings: dict[str, int], expected: str
) -> None:
    assert tokens(grown_with(["z", "y"], {"a": 1, "b": 2}, {"c": 3, "x": 1, "y": 1}, **settings)) == expected


def test_tokens_with_pretrained_vectors_are_not_retired_while_the_file_has_them() -> None:
    result = grown_with(["z"], {"a": 1}, {"b": 1}, {"b": 1}, retire_after="1d")
    assert (tokens(result), result.retired.tolist()) == ("a z b", [0])
    later = grow(result.ledger, counts({"b": 1}), Vocabulary(retire_after="1d"), day(4))
    assert later.retired.tolist() == [0, 1]
    again = grow(
        later.ledger, counts({"b": 1}), Vocabulary(retire_after="1d"), day(5), pa.array([b"z"], pa.large_binary())
    )
    assert again.retired.tolist() == [0]
