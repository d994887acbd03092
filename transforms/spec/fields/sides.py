"""The side of fields and of a request's inputs: the user's, once per request, or the candidates', once for each.

A field is the user's if it has `side: user`, or if it is derived from nothing but what such fields read. The other
fields are the candidates'; derived ones among them, such as a match of the item in the user's history, may read both
sides. Only the signature `rank` of an exported model depends on sides: ids, examples and models do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..inputs import in_order, read_fields, source_inputs
from ..roles import weights_feature
from .any_field import AnyField

if TYPE_CHECKING:
    from ..spec import Spec


def user_fields(spec: Spec) -> list[str]:
    """Returns the fields on the user's side, in the order of the spec; none if no field has `side: user`."""
    found = set(_stated(spec))
    columns = _columns_of(found, spec)
    for name in in_order(spec) if found else []:
        fields, read = _read_by(spec.fields[name], spec)
        if found.issuperset(fields) and columns.issuperset(read):
            found.add(name)
    return [name for name in spec.fields if name in found]


def user_inputs(spec: Spec) -> list[str]:
    """Returns the inputs of a request that are the user's: those of user fields, and all that read their columns."""
    fields, columns = user_fields(spec), _columns_of(_stated(spec), spec)
    found = [name for name, column in spec.copied_columns.items() if column in columns]
    for name, field in read_fields(spec, requests=True).items():
        if name in fields:
            found += [name, weights_feature(name)] if field.is_weighted else [name]
    return [*found, *(name for name, source in source_inputs(spec).items() if source.column in columns)]


def inputs_of(spec: Spec, fields: Iterable[str]) -> set[str]:
    """Returns the inputs from which fields are computed, also through other derived fields."""
    wanted, inputs = set(fields), set()
    for name in reversed(in_order(spec)):
        if name in wanted:
            wanted |= set(_read_by(spec.fields[name], spec)[0])
    for name in wanted:
        field = spec.fields[name]
        columns = set(_read_by(field, spec)[1])
        inputs |= {source for source, of in source_inputs(spec).items() if of.column in columns}
        if field.derivation is None:
            inputs |= {name, weights_feature(name)} if field.is_weighted else {name}
    return inputs


def check_sides(spec: Spec) -> None:
    """Raises ValueError if a field or a column is on both sides, or if nothing is left for the candidates."""
    stated = _stated(spec)
    if not stated:
        return
    of_user, columns = user_fields(spec), _columns_of(stated, spec)
    for name in stated:
        others = [source for source in _read_by(spec.fields[name], spec)[0] if source not in of_user]
        if others:
            raise ValueError(
                f"fields.{name}.side: expected a field that is computed from the user's fields alone, found one that "
                f"reads {others[0]!r}, a field of the candidates; remove `side` here, or add `side: user` there"
            )
    for name, field in read_fields(spec).items():
        both = [] if name in stated else [column for column in _raw_columns(name, field, spec) if column in columns]
        if both:
            other = next(user for user in stated if both[0] in _columns_of([user], spec))
            raise ValueError(
                f"fields.{name}: reads the column {both[0]!r}, as fields.{other} with `side: user` does, and a column "
                "is either the user's or the candidates'; add `side: user` here, or remove it there"
            )
    requested = {*read_fields(spec, requests=True), *source_inputs(spec)}
    if requested <= set(user_inputs(spec)):
        raise ValueError(
            "fields: all fields of a request have `side: user`, so all candidates would have the same score; remove it "
            "from those of the candidates"
        )


def _stated(spec: Spec) -> list[str]:
    return [name for name, field in spec.fields.items() if field.side == "user"]


def _columns_of(fields: Iterable[str], spec: Spec) -> set[str]:
    """Returns the columns that fields read themselves."""
    found: set[str] = set()
    for name in fields:
        field = spec.fields[name]
        found |= set(_raw_columns(name, field, spec) if field.derivation is None else _read_by(field, spec)[1])
    return found


def _raw_columns(name: str, field: AnyField, spec: Spec) -> list[str]:
    """Returns the columns of a field that is not derived: that of its values, and that of their weights."""
    weights = getattr(field, "weights", None)
    return [spec.column_of(name), *([] if weights is None else [weights])]


def _read_by(field: AnyField, spec: Spec) -> tuple[list[str], list[str]]:
    """Returns the fields and the columns that a derived field reads; nothing for another field."""
    if field.derivation is None:
        return [], []
    either = field.derivation.fields_or_columns()
    fields = [*field.derivation.fields(), *(name for name in either if name in spec.fields)]
    return fields, [*field.derivation.times(), *(name for name in either if name not in spec.fields)]
