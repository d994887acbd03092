"""Texts that are JSON or Python lists have the tokens of the same lists with types; other texts are not lists."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.rows.columns import bags
from fieldpool.pipeline.rows.texts import TEXT
from fieldpool.pipeline.sources import list_texts
from fieldpool.pipeline.sources.list_texts import NOT_PARSED, lists_of_texts, parse
from fieldpool.transforms.spec import ListForm

FLOATS = st.floats(width=64)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=6)
LISTS = st.lists(SCALARS, max_size=5)


def read(text: str | bytes | None, form: ListForm) -> tuple[list[bytes | None] | None, bool]:
    lists, bad = lists_of_texts(pa.array([text], TEXT), form)
    return lists[0].as_py(), bool(bad[0])


def typed(values: list[Any]) -> list[bytes]:
    """Returns the tokens of a list in a file with types; each element in a list of its own, because types differ."""
    kinds = {int: pa.decimal256(76), float: pa.float64()}
    arrays = [pa.array([[value]], pa.list_(kinds[type(value)]) if type(value) in kinds else None) for value in values]
    return [bags(array, None, "tags").values[0].as_py()[0] for array in arrays]


@given(LISTS)
@settings(deadline=None)
def test_json_lists_have_the_tokens_of_typed_lists(values: list[Any]) -> None:
    found, is_bad = read(json.dumps(values), "json")
    assert found is not None
    assert not is_bad
    assert [token or b"" for token in found] == typed(values)


@given(LISTS | st.lists(st.text(max_size=6), max_size=5))
@settings(deadline=None)
def test_python_lists_have_the_tokens_of_typed_lists(values: list[Any]) -> None:
    found, is_bad = read(repr(values), "python")
    assert found is not None
    assert not is_bad
    assert [token or b"" for token in found] == typed(values)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=4), max_size=3).map(json.dumps))
@settings(deadline=None)
def test_json_lists_that_are_python_lists_too_are_the_same(text: str) -> None:
    """Except for escapes, such as JSON's two halves of a character beyond 16 bits."""
    assert "\\" in text or read(text, "python") == read(text, "json")


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("json", '["Drama", "Rock \'n\' Roll", "Caf\\u00e9"]', [b"Drama", b"Rock 'n' Roll", "Café".encode()]),
        ("python", "['Drama', \"Rock 'n' Roll\", 'Café']", [b"Drama", b"Rock 'n' Roll", "Café".encode()]),
        ("json", ' [1, 2.50, 1e2, true, null, NaN, "a, b"]\n', [b"1", b"2.5", b"100", b"true", None, None, b"a, b"]),
        ("python", " [1, 2.50, 1e2, True, None, nan, 'a, b']", [b"1", b"2.5", b"100", b"true", None, None, b"a, b"]),
        ("python", "[-inf, b'raw', 'it\\'s', '', 'true']", [b"-inf", b"raw", b"it's", b"", b"true"]),
        ("python", '["\\/"]', [b"\\/"]),
        ("json", '["\\/"]', [b"/"]),
        ("json", "[9007199254740993]", [b"9007199254740993"]),
        ("python", "['a',\n 'b',]", [b"a", b"b"]),
        ("json", "[]", []),
        ("json", "", []),
        ("python", "  ", []),
        ("json", "null", None),
        ("python", "None", None),
        ("json", None, None),
    ],
)
def test_lists_are_read(form: ListForm, text: str | None, expected: list[bytes | None] | None) -> None:
    assert read(text, form) == (expected, False)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", "['a']"),
        ("json", "a|b"),
        ("json", '["a"'),
        ("json", '["a"] ["b"]'),
        ("json", '"a"'),
        ("json", "7"),
        ("json", '{"a": 1}'),
        ("json", '[{"name": "a"}]'),
        ("json", '[["a"]]'),
        ("json", b'["\xff"]'),
        ("json", "[" * 100_000),
        ("python", "[true]"),
        ("python", "('a', 'b')"),
        ("python", "{'a', 'b'}"),
        ("python", "['a' 'b']"),
        ("python", "['a', 'b'"),
        ("python", "['Drama'\n 'Sci-Fi']"),
        ("python", "['Drama', ''"),
        ("python", "['''a"),
        ("python", "[1 2 3]"),
        ("python", "['a', print()]"),
        ("python", "['a', ...]"),
        ("python", "[1j]"),
        ("python", "[{'a': []}]"),
        ("python", "[{[]: 1}]"),
        ("python", "['\0']"),
        ("python", "[" * 100_000),
    ],
    ids=lambda value: value[:20],
)
def test_other_texts_are_not_lists(form: ListForm, text: str | bytes) -> None:
    assert read(text, form) == (None, True)


def test_a_text_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    monkeypatch.setattr(list_texts, "parse", lambda text, form: parsed.append(text) or [])
    lists, bad = lists_of_texts(pa.array([b"[1]", None, b"[2]", b"[1]", None, b"[1]"], TEXT), "json")
    assert parsed == [b"[1]", b"[2]"]
    assert lists.to_pylist() == [[], None, [], [], None, []]
    assert not bad.any()


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="'\"[]{},: NoneTrue1ab\\#\n", max_size=14))
def test_python_texts_are_read_as_python_reads_them(inner: str) -> None:
    assume("nan" not in inner)  # Not a literal of Python, but read: see above.
    text = f"[{inner}]"

    def found(read: Callable[[], object]) -> str:
        try:
            return repr(read())
        except NOT_PARSED:
            return "not a list"

    parsed, expected = found(lambda: parse(text.encode(), "python")), found(lambda: ast.literal_eval(text))
    # Texts without a comma between them are refused; Python joins them.
    assert parsed == expected or (parsed == "not a list" and re.search(r"['\"]\s*['\"]", text))


@pytest.mark.parametrize(
    "value", [["it's", 'say "x"', "a, b"], [{"name": "n's", "path": None, "adult": False}], ["None"]]
)
def test_lists_with_both_quotes_are_as_python_reads_them(value: list[Any]) -> None:
    assert parse(repr(value).encode(), "python") == value
