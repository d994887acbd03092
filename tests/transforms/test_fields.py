"""The properties of each field type, and the layout of ids in a vocabulary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from fieldpool.transforms.spec import FieldSpec, MultivaluedField, Vocabulary

CATEGORICAL = {"type": "categorical"}
LIST = {"type": "multivalued", "max_len": 3}
NUMERIC = {"type": "numeric"}
QUANTILES = {"type": "numeric", "scale": {"quantiles": 5}}

TYPE_PROPERTIES = ("raw", "is_list", "has_vocabulary", "is_embedded", "dtype", "shape", "buckets", "combiner")
FIELD_TYPES: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "categorical": (CATEGORICAL, ("token", False, True, True, "int64", (), None, None)),
    "multivalued": (LIST, ("list", True, True, True, "int64", (3,), None, "mean")),
    "numeric": (NUMERIC, ("number", False, False, False, "float32", (), None, None)),
    "quantiles": (QUANTILES, ("number", False, False, True, "int64", (), 5, None)),
}

SETTINGS_PROPERTIES = ("is_weighted", "rejects_missing", "absent_token")
SETTINGS: list[tuple[dict[str, Any], tuple[bool, bool, str | None]]] = [
    (CATEGORICAL, (False, False, None)),
    (CATEGORICAL | {"missing": "oov"}, (False, False, None)),
    (CATEGORICAL | {"missing": "reject"}, (False, True, None)),
    (CATEGORICAL | {"missing": {"token": "none"}}, (False, False, "none")),
    (LIST, (False, False, None)),
    (LIST | {"weights": "seconds"}, (True, False, None)),
    (LIST | {"empty": "reject"}, (False, True, None)),
    (LIST | {"empty": {"token": "none"}}, (False, False, "none")),
    (NUMERIC, (False, False, None)),
    (NUMERIC | {"missing": 3.0}, (False, False, None)),
    (NUMERIC | {"missing": "reject"}, (False, True, None)),
    (QUANTILES, (False, False, None)),
    (QUANTILES | {"missing": "reject"}, (False, True, None)),
]


def field(data: dict[str, Any]) -> Any:
    return TypeAdapter(FieldSpec).validate_python(data)


def values(data: dict[str, Any], properties: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(getattr(field(data), name) for name in properties)


@pytest.mark.parametrize("field_type", FIELD_TYPES)
def test_properties_that_depend_on_the_field_type(field_type: str) -> None:
    data, expected = FIELD_TYPES[field_type]
    assert values(data, TYPE_PROPERTIES) == expected


@pytest.mark.parametrize(("data", "expected"), SETTINGS)
def test_properties_that_depend_on_settings(data: dict[str, Any], expected: tuple[bool, bool, str | None]) -> None:
    assert values(data, SETTINGS_PROPERTIES) == expected


@pytest.mark.parametrize("pooling", ["mean", "sum", "sqrtn", "max"])
def test_combiner_is_the_pooling(pooling: str) -> None:
    assert field(LIST | {"pooling": pooling}).combiner == pooling


@pytest.mark.parametrize("max_len", ["auto", "p99"])
def test_unresolved_max_len_has_no_shape(max_len: str) -> None:
    with pytest.raises(ValueError, match=f"max_len: expected a number, found '{max_len}'"):
        _ = MultivaluedField(type="multivalued", max_len=max_len).shape


@pytest.mark.parametrize(
    ("num_oov_buckets", "oov", "tokens"),
    [
        (1, [False, True, False, False, False], [False, False, True, True, True]),
        (3, [False, True, True, True, False], [False, False, False, False, True]),
    ],
)
def test_ids_are_padding_then_oov_buckets_then_tokens(
    num_oov_buckets: int, oov: list[bool], tokens: list[bool]
) -> None:
    vocabulary, ids = Vocabulary(num_oov_buckets=num_oov_buckets), np.arange(5)
    assert vocabulary.is_oov(ids).tolist() == oov
    assert vocabulary.is_token(ids).tolist() == tokens
    assert vocabulary.first_token_id == tokens.index(True)


def test_table_has_rows_for_padding_oov_buckets_and_tokens() -> None:
    assert Vocabulary(num_oov_buckets=3).table_rows(10) == 14
