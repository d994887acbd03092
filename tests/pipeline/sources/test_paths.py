"""Paths into objects, lists of objects and maps: the same values from every format as by walking the parsed JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.rows.columns import bags
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.sources.formats import json_lines
from fieldpool.pipeline.sources.paths import roots
from fieldpool.pipeline.sources.readers import check_input, read_batches, usable_columns
from fieldpool.transforms.errors import FieldpoolWarning, SourceError
from fieldpool.transforms.spec import Source

Row = dict[str, Any]

OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "os": st.none() | st.text("ab", max_size=2),
        "n": st.none() | st.integers(-9, 9),
        "tags": st.none() | st.lists(st.none() | st.text("ab", max_size=2), max_size=3),
        "deep": st.none() | st.fixed_dictionaries({}, optional={"x": st.none() | st.booleans()}),
    },
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.just(1)},
        optional={
            "device": st.none() | OBJECTS,
            "shelves": st.none() | st.lists(st.none() | OBJECTS, max_size=3),
            "a.b": st.none() | OBJECTS,
        },
    ),
    min_size=1,
    max_size=5,
)
MEMBERS = {
    "os": pa.string(),
    "n": pa.int64(),
    "tags": pa.list_(pa.string()),
    "deep": pa.struct([("x", pa.bool_())]),
}
OBJECT = pa.struct(list(MEMBERS.items()))
SCHEMA = pa.schema([("id", pa.int64()), ("device", OBJECT), ("shelves", pa.list_(OBJECT)), ("a.b", OBJECT)])
PATHS = [
    *("device.os", "device.n", "device.tags", "device.tags[]", "device.deep.x", "a.b.n", "a.b.tags"),
    *("shelves[].os", "shelves[].n", "shelves[].deep.x", "shelves[].tags[]"),
]


def walk(value: Any, parts: list[str]) -> Any:
    """Returns the value at a path, given as names and `[]`."""
    if not parts or value is None:
        return value
    if parts[0] != "[]":
        return walk(value.get(parts[0]), parts[1:])
    found = [walk(element, parts[1:]) for element in value]
    return [value for inner in found for value in inner or []] if "[]" in parts[1:] else found


def expected(row: Row, path: str) -> Any:
    if path in row:
        return row[path]
    root = "a.b" if path.startswith("a.b") else path.partition(".")[0].removesuffix("[]")
    return walk(row.get(root), re.findall(r"\[\]|[^.\[\]]+", path.removeprefix(root)))


def values(batches: list[SourceBatch], path: str) -> list[Any]:
    """Returns the values of all rows, in their order; texts as str."""
    rows = [pair for b in batches if b.data.num_rows for pair in zip(b.numbers.tolist(), b.data[path], strict=True)]
    return [plain(value.as_py()) for _, value in sorted(rows, key=lambda pair: pair[0])]


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def read_lines(rows: list[Row], paths: list[str], *, by_line: bool = False) -> list[SourceBatch]:
    with pytest.MonkeyPatch.context() as patch:
        if by_line:
            patch.setattr(json_lines, "_whole_block", lambda *_: None)
        return json_lines.parse_json(lines(rows), "rows.jsonl", 1, paths)[0]


@given(ROWS, st.booleans())
@settings(deadline=None, max_examples=40)
def test_json_lines_have_the_values_at_paths(rows: list[Row], by_line: bool) -> None:
    paths = [*PATHS, "device.absent", "shelves[].absent", "shelves[].absent[]", "absent.x", "absent"]
    batches = read_lines(rows, paths, by_line=by_line)
    assert not [batch for batch in batches if batch.rejected or batch.in_texts]
    for path in paths:
        assert values(batches, path) == [expected(row, path) for row in rows], path


@given(ROWS)
@settings(deadline=None, max_examples=40)
def test_parquet_files_have_the_values_at_paths(rows: list[Row]) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), sink)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "fieldpool.pipeline.sources.source_file.SourceFile.open", lambda _: pa.BufferReader(sink.getvalue())
        )
        batches = list(read_batches("rows.parquet", Source(), PATHS))
    for path in PATHS:
        assert values(batches, path) == [expected(row, path) for row in rows], path


NODES = [
    *(None, "x", 7, [], {}, {"os": "x"}, {"os": 1.5}, {"os": [1]}, {"os": {}}, {"os": "2024-01-31"}),
    *([{"os": 1}], [None, {}], [{"os": "a"}, {}], [{"os": True}, {"os": 1}], [[1]], [{"os": {}}], [{"os": ["a"]}]),
]


def outcomes(nodes: list[Any], path: str) -> dict[int, Any]:
    """Returns for each row its tokens, and the steps left in its text; or the reason why it was rejected."""
    found: dict[int, Any] = {}
    for batch in read_lines([{"d": node} for node in nodes], [path]):
        found |= {row.row: row.reason for row in batch.rejected}
        if batch.data.num_rows:
            tokens = bags(batch.data[path], None, path).values.to_pylist()
            steps = [batch.in_texts.get(path) if value.is_valid else None for value in batch.data[path]]
            found |= dict(zip(batch.numbers.tolist(), zip(tokens, steps, strict=True), strict=True))
    return found


@given(st.lists(st.sampled_from(NODES), min_size=1, max_size=6), st.sampled_from(["d.os", "d[].os", "d[].os[]"]))
@settings(deadline=None, max_examples=40)
def test_a_line_is_read_in_the_same_way_whatever_the_lines_beside_it(nodes: list[Any], path: str) -> None:
    alone = [outcomes([node], path)[1] for node in nodes]
    assert outcomes(nodes, path) == dict(enumerate(alone, 1))


@pytest.mark.parametrize("by_line", [False, True])
def test_complete_blocks_are_read_with_arrow(by_line: bool) -> None:
    batches = read_lines([{"device": {"at": "2024-01-31", "n": 1}}] * 3, ["device.at"], by_line=by_line)
    assert len(batches) == 1 + by_line  # The last one has the rejected rows.
    assert values(batches, "device.at") == ["2024-01-31"] * 3


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", [("a", ())]),
        ("", [("", ())]),
        ("a.b", [("a.b", ()), ("a", ("b",))]),
        ("a[]", [("a[]", ()), ("a", ("[]",))]),
        ("a.b[].c", [("a.b[].c", ()), ("a.b[]", ("c",)), ("a.b", ("[]", "c")), ("a", ("b", "[]", "c"))]),
        ("a.", [("a.", ())]),
        (".a", [(".a", ())]),
        ("a[]b", [("a[]b", ())]),
        ("[].a", [("[].a", ()), ("[]", ("a",))]),
    ],
)
def test_columns_with_which_a_path_may_begin(path: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert list(roots(path)) == expected


@pytest.mark.parametrize("by_line", [False, True])
def test_column_of_exactly_the_name_wins(by_line: bool) -> None:
    rows: list[Row] = [
        {"device": {"os": "x"}, "device.os": "y"},
        {"device": {"os": "x"}},
        {"device": {"os": "x"}, "device.os": None},
    ]
    assert values(read_lines(rows, ["device.os"], by_line=by_line), "device.os") == ["y", "x", None]


@pytest.mark.parametrize(
    ("row", "path", "reason"),
    [
        ({"d": "x"}, "d.os", "expected an object with the member 'os', found 'x'"),
        ({"d": [{"os": "x"}]}, "d.os", "expected an object with the member 'os', found [{'os': 'x'}]"),
        ({"d": {"os": "x"}}, "d[].os", "expected a list, found {'os': 'x'}"),
        ({"d": [["x"]]}, "d[].os", "expected an object with the member 'os', found ['x']"),
        ({"d": [{"t": "x"}]}, "d[].t[]", "expected a list, found 'x'"),
    ],
)
def test_line_that_a_path_does_not_fit_is_rejected(row: Row, path: str, reason: str) -> None:
    batches = read_lines([{"d": None}, row, {"d": None}], [path])
    (rejected,) = [rejected for batch in batches for rejected in batch.rejected]
    assert (rejected.row, rejected.field, rejected.reason) == (2, path, f"the path does not fit: {reason}")
    assert values(batches, path) == [None, None]


def test_maps_are_read_by_key_and_as_pairs(tmp_path: Path) -> None:
    maps = pa.array([[("a", 1), ("b", None)], None, [], [("b", 3)]], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"prefs": maps}), tmp_path / "rows.parquet")
    file = str(tmp_path / "rows.parquet")
    paths = ["prefs.a", "prefs[].key", "prefs[].value"]
    batches = list(read_batches(file, Source(), paths))
    assert [values(batches, path) for path in paths] == [
        [1, None, None, None],
        [["a", "b"], None, [], ["b"]],
        [[1, None], None, [], [3]],
    ]
    assert usable_columns([file], Source()) == (["prefs[].key", "prefs[].value"], {})


def test_dictionaries_and_slices_of_nested_columns(tmp_path: Path) -> None:
    names = pa.array(["x", None, "y"]).dictionary_encode()
    table = pa.table({"d": pa.StructArray.from_arrays([names], ["name"])}).slice(1)
    pq.write_table(table, tmp_path / "rows.parquet")
    assert values(list(read_batches(str(tmp_path / "rows.parquet"), Source(), ["d.name"])), "d.name") == [None, "y"]


NESTED: Row = {
    "user": "u",
    "device": {"os": "x", "screen": {"width": 1, "more": {"deep": 1}}, "a.b": 1, "": 1},
    "shelves": [{"name": "a", "count": 1}, {"name": "b", "inner": [{"c": 1}]}],
    "pairs": [["a"]],
    "empty": {},
}
OFFERED = ["device.os", "device.screen.width", "shelves[].name", "shelves[].count", "shelves[].inner[].c", "user"]


@pytest.mark.parametrize("extra", [b"", b"not JSON\n"], ids=["arrow", "by line"])
def test_usable_columns_have_the_members_of_nested_columns(tmp_path: Path, extra: bytes) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines([NESTED]) + extra)
    names, left_out = usable_columns([str(tmp_path / "rows.jsonl")], Source())
    assert sorted(names) == sorted(OFFERED)
    assert sorted(left_out) == ["empty", "pairs"]


def test_usable_columns_have_a_limited_number_of_members(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(lines([{"d": {f"m{i}": i for i in range(1_000)}}]))
    names, left_out = usable_columns([str(tmp_path / "rows.jsonl")], Source())
    assert names == [f"d.m{i}" for i in range(20)]
    assert left_out == {"d": "of its members, only 20 are read, and 980 are not"}


def test_objects_with_other_members_in_each_line_are_searched_quickly(tmp_path: Path) -> None:
    """As of objects that are used as maps. Lines that are not JSON are read one by one."""
    rows = [{"d": {f"m{i}_{k}": 1 for k in range(20)}} for i in range(2_000)]
    (tmp_path / "rows.jsonl").write_bytes(lines(rows) + b"not JSON\n")
    names, left_out = usable_columns([str(tmp_path / "rows.jsonl")], Source())
    assert len(names) == 20
    assert left_out == {"d": "of its members, only 20 are read, and 980 are not"}


def test_files_are_checked_for_paths(tmp_path: Path) -> None:
    a, b = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    Path(a).write_bytes(lines([{"d": None}]))
    Path(b).write_bytes(lines([{"d": {"os": "x"}}]))
    assert check_input([a, b], Source(), ["d.os"]) == ["d", "d.os"]
    assert check_input([a, b], Source(), [], others=["d.os", "d.version"]) == ["d", "d.os"]
    with pytest.raises(SourceError, match=r"has no column 'd\.version', 'e\.os'; it has 'd\.os'\. Correct"):
        check_input([a, b], Source(), ["d.version", "e.os"])
    with pytest.warns(FieldpoolWarning, match=r"no row has 'd\.version'"):
        check_input([a, b], Source(), ["d.version"], is_optional=True)


def test_parquet_file_without_a_member_is_an_error(tmp_path: Path) -> None:
    a, b = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    pq.write_table(pa.table({"d": [{"os": "x", "n": 1}]}), a)
    pq.write_table(pa.table({"d": [{"os": "x"}]}), b)
    with pytest.raises(SourceError, match=r"b\.parquet: has no column 'd\.n'; it has 'd\.os'\. .*a\.parquet has it"):
        check_input([a, b], Source(), ["d.n"])
    with pytest.raises(SourceError, match=r"b\.parquet: has no column 'd\.os\.x'"):
        list(read_batches(b, Source(), ["d.os.x"]))
    assert usable_columns([a, b], Source()) == (["d.os"], {"d.n": f"{b} has no such column"})
