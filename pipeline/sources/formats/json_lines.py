"""Reads JSON Lines, one object a line: complete blocks with pyarrow, and blocks with an invalid line, line by line.

Types are inferred for each block, so a column may be numbers in one block and text in another: row checks accept both.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from ..batches import BATCH_ROWS, Reason, Rejected, SourceBatch, is_utf8, no_rows
from ..column_types import shapes_of_schema
from ..list_texts import text_of, unique_members
from ..paths import VALUE, Shape, Steps, WrongPathError, columns_at, is_list, merged, roots, shape_of, value_at
from ..ranges import BOM, FileRange, line_blocks, line_ranges, open_range
from ..source_file import ROW_BYTES, SourceFile

# From here on, not every integer is representable as float64.
_EXACT = 2**53

_NULL_ROW = re.compile(rb"\}\s*null")


def columns_of(file: SourceFile) -> dict[str, Shape]:
    """Returns the keys of the first rows."""
    with file.open_text() as content:
        first = next(line_blocks(content, ROW_BYTES), b"").removeprefix(BOM)
        return parse_json(first, file.path, 1, [])[2]


def ranges(file: SourceFile, range_bytes: int) -> list[FileRange]:
    """Returns the ranges of the file, in order."""
    return line_ranges(file, range_bytes)


def read(file: SourceFile, part: FileRange, columns: list[str]) -> Iterator[SourceBatch]:
    """Yields the rows of a range."""
    next_row = part.first_row
    with open_range(file, part) as text:
        for block in line_blocks(text, ROW_BYTES):
            block = block.removeprefix(BOM) if part.start == 0 and next_row == 1 else block
            batches, rows, _ = parse_json(block, part.path, next_row, columns)
            next_row += rows
            yield from batches


def parse_json(
    block: bytes, path: str, first_row: int, columns: list[str]
) -> tuple[list[SourceBatch], int, dict[str, Shape]]:
    """Returns the rows of a block in batches, the number of its lines without blank lines, and the columns found.

    A line that is not a JSON object, or has an object where a value is expected, is rejected.
    """
    lines = [line for line in map(bytes.strip, block.split(b"\n")) if line]
    if not lines:
        return [], 0, {}
    # A null where an object is expected crashes pyarrow, and the process with it. pyarrow reads invalid UTF-8 silently.
    are_objects = (
        all(line.startswith(b"{") and line.endswith(b"}") for line in lines)
        and not _NULL_ROW.search(block)
        and is_utf8(block)
    )
    found = _whole_block(block, columns) if are_objects else None
    if found is None or found[0].num_rows != len(lines):
        batches, shapes = _line_by_line(lines, path, first_row, columns)
        return batches, len(lines), shapes
    table, in_texts, shapes = found
    batches = []
    for batch in table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS):
        rows = np.arange(first_row, first_row + batch.num_rows)
        batches.append(SourceBatch(path, rows, batch, in_texts=in_texts))
        first_row += batch.num_rows
    return batches, len(lines), shapes


def _whole_block(block: bytes, columns: Sequence[str]) -> tuple[pa.Table, dict[str, Steps], dict[str, Shape]] | None:
    """Returns the requested columns, and those of the block; None if pyarrow cannot read all rows as they are."""
    try:
        table = _read(block)
        shapes = shapes_of_schema(table.schema)
        found = [[root for root, _ in roots(column) if root in shapes] for column in columns]
        if any(len(of_column) > 1 for of_column in found):  # Which of them a row has is not known.
            return None
        # Keep texts that look like times as texts: the token of `2024-01-31` must not depend on other rows.
        wanted = {root for of_column in found for root in of_column}
        times = {f.name: _as_text(f.type) for f in table.schema if f.name in wanted and _holds_times(f.type)}
        if times:
            table = _read(block, pa.schema(list(times.items())))
        table.select(sorted(wanted)).validate()  # pyarrow 25 reads `[null, null]` as an array that is not valid.
        table, in_texts = columns_at(table, columns) if columns else (table, {})
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, WrongPathError):
        return None
    for values in table.columns if columns else []:
        values = pc.list_flatten(values) if is_list(values.type) else values
        is_large = pa.types.is_float64(values.type) and (pc.max(pc.abs(values)).as_py() or 0) >= _EXACT
        if is_large or pa.types.is_nested(values.type):
            return None
    return table, in_texts, shapes


def _read(block: bytes, schema: pa.Schema | None = None) -> pa.Table:
    return pa.json.read_json(
        io.BytesIO(block),
        read_options=pa.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=pa.json.ParseOptions(explicit_schema=schema),
    )


def _holds_times(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_holds_times(member.type) for member in kind.fields)
    return _holds_times(kind.value_type) if pa.types.is_list(kind) else pa.types.is_timestamp(kind)


def _as_text(kind: pa.DataType) -> pa.DataType:
    """Returns a type with texts in place of times."""
    if pa.types.is_struct(kind):
        return pa.struct([(member.name, _as_text(member.type)) for member in kind.fields])
    if pa.types.is_list(kind):
        return pa.list_(_as_text(kind.value_type))
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _line_by_line(
    lines: list[bytes], path: str, first_row: int, columns: list[str]
) -> tuple[list[SourceBatch], dict[str, Shape]]:
    rejected: list[Rejected] = []
    shapes: dict[str, Shape] = {}
    alike: dict[tuple[tuple[str, Steps], ...], list[tuple[int, list[Any]]]] = {}
    for number, line in enumerate(lines, first_row):
        try:
            row = _object(line)
            shapes |= {name: merged(shapes.get(name, VALUE), shape_of(value)) for name, value in row.items()}
        except (ValueError, RecursionError) as error:
            is_utf8 = not isinstance(error, UnicodeDecodeError)
            reason = Reason.NO_JSON_OBJECT.format(error=error if is_utf8 else f"not valid UTF-8: {error}")
            rejected.append(Rejected(path, number, "(row)", reason, {"text": line[:1000].decode(errors="replace")}))
            continue
        values, kinds, fault = [], [], None
        for column in columns:
            try:
                value, rest = value_at(row, column)
            except WrongPathError as error:
                fault = column, Reason.WRONG_PATH.format(error=error)
                break
            values.append(_value(value))
            kinds.append((_kind(values[-1]), rest))
            if kinds[-1][0] == "other":
                fault = column, Reason.NESTED_VALUE.format(found=str(value)[:100])
                break
        if fault:
            rejected.append(Rejected(path, number, *fault, {"text": line[:1000].decode(errors="replace")}))
            continue
        alike.setdefault(tuple(kinds), []).append((number, values))
    batches = []
    for kinds_of_rows, rows in alike.items():
        arrays = [pa.array(column) for column in zip(*(values for _, values in rows), strict=True)]
        data = pa.RecordBatch.from_arrays(arrays, columns)
        in_texts = {column: rest for column, (_, rest) in zip(columns, kinds_of_rows, strict=True) if rest}
        batches.append(SourceBatch(path, np.array([number for number, _ in rows]), data, in_texts=in_texts))
    return [*batches, SourceBatch(path, np.array([], np.int64), no_rows(), rejected)], shapes


def _object(line: bytes) -> dict[str, Any]:
    found = json.loads(line.decode(), object_pairs_hook=unique_members)
    if not isinstance(found, dict):
        raise ValueError(f"found {type(found).__name__}")
    return found


def _value(value: Any) -> Any:
    """Returns a value of a JSON object in a form that Arrow columns support."""
    if isinstance(value, list):
        values = [_value(item) for item in value]
        kinds = {_kind(item) for item in values} - {"null"}
        return values if len(kinds) < 2 or not kinds <= _SCALARS else [text_of(item) for item in values]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    # int64 and float64 cannot represent every integer; text can.
    return str(value).encode() if type(value) is int and abs(value) >= _EXACT else value


_SCALARS = {"bool", "int", "float", "bytes"}


def _kind(value: Any) -> str:
    """Returns the column type that a value needs; "other" if it is not supported."""
    if isinstance(value, list):
        kinds = {_kind(item) for item in value} - {"null"}
        return f"list of {min(kinds, default='null')}" if kinds <= _SCALARS else "other"
    kind = "null" if value is None else type(value).__name__
    return kind if kind in _SCALARS | {"null"} else "other"
