"""Quotes in CSV files: a faulty quote costs its own row and no other; `source` says how quotes are written."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import Any

import pytest

from fieldpool.pipeline.sources.readers import file_ranges, read_batches, read_range, usable_columns
from fieldpool.pipeline.sources.source_file import ROW_BYTES
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source

UNCLOSED, TEXT_AFTER = "a quote is not closed", "text after a closing quote"
LAST = b"9,z\n"


def rows_of(path: Path, source: Source, range_bytes: int | None = None) -> dict[int, Any]:
    """Returns the value of column b, or the reason, of each row by its number."""
    found: dict[int, Any] = {}
    if range_bytes is None:
        batches = list(read_batches(str(path), source, ["b"]))
    else:
        parts = file_ranges(str(path), source, range_bytes)
        batches = [batch for part in parts for batch in read_range(part, source, ["b"])]
    for batch in batches:
        if batch.data.num_rows:
            found |= dict(zip(batch.numbers.tolist(), batch.data["b"].to_pylist(), strict=True))
        found |= {row.row: row.reason for row in batch.rejected}
    return found


def read(folder: Path, text: bytes, **source: Any) -> list[Any]:
    """Returns what `rows_of` finds, which must be the same in ranges and in compressed files."""
    settings = Source(**source)
    for name, content in (
        ("rows.csv", text),
        ("rows.csv.gz", gzip.compress(text)),
        ("rows.csv.bz2", bz2.compress(text)),
    ):
        (folder / name).write_bytes(content)
    found = rows_of(folder / "rows.csv", settings)
    assert rows_of(folder / "rows.csv.gz", settings) == rows_of(folder / "rows.csv.bz2", settings) == found
    assert all(rows_of(folder / "rows.csv", settings, size) == found for size in (1, 7, 20))
    assert sorted(found) == list(range(1, len(found) + 1))
    return [found[row] for row in sorted(found)]


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (b'1,He said "yes"', b'He said "yes"'),
        (b'1,5" pipe', b'5" pipe'),
        (b'1,5"', b'5"'),
        (b'1, "x"', b' "x"'),
        (b'1,"a ""b"""', b'a "b"'),
        (b'"1","a,b"', b"a,b"),
        (b'1,""', None),
        (b'"1","\xef\xbb\xbf"', b"\xef\xbb\xbf"),
        (b'1,"a\nb"', b"a\nb"),
        (b'1,"\n\na\r\n"', b"\n\na\r\n"),
        (b'"1\n2,","a, b, c\n"', b"a, b, c\n"),
        (b'1,"a, b, c\nd, e"', b"a, b, c\nd, e"),
    ],
)
def test_well_formed_value_is_read_byte_for_byte(tmp_path: Path, row: bytes, value: bytes | None) -> None:
    assert read(tmp_path, b"a,b\n" + row + b"\n" + LAST) == [value, b"z"]
    assert read(tmp_path, b"a,b\n" + LAST + row) == [b"z", value]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b'1,"x', [UNCLOSED]),
        (b'1,"x"y', [TEXT_AFTER]),
        (b'"1"2,x', [TEXT_AFTER]),
        (b'1,"x" ', [TEXT_AFTER]),
        (b'1,"x\n2,x\n3,x', [UNCLOSED, b"x", b"x"]),
        # Closed in a later row, as if the rows between were one value.
        (b'1,"x\n2,y\n3,12"', [UNCLOSED, b"y", b'12"']),
        (b'1,"x\n2,12"', [UNCLOSED, b'12"']),
        (b'"1,x\n2",y', [UNCLOSED, b"y"]),
        (b'1,"x\n2,"y\n3,"z', [UNCLOSED] * 3),
        (b'1,"x\n2,"y"\n3,z', [UNCLOSED, b"y", b"z"]),
        (b'1,"x\n2\n3,z', [UNCLOSED, "expected 2 columns, found 1", b"z"]),
        # A row of several lines with a wrong number of columns.
        (b'"1\n2"\n3,z', [UNCLOSED, "expected 2 columns, found 1", b"z"]),
        (b'1,"size 5\\""\n2,z', [UNCLOSED, b"z"]),
        (b'1,"a \\"b\\" c"\n2,z', [TEXT_AFTER, b"z"]),
    ],
)
def test_faulty_quote_costs_only_its_row(tmp_path: Path, lines: bytes, expected: list[Any]) -> None:
    for before, after in ((b"", LAST), (LAST, b""), (b'8,"y"\n', LAST)):
        found = read(tmp_path, b"a,b\n" + before + lines + b"\n" + after)
        assert [value.split(";")[0] if isinstance(value, str) else value for value in found] == [
            *([b"y"] if b"y" in before else [b"z"] if before else []),
            *expected,
            *([b"z"] if after else []),
        ]


def test_reason_names_the_option_that_reads_the_row(tmp_path: Path) -> None:
    (first, second) = read(tmp_path, b'a,b\n1,"a \\"b\\" c"\n2,"x\n')
    assert first == TEXT_AFTER + "; if a backslash precedes quotes that are text, set `source: {escape: '\\'}`"
    assert second == UNCLOSED + "; if quotes are text in this file, set `source: {quote: none}`"


