"""The columns that are copied to examples and predictions, and the names that features may have.

Fields are what the model reads; the key and the carried columns only pass through, as texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from .base import NAME_PATTERN, Name

# Names of the key, the label and its weight in examples, whatever the names of their raw columns.
KEY_FEATURE = "key"
LABEL_FEATURE = "label"
LABEL_WEIGHT_FEATURE = "label_weight"

# Other columns of predictions, and other outputs of an exported model.
RESERVED_NAMES = ("probability", "source", "row", "ids_seen", "oov_ids")


def weights_feature(field: str) -> str:
    """Returns the name of the feature with a multivalued field's weights."""
    return f"{field}_weights"


def key_features(key: str | list[str] | None) -> dict[str, str]:
    """Returns the columns of a key by feature: `key`, or `key_0`, `key_1`, … if there are several columns."""
    columns = [key] if isinstance(key, str) else key or []
    if len(columns) == 1:
        return {KEY_FEATURE: columns[0]}
    return {f"{KEY_FEATURE}_{index}": column for index, column in enumerate(columns)}


def _differ(columns: list[str]) -> list[str]:
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise ValueError(f"expected different columns, found {twice!r} twice; remove one")
    return columns


def _by_name(carry: Any) -> Any:
    """Returns the mapping from names to columns for its short form, a list of columns that are their own names."""
    if not isinstance(carry, list):
        if not isinstance(carry, dict):
            raise ValueError(f"expected a list of columns, or a mapping from names to columns; found {carry!r}")
        return carry
    for column in carry:
        if not isinstance(column, str):
            raise ValueError(f"expected columns as texts, found {column!r}; texts like this need quotes")
        if not re.match(NAME_PATTERN, column):
            raise ValueError(f"{column!r} cannot be the name of a feature; choose one, as in {{my_name: {column!r}}}")
    return {column: column for column in _differ(carry)}


Key = str | Annotated[list[str], Field(min_length=1), AfterValidator(_differ)]
Carry = Annotated[dict[Name, str], BeforeValidator(_by_name, json_schema_input_type=list[Name] | dict[Name, str])]


def check_names(
    fields: Mapping[str, Any], key: str | list[str] | None, carry: Mapping[str, str], others: Iterable[str]
) -> None:
    """Checks that no two features have the same name; `others` are those of the label and of derived fields' sources.

    Raises:
        ValueError: two have, or a carried column has a name that predictions have already.
    """
    taken = {KEY_FEATURE, *others, *key_features(key)}
    for name in [*fields, *(weights_feature(name) for name, field in fields.items() if field.is_weighted)]:
        if name in taken:
            raise ValueError(
                f"the name `{name}` is taken (by the key, the label, its weight or another field's weights); rename "
                f"the field and set its raw column with `column: {name}`"
            )
        taken.add(name)
    for name, column in carry.items():
        if name in taken or name in RESERVED_NAMES:
            owner = "predictions" if name in RESERVED_NAMES else "another feature"
            raise ValueError(
                f"carry: the name `{name}` is taken by {owner}; choose another, as in {{my_{name}: {column!r}}}"
            )
