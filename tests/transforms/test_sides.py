"""Which fields and inputs are the user's, and the errors of specs in which a field or a column is on both sides."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fieldpool.transforms.spec import Spec
from fieldpool.transforms.spec.fields.sides import inputs_of, user_fields, user_inputs

USER = {"side": "user"}
CATEGORICAL, MULTIVALUED, NUMERIC = ({"type": name} for name in ("categorical", "multivalued", "numeric"))
HOUR = {"from": {"time": "at", "part": "hour"}}
FIELDS: dict[str, Any] = {
    "user": CATEGORICAL | USER,
    "history": MULTIVALUED | USER | {"weights": "seconds"},
    "hour": CATEGORICAL | USER | HOUR,
    "item": CATEGORICAL,
    "price": NUMERIC,
}


def spec(fields: dict[str, Any] | None = None, **changes: Any) -> Spec:
    data = {"label": {"field": "click"}, "split": {"column": "part"}, "fields": FIELDS | (fields or {})}
    return Spec.model_validate(data | changes)


def test_fields_with_side_user_are_the_users() -> None:
    assert user_fields(spec()) == ["user", "history", "hour"]


def test_inputs_of_the_user_are_those_of_its_fields() -> None:
    assert user_inputs(spec()) == ["user", "history", "history_weights", "at_us"]


def test_without_side_nothing_is_the_users() -> None:
    plain = spec({"user": CATEGORICAL, "history": MULTIVALUED, "hour": CATEGORICAL | HOUR})
    assert (user_fields(plain), user_inputs(plain)) == ([], [])


@pytest.mark.parametrize(
    ("derived", "is_users"),
    [
        (CATEGORICAL | {"from": {"cross": ["user", "hour"]}}, True),
        (CATEGORICAL | {"from": {"time": "at", "part": "weekday"}}, True),
        (NUMERIC | {"from": {"missing": "history"}}, True),
        (CATEGORICAL | {"from": {"cross": ["user", "item"]}}, False),
        (NUMERIC | {"from": {"match": ["item", "history"]}}, False),
        (NUMERIC | {"from": {"age": "published", "at": "at"}}, False),
        (NUMERIC | {"from": {"ratio": ["price", "spent"]}}, False),
        (MULTIVALUED | {"from": {"text": "title"}}, False),
    ],
)
def test_a_field_is_the_users_if_it_is_derived_from_the_users_alone(derived: dict[str, Any], is_users: bool) -> None:
    with_derived = spec({"derived": derived})
    assert ("derived" in user_fields(with_derived)) == is_users
    assert set(user_inputs(with_derived)) == {"user", "history", "history_weights", "at_us"}


def test_columns_of_key_and_carry_are_the_users_if_its_fields_read_them() -> None:
    copied = spec(key=["user", "item"], carry=["seconds", "session"])
    assert user_inputs(copied)[:2] == ["key_0", "seconds"]


def test_fields_in_train_only_are_no_inputs() -> None:
    with_position = spec({"device": CATEGORICAL | USER}, train_only={"device": "tv"})
    assert "device" in user_fields(with_position)
    assert "device" not in user_inputs(with_position)


def test_inputs_of_a_derived_field_are_found_through_others() -> None:
    fields = {
        "pair": CATEGORICAL | {"from": {"cross": ["item", "hour"]}},
        "triple": CATEGORICAL | {"from": {"cross": ["pair", "user"]}},
    }
    assert inputs_of(spec(fields), ["triple"]) == {"item", "at_us", "user"}
    assert inputs_of(spec(fields), ["history", "price"]) == {"history", "history_weights", "price"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"pair": CATEGORICAL | USER | {"from": {"cross": ["user", "item"]}}},
            r"fields\.pair\.side: expected a field that is computed from the user's fields alone, found one that reads "
            "'item'",
        ),
        (
            {"other": CATEGORICAL | {"column": "user"}},
            r"fields\.other: reads the column 'user', as fields\.user with `side: user` does",
        ),
        (
            {"other": MULTIVALUED | {"weights": "seconds"}},
            r"fields\.other: reads the column 'seconds', as fields\.history with `side: user` does",
        ),
        (
            {"at": NUMERIC},
            r"fields\.at: reads the column 'at', as fields\.hour with `side: user` does",
        ),
        (
            {"item": CATEGORICAL | USER, "price": NUMERIC | USER},
            "all fields of a request have `side: user`, so all candidates would have the same score",
        ),
    ],
    ids=["derived from both", "column", "weights", "time", "nothing to rank"],
)
def test_a_field_or_column_on_both_sides_is_an_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(fields)


def test_the_candidates_need_a_field_that_requests_have() -> None:
    only_position = {"item": CATEGORICAL | USER, "price": NUMERIC | USER, "position": CATEGORICAL}
    with pytest.raises(ValidationError, match="all fields of a request have `side: user`"):
        spec(only_position, train_only={"position": 1})


@pytest.mark.parametrize("path", ["label", "split"])
def test_other_sections_have_no_side(path: str) -> None:
    section = {"label": {"field": "click"}, "split": {"column": "part"}}[path]
    with pytest.raises(ValidationError, match="side"):
        spec(**{path: section | USER})


def test_side_has_one_word() -> None:
    with pytest.raises(ValidationError, match=r"user"):
        spec({"item": CATEGORICAL | {"side": "item"}})
