"""`format: json`: one array of objects gives the rows that Python's json reads; other elements are rejected rows."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mutated_inputs import MUTATIONS, Mutations, mutated

from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.sources.readers import check_input, file_ranges, read_batches
from fieldpool.pipeline.sources.streams.json_arrays import lines_of_array
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source

ROWS = [
    {"id": i, "tag": f'é "{i}", [x] {{y}} \\ \n', "genres": [f"g{k}" for k in range(i % 3)], "price": i / 7}
    for i in range(400)
]
SOURCE = Source(format="json")
ROW_BYTES = 1000


def write(folder: Path, text: str | bytes, name: str = "rows.json") -> str:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder / name)


def read(path: str, *columns: str, **source: Any) -> list[SourceBatch]:
    return list(read_batches(path, Source.model_validate({"format": "json", **source}), list(columns)))


def rows(path: str, *columns: str, **source: Any) -> list[dict[str, Any]]:
    batches = read(path, *columns, **source)
    found = [(n, row) for b in batches for n, row in zip(b.numbers, b.data.to_pylist(), strict=False)]
    return [row for _, row in sorted(found, key=lambda pair: int(pair[0]))]


def lines(text: bytes, block_bytes: int = 1 << 20) -> list[bytes]:
    class Blocks(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(block_bytes)

    return b"".join(lines_of_array(Blocks(text), ROW_BYTES)).splitlines()


FORMS: dict[str, bytes] = {
    "one line": json.dumps(ROWS).encode(),
    "pretty printed": json.dumps(ROWS, indent=4, ensure_ascii=False).encode(),
    "compact": json.dumps(ROWS, separators=(",", ":")).encode(),
    "an object a line": ("[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n").encode(),
    "CRLF": json.dumps(ROWS, indent=1).replace("\n", "\r\n").encode(),
    "BOM": b"\xef\xbb\xbf" + json.dumps(ROWS).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_values_are_those_of_the_json_module(tmp_path: Path, form: str) -> None:
    path = write(tmp_path, FORMS[form])
    expected = json.loads(FORMS[form].decode("utf-8-sig"))
    assert rows(path, "id", "tag", "genres", "price") == expected
    assert check_input([path], SOURCE, ["id"]) == ["genres", "id", "price", "tag"]
    assert [(part.start, part.stop) for part in file_ranges(path, SOURCE, 100)] == [(0, None)]


@pytest.mark.parametrize(("name", "encoding"), [("rows.json.gz", "utf-8"), ("rows.json", "utf-16")])
def test_array_may_be_compressed_and_have_an_encoding(tmp_path: Path, name: str, encoding: str) -> None:
    text = json.dumps(ROWS, ensure_ascii=False).encode(encoding)
    path = write(tmp_path, gzip.compress(text) if name.endswith(".gz") else text, name)
    assert rows(path, "id", "tag", "genres", "price", encoding=encoding) == ROWS
    assert "tag" in check_input([path], Source(format="json", encoding=encoding), ["id"])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(VALUES, max_size=6),
    st.sampled_from([None, 0, 3, "\r\t "]),
    st.booleans(),
    st.integers(1, 40),
)
def test_lines_are_the_elements_wherever_blocks_end(
    elements: list[Any], indent: int | str | None, ascii_only: bool, block_bytes: int
) -> None:
    text = json.dumps(elements, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = lines(text, block_bytes)
    assert len(found) == len(elements)
    assert [repr(json.loads(line)) for line in found] == list(
        map(repr, json.loads(text.decode("utf-8", "surrogatepass")))
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, max_size=4), st.data())
def test_truncated_array_is_never_read_in_silence(elements: list[Any], data: st.DataObject) -> None:
    text = json.dumps(elements).encode()
    stop = data.draw(st.integers(1, len(text) - 1))
    with pytest.raises(Exception, match=r"the array is truncated: it ends inside row \d+"):
        lines(text[:stop], data.draw(st.integers(1, 40)))


@settings(max_examples=60, deadline=None)
@given(MUTATIONS, st.integers(1, 40))
def test_arrays_that_the_json_module_refuses_are_refused_and_no_others(mutations: Mutations, block_bytes: int) -> None:
    text = mutated(json.dumps(ROWS[:4]).encode(), mutations)
    assume(text.removeprefix(b"\xef\xbb\xbf").strip())
    try:
        expected = json.loads(text.decode("latin-1").removeprefix("ï»¿"))
    except (json.JSONDecodeError, RecursionError):
        expected = None
    if isinstance(expected, list):
        found = lines(text, block_bytes)
        assert [repr(json.loads(line.decode("latin-1"))) for line in found] == list(map(repr, expected))
    else:
        with pytest.raises(pa.ArrowInvalid):
            lines(text, block_bytes)


def test_elements_that_are_not_objects_are_rejected_with_their_number(tmp_path: Path) -> None:
    path = write(
        tmp_path, b'[{"a": "x"}, 5, [1], null, {"a": 1, "a": 2}, {"a": "\xff"}, "{}", {"a": {"b": 1}}, {"a": "y"}]'
    )
    batches = read(path, "a")
    accepted = [(int(n), row) for b in batches for n, row in zip(b.numbers, b.data.to_pylist(), strict=False)]
    assert accepted == [(1, {"a": b"x"}), (9, {"a": b"y"})]
    rejected = [(row.row, row.reason) for batch in batches for row in batch.rejected]
    assert [number for number, _ in rejected] == [2, 3, 4, 5, 6, 7, 8]
    assert rejected[0][1] == "not a JSON object: found int"
    assert "not valid UTF-8" in rejected[4][1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}, {"a": 2', "the array is truncated: it ends inside row 2"),
        ('[{"a": 1}, {"a": "2', "the array is truncated: it ends inside row 2"),
        ('[{"a": 1}, {"a": 2}', "the array is truncated: it ends inside row 2, or before its last ]"),
        ('[{"a": 1}, {"a": 2},\n', "the array is truncated: it ends inside row 3"),
        ("[", "the array is truncated: it ends inside row 1"),
        ('[{"a": 1} {"a": 2}]', "row 1 is not valid JSON: expected a comma or ] after it"),
        ('[{"a": 1}, {"a": 1,}]', "row 2 is not valid JSON: "),
        ('[{"a": 1}, ]', "row 2 is not valid JSON: Expecting value"),
        ('[{"a": 1}]\n[{"a": 2}]', "after row 1, the last one of the array: expected the end of the file"),
        ('[{"a": "x\ny"}]', "row 1 is not valid JSON: Invalid control character"),
        ('[{"a": ' + "[" * 100_000, "row 1 is nested too deeply"),
        ('[{"a": "' + "x" * (5 << 20) + '"}]', "row 1 is longer than 4,194,304 bytes"),
    ],
)
def test_broken_array_is_an_error_that_names_file_and_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=r"rows\.json: cannot be read as json: ") as error:
        read(write(tmp_path, text), "a")
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "\n", "[]", " [ ]\n"])
def test_array_without_elements_has_no_rows(tmp_path: Path, text: str) -> None:
    assert rows(write(tmp_path, text), "a") == []
    with pytest.raises(SourceError, match="no rows"):
        check_input([write(tmp_path, text)], SOURCE, ["a"])


def test_json_lines_are_not_an_array(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1}\n')
    with pytest.raises(SourceError, match=r"expected one JSON array, which begins with \[; .*format: jsonl"):
        read(path, "a")
    with pytest.raises(SourceError, match=r"expected a JSON array, .*found JSON Lines\. Set `source: {format: jsonl}`"):
        check_input([path], SOURCE, ["a"])


def test_rows_are_read_without_the_rest_of_the_array() -> None:
    """So that memory does not depend on the size of the file."""
    element, blocks = b'{"a": "' + b"x" * (ROW_BYTES - 10) + b'"},', 40
    read = yielded = 0

    class Array(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            nonlocal read
            read += 1
            return b"[" if read == 1 else element * 1000 if read < blocks else b"1]" if read == blocks else b""

    for part in lines_of_array(Array(), ROW_BYTES):  # type: ignore[arg-type]
        yielded += part.count(b"\n")
        assert yielded > (read - 5) * 1000
    assert yielded == (blocks - 2) * 1000 + 1
