"""Every entry of the schema refuses what can never be right, and names the entry and the value.

The entries are those of the JSON Schema, so a new entry is tested as soon as it exists.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import keras
import pytest

from fieldpool.pipeline.spec_file import parse_spec
from fieldpool.transforms.errors import SpecError
from fieldpool.transforms.spec import Spec

CATEGORICAL, MULTIVALUED, NUMERIC = ({"type": name} for name in ("categorical", "multivalued", "numeric"))
VECTOR = {"type": "vector", "length": 3}
HOUR = CATEGORICAL | {"from": {"time": "t", "part": "hour"}}
FIELDS_OF_GOOD = {"a": CATEGORICAL, "token": dict(CATEGORICAL), "list": dict(MULTIVALUED), "hour": HOUR}
GOOD = {"label": {"field": "click"}, "split": {"column": "part"}, "fields": FIELDS_OF_GOOD}

# By section of the schema: its path in a spec, and what the path must contain for the section to be valid.
SECTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "Spec": ("", {}),
    "Label": ("label", {"field": "click"}),
    "ColumnSplit": ("split", {"column": "part"}),
    "FileSplit": ("split", {"files": {"train": "a.csv"}}),
    "FilePatterns": ("split.files", {"train": "a.csv"}),
    "HashSplit": ("split", {"hash": "user"}),
    "TimeSplit": ("split", {"time": "t", "eval_from": 1, "test_from": 2}),
    "Sample": ("sample", {"negatives": 0.5}),
    "Source": ("source", {}),
    "Explode": ("source.explode", {"column": "c", "into": "(?P<x>.+)"}),
    "Vocabulary": ("vocabularies.a", {}),
    "CategoricalField": ("fields.a", CATEGORICAL),
    "MultivaluedField": ("fields.a", MULTIVALUED),
    "NumericField": ("fields.a", NUMERIC),
    "VectorField": ("fields.a", VECTOR),
    "TokenPolicy": ("fields.a.missing", {"token": "x"}),
    "Quantiles": ("fields.a.scale", {"quantiles": 4}),
    "Boundaries": ("fields.a.scale", {"boundaries": [4]}),
    "TimePart": ("fields.a.from", {"time": "t", "part": "hour"}),
    "Age": ("fields.a.from", {"age": "s", "at": "t"}),
    "Cross": ("fields.a.from", {"cross": ["token", "list"]}),
    "Match": ("fields.a.from", {"match": ["token", "list"]}),
    "Ratio": ("fields.a.from", {"ratio": ["x", "y"]}),
    "MissingIndicator": ("fields.a.from", {"missing": "token"}),
    "Words": ("fields.a.from", {"text": "title"}),
    "TimeColumn": ("times.t", {}),
    "Limits": ("limits", {}),
    "Check": ("check", {}),
    "Model": ("model", {}),
    "Train": ("train", {}),
    "EarlyStopping": ("train.early_stopping", {}),
    "Evaluation": ("evaluation", {}),
    "Ranking": ("evaluation.ranking", {"by": "a"}),
}
# Sections of another field than the one in GOOD.
FIELDS = {
    **dict.fromkeys(("Quantiles", "Boundaries", "Age", "Match", "Ratio", "MissingIndicator"), NUMERIC),
    **dict.fromkeys(("Cross", "Words"), MULTIVALUED),
}

SCHEMA = Spec.model_json_schema()
SCHEMAS = {"Spec": SCHEMA, **SCHEMA["$defs"]}


def forms(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the schemas of the forms that an entry may have, and those of a list's items."""
    for form in entry.get("anyOf", [entry]):
        yield form
        if "items" in form:
            yield from forms(form["items"])


def entries(*types: str, key: str = "type") -> list[tuple[str, str]]:
    """Returns (section, entry) of the entries that may have one of the types, or that have a key in their schema."""
    return [
        (section, name)
        for section, schema in SCHEMAS.items()
        for name, entry in schema["properties"].items()
        if any(form.get(key) in types if types else key in form for form in forms(entry))
    ]


def is_list(section: str, name: str) -> bool:
    return any(form.get("type") == "array" for form in forms(SCHEMAS[section]["properties"][name]))


