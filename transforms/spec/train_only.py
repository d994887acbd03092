"""The section `train_only`: fields that are features in training, and constants in evaluation and in requests.

The position at which an item was shown explains a part of its clicks, but is not known before the items are ranked. As
a feature of training only, it takes its part of the clicks from the other features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
from pydantic import Field, WithJsonSchema

from .base import FLOAT32_MAX, Name
from .fields import AnyField

if TYPE_CHECKING:
    from .spec import Spec

_TOKEN = [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]
_CONSTANT = {"anyOf": [*_TOKEN, {"type": "number"}, {"type": "null"}, {"type": "array", "items": {"anyOf": _TOKEN}}]}

TrainOnly = Annotated[
    dict[Name, Annotated[Any, WithJsonSchema(_CONSTANT)]],
    Field(
        description="Fields that are features in training only, such as the position at which an item was shown, and "
        "the value that they have in eval, test and requests instead of that of the row; null: a missing value."
    ),
]

# A constant as the transform takes it: a token (b"": missing), a number (NaN: missing) or a list of tokens.
Constant: TypeAlias = bytes | float | list[bytes]


def constants_of(spec: Spec) -> dict[str, Constant]:
    """Returns the constant of each field in `train_only`."""
    return {name: _constant(value, spec.fields[name]) for name, value in spec.train_only.items()}


def check_train_only(spec: Spec) -> None:
    """Raises ValueError if `train_only` names something that cannot be a constant, or gives a wrong one."""
    for name, value in spec.train_only.items():
        entry = f"train_only.{name}"
        if name not in spec.fields:
            raise ValueError(f"{entry}: expected the name of a field ({', '.join(spec.fields)}), found {name!r}")
        if spec.fields[name].derivation is not None:
            raise ValueError(
                f"{entry}: the field is derived (`from`); name the field that it reads, or remove the entry"
            )
        if spec.fields[name].raw == "vector":
            raise ValueError(f"{entry}: expected a categorical, multivalued or numeric field, found a field of vectors")
        column = spec.column_of(name)
        if column in spec.key_columns.values():
            raise ValueError(f"{entry}: the field reads the key, {column!r}, which requests have; remove the entry")
        uses: dict[str, Sequence[str | None]] = {"gauc_by": [spec.evaluation.gauc_by], "slices": spec.evaluation.slices}
        for use, names in uses.items():
            if name in names:
                raise ValueError(
                    f"evaluation.{use}: {name!r} is in train_only, so it has one value in eval and test; expected "
                    "another field"
                )
        try:
            constant = _constant(value, spec.fields[name])
        except ValueError as error:
            raise ValueError(f"{entry}: {error}") from None
        _check_limits(entry, constant, spec)
    if spec.train_only and len(spec.train_only) == len(spec.fields):
        raise ValueError("train_only: has all fields, so a request would have none; expected at least one other field")


def _constant(value: Any, field: AnyField) -> Constant:
    """Returns a constant as the transform takes it.

    Raises:
        ValueError: it does not fit the field.
    """
    if value in (None, []) and field.rejects_missing:
        raise ValueError("a missing value or an empty list is rejected (`reject`); expected a value")
    if field.raw == "number":
        return _number(value)
    if not field.is_list:
        return b"" if value is None else _token(value)
    if not isinstance(value, list | tuple | None):
        raise ValueError(f"expected a list of tokens, or null for an empty list, found {value!r}")
    return [_token(each) for each in value or []]


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= FLOAT32_MAX:
        raise ValueError(f"expected a finite number, or null for a missing one, found {value!r}")
    return float(np.float32(value))


def _token(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        return str(value).encode()
    if not isinstance(value, str) or not value:
        raise ValueError(
            f"expected a text, a whole number or a boolean as the token, or null for a missing value, found {value!r}"
        )
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"expected a text that is valid UTF-8, found {value!r}") from None


def _check_limits(entry: str, constant: Constant, spec: Spec) -> None:
    if isinstance(constant, float):
        return
    tokens: Sequence[bytes] = constant if isinstance(constant, list) else [constant]
    if len(tokens) > spec.limits.list_values:
        limit = f"limits.list_values ({spec.limits.list_values:,})"
        raise ValueError(f"{entry}: expected at most as many values as {limit}, found {len(tokens):,}")
    longest = max(map(len, tokens), default=0)
    if longest > spec.limits.value_bytes:
        limit = f"limits.value_bytes ({spec.limits.value_bytes:,} bytes)"
        raise ValueError(f"{entry}: expected values no longer than {limit}, found one of {longest:,} bytes")
