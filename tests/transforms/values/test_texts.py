"""Normalized tokens, and the words of texts."""

from __future__ import annotations

import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.transforms.values import texts


@pytest.mark.parametrize(
    ("steps", "expected"),
    [([], " Ab\t"), (["strip"], "Ab"), (["lower"], " ab\t"), (["strip", "lower"], "ab"), (["lower", "strip"], "ab")],
)
def test_steps_change_a_token(steps: list[str], expected: str) -> None:
    assert texts.normalized(tf.constant([" Ab\t"]), steps).numpy().tolist() == [expected.encode()]


@pytest.mark.parametrize(("token", "expected"), [("ÄÖ", "äö"), ("", ""), ("İ", "i̇"), ("A\0B", "A\0B")])
def test_lower_knows_unicode_and_keeps_texts_with_nul(token: str, expected: str) -> None:
    assert texts.normalized(tf.constant([token.encode()]), ["lower"]).numpy().tolist() == [expected.encode()]


@given(st.lists(st.text(max_size=8), min_size=1))
@settings(deadline=None)
def test_to_normalize_twice_changes_nothing(tokens: list[str]) -> None:
    once = texts.normalized(tf.constant([token.encode() for token in tokens]), ["strip", "lower"])
    assert texts.normalized(once, ["strip", "lower"]).numpy().tolist() == once.numpy().tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Star Wars: Episode IV", ["star", "wars", "episode", "iv"]),
        ("l’été à Paris", ["l", "été", "à", "paris"]),
        ("  --  ", []),
        ("", []),
        ("a\0b", ["a", "b"]),
        ("東京 2024年", ["東京", "2024年"]),
        ("cafe\u0301", ["cafe\u0301"]),
    ],
)
def test_words_are_letters_and_digits_in_lower_case(text: str, expected: list[str]) -> None:
    assert texts.words(tf.constant([text.encode()]), 1).to_list() == [[word.encode() for word in expected]]


@pytest.mark.parametrize(
    ("ngrams", "expected"),
    [(1, ["a", "b", "c"]), (2, ["a", "b", "c", "a b", "b c"]), (3, ["a", "b", "c", "a b", "b c", "a b c"])],
)
def test_sequences_of_words_follow_the_words(ngrams: int, expected: list[str]) -> None:
    assert texts.words(tf.constant(["a b c"]), ngrams).to_list() == [[word.encode() for word in expected]]


# The categories of letters, marks and numbers.
def is_of_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


@given(st.text(st.characters(codec="utf-8", max_codepoint=0x2FFF, exclude_categories=["Cn"]), max_size=20))
@settings(deadline=None)
def test_words_have_no_other_characters(text: str) -> None:
    (found,) = texts.words(tf.constant([text.encode()]), 1).to_list()
    spaced = "".join(character if is_of_word(character) else " " for character in text)
    assert len(found) == len(spaced.split())
