"""Proposed lists: separators, the syntax of JSON and Python, lists of objects, and values with several spellings."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from fieldpool.pipeline.proposal.spec_proposal import Proposal, propose
from fieldpool.transforms.spec import Spec

ROWS = 400
GENRES = ["Drama", "Sci-Fi", "Rock 'n' Roll", "Action", "Café"]
LISTS = [[GENRES[(i * k + k) % 5] for k in range(1, 2 + i % 4)] for i in range(ROWS)]


def proposed(tags: list[Any], name: str = "tags") -> Proposal:
    """Returns the proposal for a click log with this column."""
    others = {"click": [i * 7 % 3 % 2 for i in range(ROWS)], "user": [f"u{i % 37}" for i in range(ROWS)]}
    found = propose(pa.table({**others, name: tags}), ["rows.csv"])
    Spec.model_validate(found.spec)
    return found


@pytest.mark.parametrize("separator", [",", ", ", " ; ", "| ", "|", "||", "::", "^", "\x02", "\x1f", "\t"])
def test_separator_has_any_length_and_the_spaces_around_it(separator: str) -> None:
    found = proposed([separator.join(values) for values in LISTS])
    assert found.spec["fields"]["tags"] == {"type": "multivalued", "separator": separator, "max_len": "auto"}


@pytest.mark.parametrize(("usual", "other"), [(",", ", "), (", ", ","), ("|", " | ")])
def test_lists_that_are_joined_in_several_ways_are_trimmed(usual: str, other: str) -> None:
    found = proposed([(usual if i % 9 else other).join(values) for i, values in enumerate(LISTS)])
    assert found.spec["fields"]["tags"]["separator"] == usual.strip()
    assert found.spec["fields"]["tags"]["trim"]
    assert "are trimmed" in "; ".join(found.reasons["tags"])
    assert "5 distinct values" not in found.reasons["tags"][0]


@pytest.mark.parametrize(
    ("variants", "steps"),
    [
        (["tv", "TV"], ["lower"]),
        (["tv", " tv"], ["strip"]),
        (["tv", "TV "], ["strip", "lower"]),
        (["tv", "TV", "tv "], ["strip", "lower"]),
        (["tv", " radio"], None),
    ],
)
def test_values_get_the_steps_that_make_them_equal(variants: list[str], steps: list[str] | None) -> None:
    found = proposed([variants[row % len(variants)] if row % 5 else "phone" for row in range(ROWS)], "platform")
    assert found.spec["fields"]["platform"].get("normalize") == steps


def test_values_that_differ_only_by_case_are_normalized() -> None:
    lists = [[value.upper() if i % 10 == 0 else value for value in values] for i, values in enumerate(LISTS)]
    found = proposed(["|".join(values) for values in lists])
    assert any(reason.startswith("values that are spelling variants of others: ") for reason in found.reasons["tags"])
    assert found.spec["fields"]["tags"]["normalize"] == ["lower"]


@pytest.mark.parametrize(("form", "write"), [("json", json.dumps), ("python", repr)])
def test_texts_with_lists_of_json_or_python_are_lists(form: str, write: Callable[[Any], str]) -> None:
    found = proposed([write(values) for values in LISTS])
    assert found.spec["fields"]["tags"] == {"type": "multivalued", "list": form, "max_len": "auto"}
    assert found.reasons["tags"][-1] == "at most 4 values a row"


def test_share_of_rows_without_a_valid_list_is_given() -> None:
    found = proposed([*map(json.dumps, LISTS[:-2]), "['Drama'", "[]]"])
    assert "0.50% of the rows have no such list and are rejected" in found.reasons["tags"]


@pytest.mark.parametrize("texts", [["[WIP] title", "[x] y", "[a"], ["[1,2,3", "1]"], ["{}", "[]x"]])
def test_other_texts_with_brackets_are_not_lists(texts: list[str]) -> None:
    assert "list" not in proposed([texts[i // 3 % len(texts)] for i in range(ROWS)]).spec["fields"]["tags"]


OBJECTS = [[{"id": GENRES.index(v), "name": v, "count": k} for k, v in enumerate(values)] for values in LISTS]


@pytest.mark.parametrize(("form", "write"), [("json", json.dumps), ("python", repr)])
def test_names_of_objects_in_texts_become_a_field_with_weights(form: str, write: Callable[[Any], str]) -> None:
    found = proposed([write(objects) for objects in OBJECTS])
    field = found.spec["fields"]["tags.name"]
    assert field == {
        "type": "multivalued",
        "list": form,
        "max_len": "auto",
        "column": "tags[].name",
        "weights": "tags[].count",
    }
    assert found.left_out["tags[].id"] == "an id beside tags[].name, which names the same elements"
    assert found.left_out["tags[].count"] == "the weights of tags[].name"


def test_constant_numbers_of_objects_are_not_weights() -> None:
    found = proposed([json.dumps([{"name": v, "count": "3"} for v in values]) for values in LISTS])
    assert "weights" not in found.spec["fields"]["tags.name"]
    assert found.left_out["tags[].count"] == "the same value in every row"


def test_objects_with_only_ids_are_lists_of_ids() -> None:
    found = proposed([json.dumps([{"id": 100 + GENRES.index(v)} for v in values]) for values in LISTS])
    assert found.spec["fields"]["tags.id"]["column"] == "tags[].id"


def test_lists_named_like_values_of_libffm_files_are_fields_without_such_a_field() -> None:
    assert proposed([[i % 5, i % 3] for i in range(ROWS)], name="tags.value").spec["fields"]["tags.value"]
