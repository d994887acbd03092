"""Ranges of files: read separately, they give the same rows, numbers and rejected rows as the complete file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.sources.ranges import FileRange
from fieldpool.pipeline.sources.readers import file_ranges, read_range
from fieldpool.transforms.spec import Source

SOURCE = Source()


def rows_of(parts: list[FileRange], source: Source = SOURCE) -> list[tuple[int, Any]]:
    """Returns the number and value of each row, and the number and reason of each rejected row."""
    found: list[tuple[int, Any]] = []
    for part in parts:
        for batch in read_range(part, source, ["a"]):
            if batch.data.num_rows:
                found += zip(batch.numbers.tolist(), batch.data["a"].to_pylist(), strict=True)
            found += [(row.row, row.reason) for row in batch.rejected]
    return sorted(found, key=lambda row: row[0])


def test_csv_file_is_split_at_row_ends(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'a,b\n1,"x\ny"\n\n2,z\n3\n4,"a ""quote"""\n5,z\n')
    parts = file_ranges(str(path), SOURCE, 8)
    assert len(parts) == 3
    text = path.read_bytes()
    assert b"".join(text[part.start : part.stop] for part in parts) == text
    expected = [(1, b"1"), (2, b"2"), (3, "expected 2 columns, found 1"), (4, b"4"), (5, b"5")]
    assert rows_of(parts) == expected


@pytest.mark.parametrize(
    "text",
    [
        b'a,b\n5" disk,1\n6" disk,2\n7,3\n',
        b"a,b\r1,2\r3,4\r5,6\r",
        b'a,b\n"x"y,1\n2,2\n3,3\n',
        b'a,b\n1,"x\n2,x\n3,x\n4,"\n5,x\n',
        b'\xef\xbb\xbf"a",b\n"1\n2",x\n3,"x\n4,y\n',
    ],
)
def test_csv_with_irregular_quotes_or_line_ends_is_split_at_row_ends(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(text)
    parts = file_ranges(str(path), SOURCE, 4)
    assert len(parts) > 1
    assert rows_of(parts) == rows_of([FileRange(str(path), header=("a", "b"))])


VALUE = st.text(st.sampled_from('ab,"\n\r |'), max_size=5)


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if set(value) & set(',"\n\r') else value


@given(
    rows=st.lists(st.lists(VALUE, min_size=1, max_size=3), max_size=12),
    line_end=st.sampled_from(["\n", "\r\n"]),
    header=st.booleans(),
    ends=st.booleans(),
    size=st.integers(1, 40),
)
@example(rows=[["", "x"], [""], ["a", "b"]], line_end="\n", header=True, ends=False, size=3)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_csv_ranges_have_the_rows_of_the_complete_file(
    tmp_path: Path, rows: list[list[str]], line_end: str, header: bool, ends: bool, size: int
) -> None:
    lines = [["a", "b"], *rows] if header else rows
    text = line_end.join(",".join(map(quoted, line)) for line in lines) + (line_end if ends else "")
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode())
    source = SOURCE if header else Source(header=False, columns=["a", "b"])
    whole = [FileRange(str(path), header=("a", "b"))] if any("".join(row) or len(row) > 1 for row in rows) else []
    assert rows_of(file_ranges(str(path), source, size), source) == rows_of(whole, source)


@given(values=st.lists(st.one_of(st.text(max_size=4), st.none()), min_size=1, max_size=12), size=st.integers(1, 60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_lines_ranges_have_the_rows_of_the_complete_file(
    tmp_path: Path, values: list[str | None], size: int
) -> None:
    path = tmp_path / "rows.jsonl"
    # A missing key is read as null; blank lines have no number.
    lines = [json.dumps({"b": 1} if i and value is None else {"a": value, "b": 1}) for i, value in enumerate(values)]
    path.write_text("\n\n".join(lines))
    expected = list(enumerate(values, 1))
    assert rows_of(file_ranges(str(path), SOURCE, size)) == expected


@pytest.mark.parametrize("size", [4, 10, 1000])
def test_json_lines_ranges_have_the_numbers_of_the_complete_file(tmp_path: Path, size: int) -> None:
    """A byte order mark is skipped at the start of the file alone, and lines of spaces are not rows."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf\n  \n\r\n{"a": 1}\n\t\n{"a": 2}\n\xef\xbb\xbf{"a": 3}\n\xef\xbb\xbf')
    found = rows_of(file_ranges(str(path), SOURCE, size))
    assert [(row, str(value).split(":")[0]) for row, value in found] == [
        (1, "1"),
        (2, "2"),
        (3, "not a JSON object"),
        (4, "not a JSON object"),
    ]


def test_parquet_ranges_are_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": range(1000)}), path, row_group_size=100)
    parts = file_ranges(str(path), SOURCE, 1500)
    assert [(part.start, part.stop, part.first_row) for part in parts[:2]] == [(0, 2, 1), (2, 4, 201)]
    assert rows_of(parts) == [(i + 1, i) for i in range(1000)]


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.tfrecord"])
def test_file_that_must_be_read_from_its_start_is_one_range(tmp_path: Path, name: str) -> None:
    import gzip

    path = tmp_path / name
    path.write_bytes(gzip.compress(b"a\n" * 100))
    assert len(file_ranges(str(path), SOURCE, 10)) == 1