def wrong(section: str, name: str, value: Any) -> str:
    """Returns the error of a spec that is valid except for one entry."""
    path, content = SECTIONS[section]
    spec: dict[str, Any] = copy.deepcopy(GOOD)
    if section in FIELDS:
        spec["fields"]["a"] = dict(FIELDS[section])
    if path.startswith("split"):
        spec["split"] = {}
    *parents, last = path.split(".")
    inner = spec
    for key in parents:
        inner = inner.setdefault(key, {})
    if path:
        inner[last] = dict(content)
        inner = inner[last]
    parse_spec(spec, "spec.yaml")
    inner[name] = [value] if is_list(section, name) else value
    with pytest.raises(SpecError) as error:
        parse_spec(spec, "spec.yaml")
    return str(error.value)


def assert_names(error: str, section: str, name: str, found: str) -> None:
    """Checks that the error has one mistake, of the entry or, if it depends on others, of its section."""
    first, line = error.splitlines()
    assert first == "spec.yaml: the spec is not valid"
    path, _, message = line.strip().partition(": ")
    entry = ".".join(filter(None, (SECTIONS[section][0], name)))
    assert path in (entry, f"{entry}.0", SECTIONS[section][0])
    assert "expected" in message or "must be" in message
    assert found in message


def test_every_section_of_the_schema_has_a_path() -> None:
    assert set(SECTIONS) == set(SCHEMAS)


def no_numbers() -> Iterator[tuple[str, str, float]]:
    for section, name in entries("number", "integer"):
        infinite = [] if name in ("eval_from", "test_from") else [math.inf, -math.inf]  # There, an empty split.
        yield from ((section, name, value) for value in (math.nan, True, False, *infinite))


@pytest.mark.parametrize(("section", "name", "value"), no_numbers())
def test_numbers_are_finite_and_not_booleans(section: str, name: str, value: float) -> None:
    found = str(value).lower() if isinstance(value, bool) else str(value)
    assert_names(wrong(section, name, value), section, name, found)


@pytest.mark.parametrize("value", [1.5, -1, 10**12], ids=str)
@pytest.mark.parametrize(("section", "name"), entries("integer"))
def test_counts_are_whole_not_negative_and_fit_in_an_int32(section: str, name: str, value: float) -> None:
    assert_names(wrong(section, name, value), section, name, str(value))


@pytest.mark.parametrize(("section", "name"), [*entries(key="minimum"), *entries(key="exclusiveMinimum")])
def test_numbers_below_the_minimum_are_refused(section: str, name: str) -> None:
    assert_names(wrong(section, name, -1e39), section, name, "-1e+39")


@pytest.mark.parametrize(("section", "name"), [*entries(key="enum"), *entries(key="const"), *entries("boolean")])
def test_unknown_words_are_refused(section: str, name: str) -> None:
    assert_names(wrong(section, name, "nosuchword"), section, name, "'nosuchword'")


@pytest.mark.parametrize("value", [True, None, {"a": 1}], ids=str)
@pytest.mark.parametrize(("section", "name"), [pair for pair in entries("string") if pair not in entries("null")])
def test_texts_are_not_values_of_other_types(section: str, name: str, value: Any) -> None:
    error = wrong(section, name, value)
    path = ".".join(filter(None, (SECTIONS[section][0], name)))
    assert f"  {path}" in error
    assert "expected" in error or "unknown key" in error


@pytest.mark.parametrize("path", sorted({path for path, _ in SECTIONS.values() if path and "." not in path}))
def test_sections_are_mappings(path: str) -> None:
    assert_names(wrong("Spec", path, [3]), "Spec", path, "expected")


def test_activations_are_those_of_keras_that_a_dense_layer_can_have() -> None:
    """`glu` halves the number of units, `threshold` needs arguments."""
    names = set(dir(keras.activations)) - {"deserialize", "get", "serialize", "glu", "threshold"}
    public = {name for name in names if not name.startswith("_")}
    allowed = set(SCHEMAS["Model"]["properties"]["activation"]["enum"])
    assert public <= allowed
    for name in allowed:
        assert keras.layers.Dense(2, activation=name).compute_output_shape((1, 3)) == (1, 2)
