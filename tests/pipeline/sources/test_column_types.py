"""Columns of every Arrow type: some give tokens and bags, the others an error that names file and column."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fieldpool.pipeline.rows import columns
from fieldpool.pipeline.rows.read_rows import CheckRows
from fieldpool.pipeline.sources.column_types import plain_rows
from fieldpool.pipeline.sources.readers import check_input, read_batches
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source, Spec

NAMED = uuid.UUID("123e4567-e89b-12d3-a456-426614174000")
TEXT = str(NAMED).encode()


def uuids(*values: uuid.UUID | None) -> pa.Array:
    return pa.array([None if value is None else value.bytes for value in values], pa.uuid())


def extension(kind: pa.DataType, values: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, values)


def dictionary(values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0, None, 0]), values)


NUMBERS = (pa.uint8(), pa.int64(), pa.float16(), pa.float64(), pa.decimal32(3), pa.decimal64(3), pa.decimal256(3))
SINGLE: list[tuple[pa.Array, list[bytes | None]]] = [
    (uuids(NAMED, None, uuid.UUID(int=0)), [TEXT, None, b"00000000-0000-0000-0000-000000000000"]),
    (pa.array([b"\xff\x00", None, b"ab"], pa.binary(2)), [b"\xff\x00", None, b"ab"]),
    (pa.array([b"\xff", None, b""], pa.binary_view()), [b"\xff", None, None]),
    (pa.array(["é", None, ""], pa.string_view()), ["é".encode(), None, None]),
    (pa.array(["é", None, ""], pa.large_string()), ["é".encode(), None, None]),
    (dictionary(uuids(NAMED)), [TEXT, None, TEXT]),
    (dictionary(pa.array([b"\xff"], pa.binary(1))), [b"\xff", None, b"\xff"]),
    (dictionary(pa.array(["a"], pa.string_view())), [b"a", None, b"a"]),
    (dictionary(pa.array([7])), [b"7", None, b"7"]),
    (extension(pa.bool8(), pa.array([1, 0, None], pa.int8())), [b"true", b"false", None]),
    (extension(pa.json_(), pa.array(["{}", None, "1"])), [b"{}", None, b"1"]),
    (extension(pa.opaque(pa.int32(), "x", "y"), pa.array([1, 2, 3], pa.int32())), [b"1", b"2", b"3"]),
    *[(pa.array([1, None, 0], kind), [b"1", None, b"0"]) for kind in NUMBERS],
    (pa.array([0, None, 1], pa.time32("s")), [b"00:00:00", None, b"00:00:01"]),
    (pa.array([0, None, 1], pa.duration("s")), [b"0", None, b"1"]),
]


def texts_of(values: pa.Array) -> list[bytes | None]:
    rows = plain_rows(pa.RecordBatch.from_arrays([values], ["c"]), "rows.parquet")
    return columns.tokens(rows["c"], "c").values.to_pylist()


def bags_of(values: pa.Array) -> list[list[bytes]]:
    rows = plain_rows(pa.RecordBatch.from_arrays([values], ["c"]), "rows.parquet")
    return columns.bags(rows["c"], None, "c").values.to_pylist()


@pytest.mark.parametrize(("values", "expected"), SINGLE, ids=[str(values.type) for values, _ in SINGLE])
def test_tokens_of_every_type(values: pa.Array, expected: list[bytes | None]) -> None:
    assert texts_of(values) == expected
    assert texts_of(values.slice(1)) == expected[1:]
    assert texts_of(values.slice(0, 0)) == []


@pytest.mark.parametrize(("values", "expected"), SINGLE, ids=[str(values.type) for values, _ in SINGLE])
@pytest.mark.parametrize(
    "lists_of", [pa.ListArray.from_arrays, pa.LargeListArray.from_arrays, "view", "large view", "fixed size"]
)
def test_lists_of_every_type(lists_of: Any, values: pa.Array, expected: list[bytes | None]) -> None:
    first, second = expected[:2], expected[2:]
    if lists_of == "fixed size":
        lists, second = pa.FixedSizeListArray.from_arrays(values.slice(0, 2), 2), []
    elif isinstance(lists_of, str):
        of_type = pa.ListViewArray if lists_of == "view" else pa.LargeListViewArray
        lists = of_type.from_arrays([0, 2], [2, 1], values)
    else:
        lists = lists_of([0, 2, 3], values)
    bags = [[value or b"" for value in bag] for bag in (first, second) if bag]
    assert bags_of(lists) == bags
    assert bags_of(lists.slice(1)) == bags[1:]


def test_missing_list_view_is_an_empty_bag() -> None:
    assert bags_of(pa.array([["a"], None, []], pa.list_view(pa.string()))) == [[b"a"], [], []]


@pytest.mark.parametrize("store_schema", [True, False])
def test_parquet_files_of_other_writers(tmp_path: Path, store_schema: bool) -> None:
    table = pa.table(
        {
            "uuid": uuids(NAMED),
            "uuids": pa.ListArray.from_arrays([0, 1], uuids(NAMED)),
            "fixed": pa.array([b"\xff"], pa.binary(1)),
            "view": pa.array([b"\xff"], pa.binary_view()),
            "views": pa.array([["x"]], pa.list_view(pa.string_view())),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet", store_schema=store_schema)
    (batch,) = read_batches(str(tmp_path / "rows.parquet"), Source(), table.column_names)
    found = {name: columns.bags(batch.data[name], None, name).values.to_pylist() for name in table.column_names}
    assert found == {"uuid": [[TEXT]], "uuids": [[TEXT]], "fixed": [[b"\xff"]], "view": [[b"\xff"]], "views": [[b"x"]]}


NESTED: list[pa.Array] = [
    pa.array([{"a": 1}]),
    pa.array([[{"a": 1}]]),
    pa.array([[["a"]]]),
    pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    pa.array([[["a"]]], pa.list_view(pa.list_(pa.string()))),
    pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    pa.RunEndEncodedArray.from_arrays([1], ["a"]),
]


@pytest.mark.parametrize("values", NESTED, ids=[str(values.type) for values in NESTED])
def test_other_types_are_an_error_that_names_source_and_column(values: pa.Array) -> None:
    message = r"rows\.parquet: column 'c' has the type .*; expected text, numbers, times or a list of these\. "
    with pytest.raises(SourceError, match=message):
        texts_of(values)


@pytest.mark.parametrize("read", [check_input, lambda files, *args: list(read_batches(files[0], *args))])
def test_error_names_a_member_that_can_be_read(tmp_path: Path, read: Any) -> None:
    path = str(tmp_path / "rows.parquet")
    pq.write_table(pa.table({"clicks": [[{"item": 5}]]}), path)
    with pytest.raises(SourceError, match=r"Name a member, such as 'clicks\[\]\.item', or remove it from the spec"):
        read([path], Source(), ["clicks"])


@pytest.mark.parametrize("read", [check_input, lambda files, *args: list(read_batches(files[0], *args))])
def test_nested_column_of_a_file_is_an_error_only_if_it_is_read(tmp_path: Path, read: Any) -> None:
    path = str(tmp_path / "rows.parquet")
    pq.write_table(pa.table({"id": [1], "clicks": [[{"item": 5}]]}), path)
    read([path], Source(), ["id"])
    with pytest.raises(SourceError, match=r"rows\.parquet: column 'clicks' has the type list<element: struct<item"):
        read([path], Source(), ["id", "clicks"])


def test_rows_of_a_pipeline_may_have_any_type() -> None:
    fields = {"user": {"type": "categorical"}}
    spec = Spec.model_validate({"label": {"field": "y"}, "split": {"hash": "user"}, "fields": fields})
    checks = CheckRows(spec)
    checks.setup()
    rows = pa.RecordBatch.from_arrays([uuids(NAMED), pa.array([1]), pa.array([{"a": 1}])], ["user", "y", "unused"])
    (checked,) = checks.process(rows)
    assert checked.rows["user"].to_pylist() == [TEXT]
