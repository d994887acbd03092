"""The readers against a second one, on mutated files: each row is read with the same values, or rejected, or the error
names what the second one finds wrong.

`make test-faults` tries 2,000 files of each kind (twice FUZZ), the default suite 100.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import reference_reader as reference
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutated_inputs import MUTATIONS, Mutations, examples, framed, mutated

from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.sources.formats import csv_rows
from fieldpool.pipeline.sources.formats.csv_dialect import Dialect
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Source

MANY, FEW = 2 * int(os.environ.get("FUZZ", "1000")), 100

COLUMNS = ["id", "title", "tags", "n"]
TITLES = ["x", 'He said "yes"', "a, b", "", "é|ü", 'two\nlines, "quoted"', '5" pipe', "a\tb\r\nc"]
ROWS: list[dict[str, Any]] = [
    {"id": f"r{i}", "title": title, "tags": "x|y", "n": i} for i, title in enumerate(TITLES + TITLES[:3])
]


def table(delimiter: str, quoting: Any, line_end: str = "\n") -> bytes:
    """Returns the rows as CSV; without quotes if `quoting` is None."""
    if quoting is None:
        rows = [[re.sub(r'[\s,]+|^"', " ", str(row[name])) for name in COLUMNS] for row in ROWS]
        return "".join(delimiter.join(row) + line_end for row in [COLUMNS, *rows]).encode()
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=line_end)
    writer.writerows([COLUMNS, *([row[name] for name in COLUMNS] for row in ROWS)])
    return text.getvalue().encode()


def json_lines() -> bytes:
    lines = [row | {"tags": row["tags"].split("|"), "w": [1, 0.5]} for row in ROWS]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines).encode()


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        name: Of the file.
        rows: The second reader.
        contents: What is mutated.
        file: Returns the file of a mutated content.
        read: The smallest number of rows that must be read, on average.
        source: How it is read.
    """

    name: str
    rows: Callable[[bytes], list[reference.Row]]
    contents: list[bytes]
    file: Callable[[bytes], bytes] = bytes
    read: float = 1
    source: Source = Source()


def csv_kind(name: str, delimiter: str, line_ends: Sequence[str], written: str = "") -> Kind:
    """Returns a kind of CSV; `written` is the delimiter in the files if the csv module cannot write it."""
    quotings = (None, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)
    contents = [table(delimiter, quoting, end) for quoting in quotings for end in line_ends]
    source = Source(delimiter=written) if written else Source()
    written_bytes = (written or delimiter).encode()
    contents = [content.replace(delimiter.encode(), written_bytes) for content in contents]
    return Kind(name, lambda data: reference.csv_rows(data, written_bytes, COLUMNS), contents, source=source)


def commented_kind() -> Kind:
    contents = [b'#"a,b\n' + table(",", csv.QUOTE_ALL).replace(b'"r', b'# 1,"2"\n"r').replace(b"\nlines", b"\n#lines")]
    source = Source(comment="#")
    return Kind("rows.csv", lambda data: reference.csv_rows(data, b",", COLUMNS, b"#"), contents, source=source)


def tfrecord_rows(data: bytes) -> list[reference.Row]:
    return reference.tfrecord_rows(data, COLUMNS)


RECORDS = examples([row | {"tags": "x|y", "w": 0.5} for row in ROWS])
KINDS = {
    "csv": csv_kind("rows.csv", ",", ["\n", "\r\n"]),
    "tsv": csv_kind("rows.tsv", "\t", ["\n", "\r"]),
    "pairs": csv_kind("rows.csv", ",", ["\n", "\r\n"], "\x1f:"),
    "commented": commented_kind(),
    "jsonl": Kind("rows.jsonl", lambda data: reference.json_rows(data, COLUMNS), [json_lines()]),
    "record": Kind("rows.tfrecord", tfrecord_rows, RECORDS, lambda record: framed([*RECORDS, record, *RECORDS])),
    # Nearly every byte belongs to a checksum: few mutated files can be read.
    "tfrecord": Kind("rows.tfrecord", tfrecord_rows, [framed(RECORDS)], read=0),
}


