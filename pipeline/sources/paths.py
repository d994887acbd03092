"""Paths into nested columns: `device.os` is a member of objects, `shelves[].name` a member of the objects of a list.

A path begins with a column, and has a step for each further part: the name of a member, or `[]` for the elements of a
list. A column whose name is exactly the path wins, then the longest column with which the path begins. A missing member
is a missing value; in a list, it keeps its position as a null element. The lists of `a[].b[]` are concatenated.

A path may lead to a text that is itself a list, in the syntax of JSON or Python: `list: json` in the spec. The steps
that are left, of which the first is `[]`, are followed when the text is parsed.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Steps = tuple[str, ...]
Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)

ELEMENTS = "[]"

# `profile` offers at most this number of members of a column, with at most this number of names behind the column's.
_MOST_MEMBERS, _MOST_NAMES = 20, 2

# When files are checked, the members of deeper objects, and more members of one object, are not known.
_DEEPEST, _MOST_KNOWN = 16, 1_000


class WrongPathError(ValueError):
    """A step of a path does not fit a value: a member of a text, elements of an object."""


def roots(path: str) -> Iterator[tuple[str, Steps]]:
    """Yields the columns with which a path may begin, longest first, each with the steps from there."""
    root = path
    steps: Steps = ()
    yield root, steps
    while True:
        if root.endswith(ELEMENTS):
            root, step = root.removesuffix(ELEMENTS), ELEMENTS
        else:
            root, _, step = root.rpartition(".")
        if not root or not step:
            return
        steps = (step, *steps)
        yield root, steps


def root_of(path: str, columns: Container[str]) -> tuple[str, Steps] | None:
    """Returns the column with which a path begins, and the steps from there; None if there is no such column."""
    return next(((root, steps) for root, steps in roots(path) if root in columns), None)


def text_of(steps: Steps) -> str:
    """Returns steps as they are written behind a column."""
    return "".join(step if step == ELEMENTS else f".{step}" for step in steps)


def columns_at(rows: Rows, paths: Sequence[str]) -> tuple[Rows, dict[str, Steps]]:
    """Returns the columns at the given paths, nulls where the rows lack one, and the steps that lead into texts.

    Raises:
        WrongPathError: a path does not fit the type of its column.
    """
    names, arrays = set(rows.schema.names), []
    in_texts: dict[str, Steps] = {}
    for path in paths:
        root, steps = root_of(path, names) or (None, ())
        values = pa.nulls(rows.num_rows) if root is None else rows[root]
        if steps:
            values = values.combine_chunks() if isinstance(rows, pa.Table) else values
            values, rest = _follow(values, steps)
            in_texts |= {path: rest} if rest else {}
        arrays.append(values)
    return type(rows).from_arrays(arrays, list(paths)), in_texts


def _follow(values: pa.Array, steps: Steps, *, in_list: bool = False) -> tuple[pa.Array, Steps]:
    """Returns the values after some steps; and the steps that are left, if these values are texts."""
    for index, step in enumerate(steps):
        values = _stored(values)
        kind = values.type
        if pa.types.is_null(kind):
            return values, ()
        if step == ELEMENTS:
            if is_text(kind) and not in_list:
                return values, steps[index:]
            return _of_elements(values, steps[index + 1 :]), ()
        if pa.types.is_struct(kind):
            has = kind.get_field_index(step) >= 0
            values = pc.struct_field(values, step) if has else pa.nulls(len(values))
        elif pa.types.is_map(kind) and is_text(kind.key_type):
            values = pc.map_lookup(values, pa.scalar(step, kind.key_type), "first")
        else:
            raise WrongPathError(f"expected objects with the member {step!r}, found {kind}")
    return values, ()


def _stored(values: pa.Array) -> pa.Array:
    """Returns the values of extension types and dictionaries."""
    if isinstance(values.type, pa.BaseExtensionType):
        return _stored(values.storage)
    return _stored(values.dictionary_decode()) if pa.types.is_dictionary(values.type) else values


def _of_elements(lists: pa.Array, steps: Steps) -> pa.Array:
    """Returns lists of the values after some steps from each element."""
    kind = lists.type
    if pa.types.is_map(kind):
        pairs = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
        lists = lists.cast(pa.list_(pairs))
    elif not is_list(kind):
        raise WrongPathError(f"expected lists, found {kind}")
    ends = _offsets(lists)
    values, _ = _follow(pc.list_flatten(lists), steps, in_list=True)
    if ELEMENTS in steps and pa.types.is_null(values.type):  # All inner lists are missing.
        ends, values = np.zeros_like(ends), values[:0]
    elif ELEMENTS in steps:
        ends, values = _offsets(values)[ends], pc.list_flatten(values)
    return pa.LargeListArray.from_arrays(pa.array(ends), values, mask=lists.is_null())


def _offsets(lists: pa.Array) -> np.ndarray:
    """Returns the position of the first element of each list in the flattened lists, and the end of the last, int64."""
    lengths = np.asarray(pc.list_value_length(lists).cast(pa.int64()).fill_null(0))
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def value_at(row: Mapping[str, Any], path: str) -> tuple[Any, Steps]:
    """Returns the value at a path of a JSON object; and the steps that are left, if it is a text with a list.

    Raises:
        WrongPathError: the path does not fit the object.
    """
    found = root_of(path, row)
    return (None, ()) if found is None else follow(row[found[0]], found[1])


def follow(value: Any, steps: Steps, *, in_list: bool = False) -> tuple[Any, Steps]:
    """Returns the value after some steps from a value of JSON, as `value_at` does."""
    for index, step in enumerate(steps):
        if value is None:
            return None, ()
        if step == ELEMENTS:
            if isinstance(value, str) and not in_list:
                return value, steps[index:]
            if not isinstance(value, list):
                raise WrongPathError(f"expected a list, found {_shown(value)}")
            inner = steps[index + 1 :]
            values = [follow(element, inner, in_list=True)[0] for element in value]
            return ([v for part in values for v in part or []] if ELEMENTS in inner else values), ()
        if not isinstance(value, dict):
            raise WrongPathError(f"expected an object with the member {step!r}, found {_shown(value)}")
        value = value.get(step)
    return value, ()


def _shown(value: Any) -> str:
    return repr(value)[:100]


@dataclass(frozen=True)
class Shape:
    """The type of a column, or of a part of it, as far as paths depend on it.

    Attributes:
        unreadable: The type, if it is not one of a column that can be read; otherwise empty.
        is_text: Whether the values are texts, which may be lists.
        members: The members of an object.
        elements: The elements of a list, and the pairs of `key` and `value` of a map.
        values: The values of a map, which are its members, whatever their names are.
    """

    unreadable: str = ""
    is_text: bool = False
    members: Mapping[str, Shape] = field(default_factory=dict)
    elements: Shape | None = None
    values: Shape | None = None

    def at(self, steps: Steps, *, in_list: bool = False) -> Shape | None:
        """Returns the shape of the column after some steps; None if there are no such members."""
        if not steps:
            return self
        step, rest = steps[0], steps[1:]
        if step != ELEMENTS:
            inner = self.members.get(step, self.values)
            return inner and inner.at(rest, in_list=in_list)
        if self.is_text and not in_list:
            return self
        inner = self.elements and self.elements.at(rest, in_list=True)
        return inner if inner is None or ELEMENTS in rest else list_of(inner)

    def steps(self, names: int = _MOST_NAMES) -> Iterator[Steps]:
        """Yields the steps to the parts that are not nested; at most the given number of members on each way."""
        if self.elements is not None and self.elements.unreadable:
            yield from ((ELEMENTS, *steps) for steps in self.elements.steps(names))
        for name, shape in self.members.items() if names else ():
            if name and "." not in name and not name.endswith(ELEMENTS):
                yield from ((name, *steps) for steps in shape.steps(names - 1))
        if not self.unreadable:
            yield ()


# The type of an object, and of a list with objects or lists, in formats without types.
NESTED = "object or list of lists"
TEXT, VALUE = Shape(is_text=True), Shape()


Shapes = Mapping[str, Shape]


def shape_at(path: str, shapes: Shapes) -> Shape | None:
    """Returns the shape of the column at a path, given those of the columns; None if there is none."""
    found = root_of(path, shapes)
    return None if found is None else shapes[found[0]].at(found[1])


def members_of(column: str, shape: Shape) -> tuple[list[str], int]:
    """Returns paths to the members of a nested column that can be read, and the number of others.

    They are in the order of the members; at most 20, with at most two names behind the column's.
    """
    if not shape.unreadable:
        return [], 0
    readable = [steps for steps in shape.steps() if (part := shape.at(steps)) and not part.unreadable]
    paths = [column + text_of(steps) for steps in readable]
    return paths[:_MOST_MEMBERS], len(paths[_MOST_MEMBERS:])


def list_of(elements: Shape) -> Shape:
    """Returns the shape of a list."""
    return Shape(elements.unreadable or (NESTED if elements.elements else ""), elements=elements)


def shape_of(value: Any, depth: int = 0) -> Shape:
    """Returns the shape of a value of JSON."""
    if isinstance(value, str):
        return TEXT
    if not isinstance(value, dict | list):
        return VALUE
    if depth == _DEEPEST:
        return Shape(NESTED)
    if isinstance(value, dict):
        some = islice(value.items(), _MOST_KNOWN)
        return Shape(NESTED, members={name: shape_of(member, depth + 1) for name, member in some})
    elements = VALUE
    for element in value:
        elements = merged(elements, shape_of(element, depth + 1))
    return list_of(elements)


def merged(one: Shape, other: Shape) -> Shape:
    """Returns the shape of values of which some have one shape and some another."""
    if one == other or other == VALUE:
        return one
    if one == VALUE:
        return other
    members = dict(one.members)
    for name, shape in other.members.items():
        if name in members or len(members) < _MOST_KNOWN:
            members[name] = merged(members.get(name, VALUE), shape)
    elements = merged(one.elements or VALUE, other.elements or VALUE) if one.elements or other.elements else None
    unreadable, is_text = one.unreadable or other.unreadable, one.is_text or other.is_text
    return Shape(unreadable, is_text, members, elements, one.values or other.values)


def is_text(kind: pa.DataType) -> bool:
    """Returns whether an Arrow type is one of texts or bytes."""
    return any(is_of(kind) for is_of in _TEXTS)


def is_list(kind: pa.DataType) -> bool:
    """Returns whether an Arrow type is one of lists, also of list views."""
    return any(is_of(kind) for is_of in _LISTS)


_TEXTS = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    *(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view),
)
_LISTS = (
    *(pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list),
    *(pa.types.is_list_view, pa.types.is_large_list_view),
)
