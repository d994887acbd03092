"""Delimiters of several bytes, in values and at the borders of blocks; control characters as delimiters."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.rows import columns
from fieldpool.pipeline.sources.formats.csv_header import header_of
from fieldpool.pipeline.sources.readers import file_ranges, read_batches
from fieldpool.pipeline.sources.source_file import source_file
from fieldpool.pipeline.sources.streams.delimiters import DelimiterCode
from fieldpool.transforms.spec import Source

DELIMITERS = ["::", "||", ", ", "¦", "§", "\t|\t", "::::::::", "aba", "\x1f\x1e", "\x1e\x1d", " "]


def rows_of(path: Path, source: Source) -> tuple[list[list[str | None]], list[tuple[int, str, Any]]]:
    """Returns the values of all columns, and the rejected rows."""
    names = header_of(source_file(str(path), source)) or []
    batches = list(read_batches(str(path), source, names))
    rows = [row for batch in batches if batch.data.num_rows for row in batch.data.to_pylist()]
    rejected = sorted((row.row, row.reason, row.raw) for batch in batches for row in batch.rejected)
    return [[value if value is None else value.decode() for value in row.values()] for row in rows], rejected


def written(rows: list[list[str]], delimiter: str, *, quoted: bool) -> str:
    """Returns rows as CSV with a delimiter of any length; values that need quotes always have them."""
    texts = [
        [
            f'"{value.replace(chr(34), chr(34) * 2)}"' if quoted or needs_quotes(value, delimiter) else value
            for value in row
        ]
        for row in rows
    ]
    return "".join(delimiter.join(row) + "\n" for row in texts)


def needs_quotes(value: str, delimiter: str) -> bool:
    # An unquoted value next to a delimiter must not have a part of it.
    return bool(set(value) & {'"', "\n", "\r", *delimiter}) or not value.strip()


VALUES = st.text(st.sampled_from('ab:|, ¦§\t"\n\x1f\x1e\x1d\x1cé'), max_size=8).filter(lambda text: "\n" not in text)


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=4, max_size=20), st.sampled_from(DELIMITERS), st.booleans())
@example(["::", '"', ":", "a::b", "\x1f", "\x1e\x1f", "", "::"], "::", False)
def test_values_are_read_exactly_with_every_delimiter(values: list[str], delimiter: str, quoted: bool) -> None:
    rows = [values[at : at + 2] for at in range(0, len(values) - 1, 2)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        path.write_text(written(rows, delimiter, quoted=quoted))
        found, rejected = rows_of(path, Source(delimiter=delimiter, header=False))
    assert rejected == []
    assert found == [[value or None for value in row] for row in rows]


@settings(deadline=None)
@given(
    st.text("ab:\x1f\x1e\x1d\x1c\x1b", max_size=60),
    st.sampled_from(["::", "aba", ":a:", "\x1f\x1f", "abab"]),
    st.integers(1, 9),
)
def test_code_is_reversible_and_independent_of_blocks(text: str, delimiter: str, size: int) -> None:
    code = DelimiterCode.of(delimiter.encode(), b'"')
    assert code is not None
    assert b"".join(code.encoded(io.BytesIO(text.encode()), size)) == code.encode(text.encode())
    assert code.decode(code.encode(text.encode())) == text.encode()
    assert code.encode(text.encode()).count(code.codes.delimiter) == text.count(delimiter)


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_unquoted_rows_are_split_at_each_delimiter(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "rows.dat"
    lines = [delimiter.join(row) for row in (["id", "title"], ["1", "Toy_Story_(1995)"], ["2", "Café"], ["", "x'y"])]
    path.write_text("\n".join(lines))
    expected = [[value or None for value in line.split(delimiter)] for line in lines[1:]]
    assert rows_of(path, Source(format="csv", delimiter=delimiter)) == (expected, [])


def test_ratings_are_those_of_pandas(tmp_path: Path) -> None:
    path = tmp_path / "ratings.dat"
    path.write_text("1::1193::5::978300760\n1::661::3::978302109\n2::::4::978301968\n")
    table = pd.read_csv(path, sep="::", engine="python", header=None, dtype=str).astype(object)
    found = rows_of(path, Source(format="csv", delimiter="::", header=False))
    assert found == (table.where(table.notna(), None).to_numpy().tolist(), [])


def test_names_missing_values_and_rejected_rows_have_the_text_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('"a::1"::b\x1f\nNA::1\n"x::y"::-::\x1e\n"N::A"::2\n3::"\x1e\n')
    source = Source(delimiter="::", null_values=["NA", "N::A", "\x1e"])
    assert header_of(source_file(str(path), source)) == ["a::1", "b\x1f"]
    found, rejected = rows_of(path, source)
    assert found == [[None, "1"], [None, "2"]]
    assert [(row, raw) for row, _, raw in rejected] == [(2, {"text": '"x::y"::-::\x1e'}), (4, {"text": '3::"\x1e'})]
    assert len(file_ranges(str(path), source, 1)) == 1


def test_escaped_delimiter_is_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a::b\nx\\::y::1\n")
    assert rows_of(path, Source(delimiter="::", escape="\\")) == ([["x::y", "1"]], [])


def test_invalid_utf8_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("a§b\n\xff§1\n2\n".encode().replace("ÿ".encode(), b"\xff"))
    (batch,) = read_batches(str(path), Source(delimiter="§"), ["a"])
    assert (batch.data["a"].to_pylist(), [row.row for row in batch.rejected]) == ([b"\xff"], [2])


def test_text_of_hive_is_read(tmp_path: Path) -> None:
    """^A between columns, ^B between elements, \\N for null."""
    path = tmp_path / "000000_0"
    path.write_text("1\x01x\x02y\x01\\N\n2\x01\\N\x013\n")
    source = Source(format="csv", delimiter="\x01", header=False, quote="none", null_values=["\\N"])
    expected = list(csv.reader(path.open(), delimiter="\x01", quoting=csv.QUOTE_NONE))
    found, rejected = rows_of(path, source)
    assert (found, rejected) == ([[None if value == "\\N" else value for value in row] for row in expected], [])
    (batch,) = read_batches(str(path), source, ["c1"])
    assert columns.bags(batch.data["c1"], "\x02", "c1").values.to_pylist() == [[b"x", b"y"], []]