def with_stray_quotes(content: bytes, positions: list[float]) -> bytes:
    """Inserts a quote at the start, or before the end, of some values."""
    for position in positions:
        ends = [match.end() for match in re.finditer(rb"[,\t\r\n]", content)]
        at = ends[int(position * len(ends))] if ends else 0
        content = content[:at] + b'"' + content[at:]
    return content


def values_by_row(batches: Iterator[SourceBatch]) -> dict[int, list[Any] | None]:
    """Returns the values of each row by its number, None if it is rejected."""
    found: dict[int, list[Any] | None] = {}
    for batch in batches:
        columns = [batch.data[name].to_pylist() for name in COLUMNS] if batch.data.num_rows else []
        found |= (
            {row: list(values) for row, *values in zip(batch.numbers.tolist(), *columns, strict=True)}
            if columns
            else {}
        )
        found |= dict.fromkeys(row.row for row in batch.rejected)
    return found


def is_same(found: Any, expected: Any) -> bool:
    """Compares two values. Numbers may have been read as text, if other rows of their column have text."""
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(is_same, found, expected))
    if isinstance(found, bytes) and isinstance(expected, bool | int | float):
        return found.lower() == str(expected).lower().encode() or float(found) == expected
    found, expected = (
        value.encode(errors="surrogatepass") if isinstance(value, str) else value for value in (found, expected)
    )
    return bool(found == expected or (found != found and expected != expected))


def compare(kind: Kind, content: bytes) -> int:
    """Reads a file with both readers; returns the number of rows that were read."""
    expected: list[reference.Row] | reference.Refused
    try:
        expected = kind.rows(content)
    except reference.Refused as error:
        expected = error
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, kind.name)
        path.write_bytes(content)
        if isinstance(expected, reference.Refused):
            with pytest.raises(UserError, match=f"^{path}: .*{expected}"):
                values_by_row(read_batches(str(path), kind.source, COLUMNS))
            return 0
        found = values_by_row(read_batches(str(path), kind.source, COLUMNS))
    assert sorted(found) == list(range(1, len(expected) + 1))
    for number, row in enumerate(expected, 1):
        mine = found[number]
        assert (mine is None) == (row is None), (number, row, mine)
        assert mine is None or row is None or all(map(is_same, mine, row)), (number, row, mine)
    return sum(row is not None for row in expected)


def compare_mutated(kind: Kind, draws: int, *, derandomize: bool) -> int:
    """Compares the readers on mutated files; returns the number of rows that were read, of all files."""
    has_quotes = kind.name in ("rows.csv", "rows.tsv")
    read = 0

    @settings(
        max_examples=draws,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=derandomize,
    )
    @given(
        content=st.sampled_from(kind.contents),
        quotes=st.lists(st.floats(0, 1, exclude_max=True), max_size=3 if has_quotes else 0),
        mutations=st.lists(MUTATIONS, max_size=1),
    )
    def check(content: bytes, quotes: list[float], mutations: list[Mutations]) -> None:
        nonlocal read
        content = with_stray_quotes(content, quotes)
        read += compare(kind, kind.file(mutated(content, mutations[0]) if mutations else content))

    check()
    return read


@pytest.mark.parametrize("kind", KINDS)
def test_few_mutated_files_have_the_rows_that_a_second_reader_finds(kind: str) -> None:
    assert compare_mutated(KINDS[kind], FEW, derandomize=True) >= KINDS[kind].read * FEW


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutated_files_have_the_rows_that_a_second_reader_finds(kind: str) -> None:
    assert compare_mutated(KINDS[kind], MANY, derandomize=False) >= KINDS[kind].read * MANY


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_comparison_fails_without_the_check_of_quotes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, pyarrow reads several rows as one."""
    monkeypatch.setattr(Dialect, "is_plain", lambda self, text: True)
    monkeypatch.setattr(csv_rows, "_irregular", lambda dialect, data, starts, *_: starts < 0)
    with pytest.raises(AssertionError):
        compare_mutated(KINDS[kind], FEW, derandomize=True)
