"""libffm files: each field is a list column with a parallel column of values, as an independent parser reads them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.sources.batches import Rejected, SourceBatch
from fieldpool.pipeline.sources.formats import libffm_files
from fieldpool.pipeline.sources.readers import check_input, file_ranges, read_batches, read_range, usable_columns
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source, Spec
from fieldpool.transforms.spec.inputs import raw_columns

LINES = b"1 0:7:1 2:100:0.5 2:101:0.25\n0 0:8:1 1:x\xc3\xa9:1e-3\r\n\n-1\t2:100:-2  0:7:.5 \n1\n"
COLUMNS = ["c0", "0", "0.value", "1", "1.value", "2", "2.value"]

ENTRIES = st.tuples(st.integers(0, 3), st.integers(0, 99), st.floats(allow_nan=False, allow_infinity=False, width=32))
ROWS = st.lists(
    st.tuples(st.sampled_from(["0", "1", "-1", "+1"]), st.lists(ENTRIES, max_size=5)), min_size=1, max_size=6
)


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def independent(text: str, columns: list[str]) -> list[list[Any]]:
    """Returns the values of the columns of each line: lists of texts and floats, None in a line without the field."""
    rows = []
    for label, *entries in map(str.split, text.splitlines()):
        row: dict[str, Any] = {"c0": label}
        for field, feature, value in (entry.split(":") for entry in entries):
            row.setdefault(field, []).append(feature)
            row.setdefault(f"{field}.value", []).append(float(value))
        rows.append([row.get(column) for column in columns])
    return rows


def rows_of(batches: list[SourceBatch], columns: list[str] = COLUMNS) -> list[list[Any]]:
    return [[text_of(row[name]) for name in columns] for b in batches for row in b.data.to_pylist()]


def text_of(value: Any) -> Any:
    if isinstance(value, list):
        return [text_of(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def rejected_of(batches: list[SourceBatch]) -> list[Rejected]:
    return [row for batch in batches for row in batch.rejected]


def test_fields_are_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.ffm", b"\xef\xbb\xbf" + LINES)
    assert check_input([path], Source(), COLUMNS) == sorted(COLUMNS)
    assert usable_columns([path], Source()) == (sorted(COLUMNS), {})
    (batch,) = read_batches(path, Source(), COLUMNS)
    assert batch.numbers.tolist() == [1, 2, 3, 4]
    assert rows_of([batch]) == [
        ["1", ["7"], [1.0], None, None, ["100", "101"], [0.5, 0.25]],
        ["0", ["8"], [1.0], ["xé"], [0.001], None, None],
        ["-1", ["7"], [0.5], None, None, ["100"], [-2.0]],
        ["1", None, None, None, None, None, None],
    ]


@given(ROWS)
@settings(deadline=None, max_examples=40)
def test_lines_are_read_as_by_an_independent_parser(rows: list[tuple[str, list[tuple[int, int, float]]]]) -> None:
    lines = [" ".join([label, *(f"{a}:{b}:{value!r}" for a, b, value in entries)]) for label, entries in rows]
    columns = ["c0", *(f"{field}{end}" for field in range(5) for end in ("", ".value"))]
    batch = libffm_files._batch("rows.ffm", [line.encode() for line in lines], 1, columns)
    assert rows_of([batch], columns) == independent("\n".join(lines), columns)
    assert not batch.rejected


@pytest.mark.parametrize("content", [gzip.compress(LINES), LINES], ids=["gzip", "plain"])
def test_ranges_and_batches_have_the_rows_of_the_file(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libffm_files, "BATCH_ROWS", 1)
    path = write(tmp_path / ("rows.ffm.gz" if content != LINES else "rows.ffm"), content)
    parts = file_ranges(path, Source(), 20)
    assert len(parts) == (1 if content != LINES else 3)
    batches = [batch for part in parts for batch in read_range(part, Source(), ["c0"])]
    assert [(batch.numbers.tolist(), batch.data["c0"].to_pylist()) for batch in batches] == [
        ([1], [b"1"]),
        ([2], [b"0"]),
        ([3], [b"-1"]),
        ([4], [b"1"]),
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"1 0:7:1 2:100", "'2:100'"),
        (b"1 0:7", "'0:7'"),
        (b"0:7:1 2:100:1", "'0:7:1'"),
        (b"1 0:7:x", "'0:7:x'"),
        (b"1 0:7:nan", "'0:7:nan'"),
        (b"1 user:7:1", "'user:7:1'"),
        (b"1 0:7:1:1", "'0:7:1:1'"),
        (b"1 0::1", "'0::1'"),
        (b"1 # comment", "'#'"),
        (b"1,0:7:1", "'1,0:7:1'"),
        (b"1 0:7:1\r0 0:8:1", "'0'"),
        (b"1 0:\xff:1 x", "'x'"),
        (b"1 \xff", r"'\\xff'"),
    ],
)
def test_faulty_lines_are_rejected(tmp_path: Path, line: bytes, found: str) -> None:
    path = write(tmp_path / "rows.ffm", b"1 0:7:1\n\n" + line + b"\n0 0:8:1\n")
    batches = list(read_batches(path, Source(), ["c0", "0"]))
    assert rows_of(batches, ["c0", "0"]) == [["1", ["7"]], ["0", ["8"]]]
    assert [batch.numbers.tolist() for batch in batches] == [[1, 3]]
    (row,) = rejected_of(batches)
    assert (row.row, row.field) == (2, "(row)")
    assert row.reason == f"not a line of libffm (label field:feature:value …): {found}"
    assert row.raw == {"text": line.decode(errors="replace")}


def test_bytes_of_features_are_tokens(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.ffm", b"1 0:\xff:1\n")
    assert [batch.data["0"].to_pylist() for batch in read_batches(path, Source(), ["0"])] == [[[b"\xff"]]]


def test_libsvm_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.ffm", b"1 7:1 100:0.5\n0 8:1\n")
    with pytest.raises(SourceError, match=r"rows\.ffm: expected libffm, .*found `index:value` .* libsvm files, which"):
        check_input([path], Source(), ["c0"])


def test_columns_are_those_of_the_first_rows_of_all_files(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.ffm", b"1 0:7:1\n"), write(tmp_path / "b.txt", b"x\n0 10:7:1 9:8:1\n")
    source = Source(format="libffm")
    assert usable_columns([a, b], source)[0] == ["0", "0.value", "10", "10.value", "9", "9.value", "c0"]
    with pytest.raises(SourceError, match="has no column '3'"):
        check_input([a, b], source, ["3"])


def test_file_without_rows_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no rows; pass files with rows"):
        check_input([write(tmp_path / "rows.ffm", b"\n")], Source(), ["c0"])


def test_values_are_weights(tmp_path: Path) -> None:
    fields = {
        "tags": {"type": "multivalued", "column": "2", "weights": "2.value"},
        "user": {"type": "categorical", "column": "0"},
    }
    spec = Spec.model_validate({"label": {"field": "c0"}, "split": {"hash": "0"}, "fields": fields})
    path = write(tmp_path / "rows.ffm", LINES.replace(b"-1", b"1"))
    (checked,) = (check_rows(batch, spec) for batch in read_batches(path, spec.source, raw_columns(spec)))
    assert checked.rows.select(["tags", "tags_weights", "user"]).to_pylist() == [
        {"tags": [b"100", b"101"], "tags_weights": [0.5, 0.25], "user": b"7"},
        {"tags": [], "tags_weights": [], "user": b"8"},
    ]
    assert [(row.row, row.field) for row in checked.rejected] == [(3, "2.value"), (4, "0")]
