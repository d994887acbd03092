"""Lines of CSV files that are not rows: skipped lines at the start, and comments."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.sources.readers import check_input, file_ranges, read_batches, read_range
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source


def rows_of(path: Path, range_bytes: int | None = None, **source: Any) -> dict[int, Any]:
    """Returns the values of each row, or the reason for its rejection, by number."""
    settings, found = Source(**source), {}
    parts = file_ranges(str(path), settings, *([range_bytes] if range_bytes else []))
    for batch in (batch for part in parts for batch in read_range(part, settings, list(part.header or ()))):
        if batch.data.num_rows:
            rows = [[value and value.decode() for value in row.values()] for row in batch.data.to_pylist()]
            found |= dict(zip(batch.numbers.tolist(), rows, strict=True))
        found |= {row.row: row.reason.split(";")[0] for row in batch.rejected}
    return dict(sorted(found.items()))


def read(folder: Path, text: str, **source: Any) -> list[Any]:
    """Returns the rows, which must be the same in ranges, with another delimiter and after a byte order mark."""
    (folder / "rows.csv").write_text(text, newline="")
    found = rows_of(folder / "rows.csv", **source)
    assert all(rows_of(folder / "rows.csv", size, **source) == found for size in (1, 5, 30))
    (folder / "rows.csv").write_text("\ufeff" + text.replace(",", "::"), newline="")
    of_pairs = rows_of(folder / "rows.csv", delimiter="::", **source)
    assert [str(row).replace("::", ",") for row in of_pairs.values()] == [str(row) for row in found.values()]
    assert list(found) == list(range(1, len(found) + 1))
    return list(found.values())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_before_the_header_are_skipped(tmp_path: Path, end: str) -> None:
    lines = ['Report "of', "", "2024, January", "a,b", "1,x", "2,y", ""]
    assert read(tmp_path, end.join(lines), skip_rows=3) == [["1", "x"], ["2", "y"]]
    assert list(csv.reader(lines[4:6])) == [["1", "x"], ["2", "y"]]


@pytest.mark.parametrize("source", [{"header": False}, {"header": False, "columns": ["a", "b"]}])
def test_lines_before_the_first_row_are_skipped(tmp_path: Path, source: dict[str, Any]) -> None:
    assert read(tmp_path, "x\n1,x\n2,y\n", skip_rows=1, **source) == [["1", "x"], ["2", "y"]]


@pytest.mark.parametrize("skipped", [3, 4, 100])
def test_file_in_which_all_lines_are_skipped_has_no_rows(tmp_path: Path, skipped: int) -> None:
    (tmp_path / "rows.csv").write_text("x\ny\na,b\n")
    assert file_ranges(str(tmp_path / "rows.csv"), Source(skip_rows=skipped)) == []
    with pytest.raises(SourceError, match="no rows"):
        check_input([str(tmp_path / "rows.csv")], Source(skip_rows=skipped), ["a"])


def test_comments_are_not_rows(tmp_path: Path) -> None:
    text = '# of 2024, "all\n\na,b\n#\n1,x#y\n# 8,z\n## "\n2,# y\n #,z\n# end'
    expected = [["1", "x#y"], ["2", "# y"], [" #", "z"]]
    assert read(tmp_path, text, comment="#") == expected
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    assert list(csv.reader(lines))[1:] == expected


def test_comment_may_have_several_characters(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\n--x,y\n-1,x\n--\n", comment="--") == [["-1", "x"]]


def test_skipped_lines_come_before_comments(tmp_path: Path) -> None:
    assert read(tmp_path, "title\n# comment\na,b\n1,x\n", comment="#", skip_rows=1) == [["1", "x"]]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('1,"x\n# y\nz"\n# c\n2,y', [["1", "x\n# y\nz"], ["2", "y"]]),
        ('1,"x\n# 8,y\nz"\n2,y', [["1", "x\n# 8,y\nz"], ["2", "y"]]),
        ('1,"x\n# c\n2,y', ["a quote is not closed", ["2", "y"]]),
        ('1,"x"y\n# c"\n\n2,y', ["text after a closing quote", ["2", "y"]]),
        ("1\n# c\n2,y", ["expected 2 columns, found 1", ["2", "y"]]),
    ],
)
def test_line_in_an_open_quote_is_not_a_comment(tmp_path: Path, lines: str, expected: list[Any]) -> None:
    assert read(tmp_path, "a,b\n" + lines, comment="#") == expected


def test_escape_at_the_end_of_a_comment_is_text(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\n# c\\\n1,x\n", comment="#", escape="\\") == [["1", "x"]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.none(), st.lists(st.text('x#"\n', max_size=4), min_size=3, max_size=3)), max_size=9))
def test_table_with_comments_is_read_as_it_was_written(tmp_path: Path, rows: list[list[str] | None]) -> None:
    """None stands for a comment; values may look like one."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for row in (["a", "b", "c"], *rows):
        text.write('# "x, "y,\n' if row is None else "")
        writer.writerows([] if row is None else [row])
    (tmp_path / "rows.csv").write_text(text.getvalue())
    expected = [[value or None for value in row] for row in rows if row is not None]
    assert list(rows_of(tmp_path / "rows.csv", comment="#").values()) == expected


def test_rejected_row_has_its_text_without_the_comment_after_it(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text('a,b\n1,"x\n# c\n\n2,y\n')
    (batch,) = read_batches(str(tmp_path / "rows.csv"), Source(comment="#"), ["a"])
    assert [row.raw for row in batch.rejected] == [{"text": '1,"x'}]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"comment": ""}, "at least 1 character"),
        ({"comment": "a\n"}, "`comment`: expected a text without line ends"),
        ({"comment": ","}, "`comment`: expected .* found ','"),
        ({"comment": "--", "delimiter": "-"}, "`comment`: expected .* found '--'"),
        ({"comment": '"'}, "`comment`: expected"),
        ({"skip_rows": -1}, "greater than or equal to 0"),
        ({"skip_rows": 1, "format": "jsonl"}, "`skip_rows`: only for CSV"),
    ],
)
def test_invalid_settings_are_errors(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source(**source)
