"""Tokens and raw values are shown so that blanks and control characters are seen."""

from __future__ import annotations

import pytest

from fieldpool.pipeline.terminal.example_tables import example_tables, visible
from fieldpool.pipeline.tfrecords.decoding import DecodedExample, DecodedField


@pytest.mark.parametrize("text", ["drama", "Sci-Fi", "science fiction", "été", "日本", "👩‍💻", "[OOV 1]", "it's"])
def test_an_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "''"),
        (" drama", "' drama'"),
        ("drama ", "'drama '"),
        ("dra\tma", r"'dra\tma'"),
        ("dra\x00ma", r"'dra\x00ma'"),
        ("dra\xa0ma", r"'dra\xa0ma'"),
        ("a · b", "'a · b'"),
        ("'drama'", "\"'drama'\""),
    ],
)
def test_a_text_with_something_unseen_is_quoted(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_tokens_are_quoted_one_by_one_with_their_weights() -> None:
    field = DecodedField([" a", "b"], [2, 3], padding=1, weights=[0.5, 1.0])
    _, table = example_tables([DecodedExample("k", 1.0, {"tags": field})])
    assert next(iter(table.columns[1].cells)).plain == "' a' (×0.5) · b (×1)"  # type: ignore[union-attr]
