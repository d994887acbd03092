"""The Arrow types of columns that can be read, and their conversion to the plain types that row checks take.

| type of the file | plain type |
|---|---|
| text, numbers, booleans, times | the same |
| bytes, of fixed size or as a view; text as a view | large_binary, large_string |
| UUID | its canonical text: `123e4567-e89b-12d3-a456-426614174000` |
| other extension types, dictionaries | that of their values |
| list of these, of fixed size or as a view | list |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.errors import SourceError
from .paths import Shape, Shapes, is_list, is_text, members_of, shape_at

_MOST_CHARACTERS = 100

_LIST_VIEWS = (pa.types.is_list_view, pa.types.is_large_list_view)
_OTHER_TEXTS = (pa.types.is_fixed_size_binary, pa.types.is_binary_view, pa.types.is_string_view)


def plain_rows(rows: pa.RecordBatch, source: str) -> pa.RecordBatch:
    """Returns rows with columns of plain types.

    Raises:
        SourceError: see `check_types`.
    """
    check_types(source, shapes_of_schema(rows.schema), rows.schema.names)
    if all(_is_plain(kind) for kind in rows.schema.types):
        return rows
    return pa.RecordBatch.from_arrays([_plain(column) for column in rows.columns], rows.schema.names)


def check_types(source: str, shapes: Shapes, columns: Sequence[str]) -> None:
    """Raises SourceError if the type of one of the columns, or paths, cannot be read: a struct, a list of lists."""
    for name in columns:
        shape = shape_at(name, shapes)
        if shape is not None and shape.unreadable:
            members, _ = members_of(name, shape)
            fix = f"Name a member, such as {members[0]!r}" if members else "Write its parts as separate columns"
            raise SourceError(
                f"{source}: column {name!r} has the type {shape.unreadable}; expected text, numbers, times or a list "
                f"of these. {fix}, or remove it from the spec"
            )


def shapes_of_schema(schema: pa.Schema) -> dict[str, Shape]:
    """Returns the shape of each column."""
    return {field.name: _shape(field.type) for field in schema}


def _shape(kind: pa.DataType) -> Shape:
    unreadable = "" if _can_be_read(kind) else f"{kind}"[:_MOST_CHARACTERS]
    kind = _stored(kind)
    if pa.types.is_struct(kind):
        return Shape(unreadable, members={field.name: _shape(field.type) for field in kind.fields})
    if pa.types.is_map(kind):
        pair = Shape(unreadable, members={"key": _shape(kind.key_type), "value": _shape(kind.item_type)})
        has_names = is_text(kind.key_type)
        return Shape(unreadable, elements=pair, values=_shape(kind.item_type) if has_names else None)
    if is_list(kind):
        return Shape(unreadable, elements=_shape(kind.value_type))
    return Shape(unreadable, is_text=is_text(kind))


def _can_be_read(kind: pa.DataType) -> bool:
    kind = _stored(kind)
    kind = _stored(kind.value_type) if is_list(kind) else kind
    return not (pa.types.is_nested(kind) or pa.types.is_run_end_encoded(kind) or pa.types.is_interval(kind))


def _stored(kind: pa.DataType) -> pa.DataType:
    """Returns the type of the values of extension types and dictionaries."""
    if isinstance(kind, pa.BaseExtensionType):
        return _stored(kind.storage_type)
    return _stored(kind.value_type) if pa.types.is_dictionary(kind) else kind


def _is_plain(kind: pa.DataType) -> bool:
    kind = kind.value_type if is_list(kind) and not _is(kind, _LIST_VIEWS) else kind
    return _stored(kind) == kind and not _is(kind, _OTHER_TEXTS + _LIST_VIEWS)


def _plain(values: pa.Array) -> pa.Array:
    kind = values.type
    if _is_plain(kind):
        return values
    if is_list(kind):
        ends = pc.cumulative_sum(pc.list_value_length(values).cast(pa.int64()).fill_null(0))
        offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
        return pa.LargeListArray.from_arrays(offsets, _plain(pc.list_flatten(values)))
    if pa.types.is_dictionary(kind):
        return _plain(values.dictionary).take(values.indices)
    if isinstance(kind, pa.UuidType):
        return _uuid_texts(values.storage)
    if isinstance(kind, pa.Bool8Type):
        return values.storage.cast(pa.bool_())
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(values.storage)
    return values.cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())


def _uuid_texts(values: pa.Array) -> pa.Array:
    digits = b"".join(values.fill_null(bytes(16)).to_pylist()).hex().encode()
    by_row = np.frombuffer(digits, np.uint8).reshape(-1, 32)
    texts = np.insert(by_row, [8, 12, 16, 20], ord("-"), axis=1).view("S36")[:, 0]
    return pa.array(texts, pa.large_binary(), mask=np.asarray(values.is_null()))


def _is(kind: pa.DataType, tests: Sequence[Callable[[pa.DataType], bool]]) -> bool:
    return any(is_of(kind) for is_of in tests)
