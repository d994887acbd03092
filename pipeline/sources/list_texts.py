"""Texts that are lists in the syntax of JSON or of Python, as pandas writes them to CSV."""

from __future__ import annotations

import ast
import io
import itertools
import json
import math
import re
import tokenize
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ...transforms.spec import ListForm
from . import paths
from .paths import Steps, follow

# Lists of each form, without and with the steps of a path to members, for the reasons of rejected rows.
_EXAMPLES: dict[ListForm, tuple[str, str]] = {
    "json": ('["a", "b"]', '[{"name": "a"}]'),
    "python": ("['a', 'b']", "[{'name': 'a'}]"),
}
FORMS: tuple[ListForm, ...] = ("json", "python")
_NAMES: dict[ListForm, str] = {"json": "JSON", "python": "Python"}

# In these texts, JSON and Python may differ: JSON has other escapes and other words for constants.
_NOT_BOTH = re.compile(r"\\|true|false|null|NaN|Infinity")

# Texts without backslashes, and constants, in Python's syntax.
_PYTHON = re.compile(r""""[^"]*"|'[^']*'|\b(?:None|True|False)\b""")
_CONSTANTS = {"None": "null", "True": "true", "False": "false"}

# Between two texts, without a comma: Python would join them. NumPy prints arrays so: `['a' 'b']`.
_ADJACENT_QUOTES = re.compile(r"""["']\s*[a-zA-Z]*["']""")

# Python prints these floats as words that are not literals.
_FLOATS = {"nan": math.nan, "inf": math.inf}

# The errors of the parsers, also for texts that are nested too deeply and for keys that are lists.
NOT_PARSED = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, tokenize.TokenError)


def expected(form: ListForm, steps: Steps = ()) -> str:
    """Returns the expected texts in words."""
    plain, nested = _EXAMPLES[form]
    if len(steps) < 2:
        return f"a {_NAMES[form]} list of texts or numbers, such as {plain}"
    return f"a {_NAMES[form]} list for the path {paths.text_of(steps)!r}, such as {nested}"


def lists_of_texts(texts: pa.Array, form: ListForm, steps: Steps = ()) -> tuple[pa.Array, np.ndarray]:
    """Returns the lists, large_list<large_binary>, and which rows are not valid, bool `[rows]`; these have null.

    Elements become the texts of `rows.texts`, as those of typed lists do. Missing elements (null, NaN) remain as
    nulls, so that weights keep their positions. A missing text, JSON's null and Python's None are null, an empty text
    is an empty list.

    Args:
        texts: large_binary. Equal texts are parsed once.
        form: Their syntax.
        steps: The path from a list to the tokens, of which the first step is `[]`; none for lists of tokens.
    """
    distinct = texts.dictionary_encode()
    lists: list[list[bytes | None] | None] = []
    is_bad = []
    for text in distinct.dictionary.to_pylist():
        try:
            lists.append(_elements(follow(parse(text, form), steps)[0]))
            is_bad.append(False)
        except NOT_PARSED:
            lists.append(None)
            is_bad.append(True)
    # The last list is that of missing texts.
    codes = np.asarray(distinct.indices.fill_null(len(lists)))
    parsed = pa.array([*lists, None], pa.large_list(pa.large_binary()))
    return parsed.take(pa.array(codes)), np.array([*is_bad, False])[codes]


def parse(text: bytes, form: ListForm) -> list[Any] | None:
    """Returns the list that a text is; an empty list if it is empty, None for JSON's null or Python's None.

    Raises:
        ValueError, SyntaxError, TypeError, RecursionError, MemoryError: it is not such a list.
    """
    content = text.decode().strip()
    if not content:
        return []
    value = _from_json(content) if form == "json" else _from_python(content)
    if not isinstance(value, list | None):
        raise ValueError(f"found {type(value).__name__}")
    return value


def is_list_text(text: bytes, form: ListForm) -> bool:
    """Returns whether a text is a list, with elements of any type."""
    try:
        return bool(parse(text, form))
    except NOT_PARSED:
        return False


def _from_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=unique_members)


def unique_members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the members of a JSON object.

    Raises:
        ValueError: two members have the same name.
    """
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("duplicate key")
    return members


def _from_python(text: str) -> Any:
    if not _NOT_BOTH.search(text):
        try:
            return _from_json(_PYTHON.sub(_as_json, text))  # Ten times faster.
        except (ValueError, RecursionError):
            pass
    tree = ast.parse(text, mode="eval")
    if _ADJACENT_QUOTES.search(text) and _joins_texts(text):
        raise ValueError("a comma is missing")
    if any(word in text for word in _FLOATS):
        tree = _Floats().visit(tree)
    return ast.literal_eval(tree)


def _as_json(match: re.Match[str]) -> str:
    """Returns a text or constant of Python as JSON writes it."""
    found = match[0]
    if found[0] == "'":
        return '"' + found[1:-1].replace('"', '\\"') + '"'
    return _CONSTANTS.get(found, found)


class _Floats(ast.NodeTransformer):
    """Replaces `nan` and `inf` by their values."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_FLOATS[node.id]) if node.id in _FLOATS else node


def _joins_texts(text: str) -> bool:
    """Returns whether two texts follow each other without a comma."""
    kinds = [token.type for token in tokenize.generate_tokens(io.StringIO(text).readline)]
    kinds = [kind for kind in kinds if kind not in (tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT)]
    return any(pair == (tokenize.STRING, tokenize.STRING) for pair in itertools.pairwise(kinds))


def _elements(values: list[Any] | None) -> list[bytes | None] | None:
    return None if values is None else [text_of(value) for value in values]


def text_of(value: Any) -> bytes | None:
    """Returns the text of an element, the same as that of a typed value (see `rows.texts`); NaN is missing.

    Raises:
        ValueError: it is a list, an object or of another type that a token cannot have.
    """
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if not value.is_integer():
            text: str = pa.scalar(value).cast(pa.string()).as_py()
            return text.encode()
        value = int(value)
    if not isinstance(value, int):
        raise ValueError(f"found {type(value).__name__}")
    return str(value).encode()
