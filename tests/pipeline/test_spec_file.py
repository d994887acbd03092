"""Spec files: errors name the file, the entry and the fix."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from fieldpool.pipeline.spec_file import dump_spec, load_spec, parse_spec
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Spec

GOOD: dict[str, Any] = {
    "label": {"field": "click"},
    "split": {"column": "part"},
    "fields": {"tags": {"type": "multivalued"}},
}


def test_a_dumped_spec_loads_again(tmp_path: Path, spec_data: dict[str, Any]) -> None:
    spec = Spec.model_validate(spec_data)
    (tmp_path / "spec.yaml").write_text(dump_spec(spec))
    assert load_spec(str(tmp_path / "spec.yaml")) == spec


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"fields": {"tags": {"type": "multivalued", "max_length": 3}}},
            "fields.tags.max_length: unknown key; did you mean `max_len`?",
        ),
        (
            {"fields": {"tags": {"max_len": 3}}},
            "fields.tags: `type:` is missing; expected categorical, multivalued, numeric or vector",
        ),
        (
            {"fields": {"tags": {"type": "list"}}},
            "numeric or vector, found 'list'; did you mean `multivalued`?",
        ),
        ({"fields": {"tags": {"type": "number"}}}, "found 'number'; did you mean `numeric`?"),
        ({"fields": {"tags": {"type": "Categorical"}}}, "found 'Categorical'; did you mean `categorical`?"),
        (
            {"fields": {"tags": {"type": "what"}}},
            "fields.tags.type: expected categorical, multivalued, numeric or vector, found",
        ),
        ({"split": {"colum": "part"}}, "split: expected one of `column:`, `files:`, `hash:` or `time:`"),
        ({"split": {"column": "part", "trian": ["a"]}}, "split.trian: unknown key; did you mean `train`?"),
        ({"label": "click"}, "label: expected {field: click} (found 'click')"),
        ({"label": {}}, "label.field: is missing; add it"),
        ({"fields": {"a/b": {"type": "numeric"}}}, "fields.a/b: 'a/b' is not a valid name"),
        (
            {"fields": {"a": {"type": "numeric", "scale": "z"}}},
            "fields.a.scale: expected 'zscore', 'minmax', 'log1p', 'sqrt' or 'none'",
        ),
        ({"fields": {"a": {"type": "categorical", "missing": "skip"}}}, "'reject' or {token: X} (found 'skip')"),
        (
            {"fields": {"a": {"type": "categorical", "missing": {"tokn": "x", "token": "y"}}}},
            "fields.a.missing.tokn: unknown key; did you mean `token`?",
        ),
        ({"train": {"batch_size": "many"}}, "train.batch_size: expected a whole number (found 'many')"),
        ({"train": {"epochs": 2.5}}, "train.epochs: expected a whole number (found 2.5)"),
        ({"train": {"epochs": True}}, "train.epochs: expected a number (found true; YAML reads yes, no, on and off as"),
        ({"model": None}, "model: expected a mapping (found null)"),
        ({"source": "csv"}, "source: expected auto, or a mapping such as {format: csv} (found 'csv')"),
        ({"model": {"activation": "rleu"}}, "(found 'rleu'); did you mean `relu`?"),
        ({"key": 3}, "key: expected a text or a list (found 3; texts like this need quotes)"),
        ({"key": []}, "key: expected a text or at least 1 item (found a list)"),
        ({"carry": "market"}, "carry: expected a list of columns, or a mapping from names to"),
        (
            {"carry": ["market", "User ID"]},
            "carry: 'User ID' cannot be the name of a feature; choose one",
        ),
        (
            {"carry": ["tags"]},
            "carry: the name `tags` is taken by another feature; choose another",
        ),
        (
            {"fields": {False: {"type": "numeric"}}},
            "fields: expected names that are texts (found false; YAML reads yes",
        ),
        ({"fields": {}}, "fields: expected at least 1 item"),
        ({"label": {"field": "tags"}}, "fields.tags: reads the label's column 'tags'"),
        ({"evaluation": {"gauc_by": "tags"}}, "evaluation.gauc_by: expected a categorical field"),
    ],
)
def test_each_mistake_is_reported_in_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        parse_spec(GOOD | changes, "my.yaml")
    first, *mistakes = str(error.value).splitlines()
    assert first == "my.yaml: the spec is not valid"
    assert len(mistakes) == 1
    assert line in mistakes[0]


def test_error_of_many_mistakes_has_six_lines() -> None:
    with pytest.raises(UserError) as error:
        parse_spec(GOOD | {f"key{number}": 1 for number in range(9)}, "my.yaml")
    _, *mistakes, last = str(error.value).splitlines()
    assert (len(mistakes), last) == (4, "  … and 5 more")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not valid YAML"),
        ("- a\n", "expected a mapping"),
        ("!!python/object:os.system {}", "not valid YAML"),
        ("key: a\nkey: b\n", "duplicate key `key`"),
        ("a: {column: tags[].name}", r"Write paths with \[\] in quotes: column: \"tags\[\]\.name\""),
        ("a: 2024-99-99\n", "not valid YAML: month must be in"),
        ("a: !!bool x\n", "not valid YAML"),
        ("[" * 3000, "not valid YAML"),
        ("a: &a [*a]\n", "more than 200,000 values after its aliases are expanded"),
        ("a: " + "x" * 5_000_000, "larger than 4,194,304 bytes"),
    ],
)
def test_file_that_is_not_a_spec_is_reported(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_spec(str(path))


def test_aliases_of_aliases_are_not_expanded(tmp_path: Path) -> None:
    """Nine lists of nine of the list before: 3 billion values in 300 bytes."""
    path = tmp_path / "spec.yaml"
    names = "abcdefghij"
    lines = [f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in itertools.pairwise(names)]
    path.write_text("\n".join([f"a: &a [{', '.join('x' * 9)}]", *lines]))
    with pytest.raises(UserError, match="more than 200,000 values"):
        load_spec(str(path))


def test_missing_file_is_reported() -> None:
    with pytest.raises(UserError, match=r"nowhere.yaml: cannot read the spec \(No such file or directory\)"):
        load_spec("nowhere.yaml")