def test_rejected_row_has_its_text(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv").write_bytes(b'a\tb\r\n1\t"x\r\n\r\n2\ty\r\n')
    (batch,) = read_batches(str(tmp_path / "rows.tsv"), Source(), ["b"])
    assert [(row.row, row.field, row.raw) for row in batch.rejected] == [(1, "(row)", {"text": '1\t"x'})]
    assert batch.numbers.tolist() == [2]


@pytest.mark.parametrize(
    ("rows", "source", "expected"),
    [
        (b'1,"x\n2,y"\n', {"quote": "none"}, [b'"x', b'y"']),
        (b"1,'x,\"y'\n2,\"z\n", {"quote": "'"}, [b'x,"y', b'"z']),
        (b'1,"size 5\\""\n2,"a \\"b\\" c"\n', {"escape": "\\"}, [b'size 5"', b'a "b" c']),
        (b'1,"x\\\\"\n2,\\"y\\\\\\"\n', {"escape": "\\"}, [b"x\\", b'"y\\"']),
        (b"1,a\\,b\n2,x\\\ny\n", {"escape": "\\", "quote": "none"}, [b"a,b", b"x\ny"]),
        # An escape before a line end joins two rows, which is a fault if it gives more columns.
        (
            b"1,C:\\\n2,D:\\\n3,z\n",
            {"escape": "\\"},
            ["expected 2 columns, found 4", "expected 2 columns, found 3", b"z"],
        ),
        (b'1,"x\\\n2,y"\n3,z\n', {"escape": "\\"}, [UNCLOSED, b'y"', b"z"]),
        (b'1,"x""y"\n2,"z"\n', {"double_quote": False}, [TEXT_AFTER, b"z"]),
        (b'1,"x""y"\n2,"z"\n', {}, [b'x"y', b"z"]),
    ],
)
def test_source_says_how_quotes_are_written(
    tmp_path: Path, rows: bytes, source: dict[str, Any], expected: list[Any]
) -> None:
    found = read(tmp_path, b"a,b\n" + rows, **source)
    assert [value.split(";")[0] if isinstance(value, str) else value for value in found] == expected


@pytest.mark.parametrize(
    ("text", "source", "names"),
    [
        (b'"a,1","b\n2"\n1,2\n', {}, ["a,1", "b\n2"]),
        (b'"a,"b"\n1,2\n', {"quote": "none"}, ['"a', '"b"']),
        (b"'a,1','b'\n1,2\n", {"quote": "'"}, ["a,1", "b"]),
        (b'"a\\"1",b\n1,2\n', {"escape": "\\"}, ['a"1', "b"]),
    ],
)
def test_header_is_read_with_the_same_options(
    tmp_path: Path, text: bytes, source: dict[str, Any], names: list[str]
) -> None:
    (tmp_path / "rows.csv").write_bytes(text)
    assert usable_columns([str(tmp_path / "rows.csv")], Source(**source)) == (sorted(names), {})


@pytest.mark.parametrize(("header", "fault"), [(b'a,"b\n1,2\n3,4', UNCLOSED), (b'a,"b"c\n1,2', TEXT_AFTER)])
def test_faulty_quote_in_the_header_is_an_error(tmp_path: Path, header: bytes, fault: str) -> None:
    (tmp_path / "rows.csv").write_bytes(header + b"\n")
    with pytest.raises(SourceError, match=f"cannot be read as csv: the first row, .*, is not valid: {fault}"):
        rows_of(tmp_path / "rows.csv", Source())


@pytest.mark.parametrize("rows", [20, 400_000])
def test_quote_that_the_file_never_closes(tmp_path: Path, rows: int) -> None:
    """The second file is longer than the longest row, in which a closing quote is looked for."""
    text = b"a,b\n" + LAST + b'1,"x\n' + rows * b"2,some text\n"
    assert rows == 20 or len(text) > ROW_BYTES
    (tmp_path / "rows.csv").write_bytes(text)
    found = rows_of(tmp_path / "rows.csv", Source())
    assert len(found) == rows + 2
    assert [row for row, value in found.items() if isinstance(value, str)] == [2]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"quote": ""}, "`quote`: expected one ASCII character"),
        ({"quote": "''"}, "`quote`: expected one ASCII character"),
        ({"escape": "\n"}, "`escape`: expected one ASCII character"),
        ({"delimiter": "a\nb"}, "`delimiter`: expected a text without line ends"),
        ({"delimiter": "123456789"}, "at most 8 characters"),
        ({"delimiter": '",'}, "`quote` and `delimiter` must differ"),
        ({"escape": '"'}, "must differ"),
        ({"delimiter": "'", "quote": "'"}, "must differ"),
        ({"quote": ","}, "another character than the default delimiters"),
    ],
)
def test_special_characters_are_single_and_different(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source(**source)


@pytest.mark.parametrize("quote", ['"', "none"])
def test_null_word_with_the_escape_is_missing(tmp_path: Path, quote: str) -> None:
    """MySQL writes \\N for a missing value, beside texts with escapes."""
    rows = [b"\\N", b"x\\,\\N", b"\\\\N", b"N", b"\\NN", b"", b"x\\\\", b"\\N"]
    expected = [None, b"x,N", b"\\N", b"N", b"NN", None, b"x\\", None]
    text = b"a,b,c\n" + b"".join(b"\\N,%b,\\N\n" % value for value in rows)
    # The text \\N, written with an escape, cannot be distinguished from the word.
    expected[2] = None
    assert read(tmp_path, text, quote=quote, escape="\\", null_values=["\\N"]) == expected
