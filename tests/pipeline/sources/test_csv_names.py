"""Column names of CSV files: without a header, and used twice."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.sources.formats.csv_header import unique_names
from fieldpool.pipeline.sources.readers import check_input, file_ranges, read_batches, usable_columns
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["a", "a.1", "a.1.1", "a.2", "b"]), min_size=1, max_size=8))
def test_a_name_used_twice_gets_a_number_as_in_pandas(names: list[str]) -> None:
    row = ",".join(names)
    assert unique_names(names) == list(pd.read_csv(io.StringIO(f"{row}\n{row}\n"), index_col=False).columns)
    assert len(set(unique_names(names))) == len(names)


def test_each_column_of_a_name_used_twice_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("tags,id,tags,,\nx,1,y,2,3\n")
    assert check_input([str(path)], Source(), ["tags", "tags.1"]) == sorted(["tags", "id", "tags.1", "", ".1"])
    (batch,) = read_batches(str(path), Source(), ["tags.1", "tags", ".1"])
    assert batch.data.to_pylist() == [{"tags.1": b"y", "tags": b"x", ".1": b"3"}]


def test_columns_of_the_spec_may_have_a_name_twice(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n")
    (batch,) = read_batches(str(path), Source(header=False, columns=["a", "a"]), ["a", "a.1"])
    assert batch.data.to_pylist() == [{"a": b"x", "a.1": b"y"}]


@pytest.mark.parametrize(("text", "width"), [("x;1", 1), ("x,1,\n", 3), ('"a\nb",2\n', 2), ("\n\n1,2\n", 2)])
def test_columns_without_a_header_are_numbered_by_the_first_row(tmp_path: Path, text: str, width: int) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    names = [f"c{index}" for index in range(width)]
    assert usable_columns([str(path)], Source(header=False)) == (sorted(names), {})
    (batch,) = read_batches(str(path), Source(header=False), names)
    expected = pd.read_csv(path, header=None, dtype=str).fillna("").iloc[0].tolist()
    assert [(value or b"").decode() for value in batch.data.to_pylist()[0].values()] == expected


def test_rows_of_another_width_than_the_first_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,1\ny\nz,2\n")
    (batch,) = read_batches(str(path), Source(header=False), ["c0", "c1"])
    assert batch.data.to_pylist() == [{"c0": b"x", "c1": b"1"}, {"c0": b"z", "c1": b"2"}]
    assert [(row.row, row.reason) for row in batch.rejected] == [(2, "expected 2 columns, found 1")]


def test_file_without_header_and_rows_has_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\n")
    assert file_ranges(str(path), Source(header=False)) == []


def test_faulty_first_row_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('x,"y"z\n1,2\n')
    with pytest.raises(SourceError, match="the first row is not valid: text after a closing quote"):
        file_ranges(str(path), Source(header=False))
