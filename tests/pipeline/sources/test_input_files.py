"""Several files as one input: files without rows, and files with different columns."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from mutated_inputs import framed

from fieldpool.pipeline.reports.data_profile import profile_data
from fieldpool.pipeline.runs.dry_run import explain
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.sources import readers
from fieldpool.pipeline.sources.readers import check_input, read_batches, usable_columns
from fieldpool.transforms.errors import SourceError, UserError
from fieldpool.transforms.spec import Source, Spec

Row = dict[str, Any]
ROWS: list[Row] = [{"user": f"u{i % 3}", "click": i % 2} for i in range(8)]
SPEC = Spec.model_validate(
    {"label": {"field": "click"}, "split": {"hash": "user"}, "fields": {"user": {"type": "categorical"}}}
)


def csv(rows: list[Row]) -> bytes:
    names = list(rows[0] if rows else ROWS[0])
    return "".join(",".join(map(str, row)) + "\n" for row in [names, *(row.values() for row in rows)]).encode()


def json_lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows: list[Row]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows) if rows else pa.Table.from_pylist(ROWS).slice(0, 0), sink)
    return sink.getvalue().to_pybytes()


def tfrecord(rows: list[Row]) -> bytes:
    def feature(value: Any) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(value).encode()]))

    features = [{name: feature(value) for name, value in row.items()} for row in rows]
    return framed([tf.train.Example(features=tf.train.Features(feature=f)).SerializeToString() for f in features])


FORMATS: dict[str, Callable[[list[Row]], bytes]] = {
    "csv": csv,
    "csv.gz": lambda rows: gzip.compress(csv(rows)),
    "jsonl": json_lines,
    "parquet": parquet,
    "tfrecord": tfrecord,
}
NO_ROWS = {f"{name} of 0 bytes": (name, b"") for name in FORMATS} | {
    f"{name} with 0 rows": (name, of([])) for name, of in FORMATS.items()
}
no_rows = pytest.mark.parametrize(("name", "content"), NO_ROWS.values(), ids=NO_ROWS)


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


@no_rows
def test_file_without_rows_beside_others_counts_no_rows(tmp_path: Path, name: str, content: bytes) -> None:
    empty, full = write(tmp_path / f"a.{name}", content), write(tmp_path / f"b.{name}", FORMATS[name](ROWS))
    assert sum(batch.read for batch in read_batches(empty, Source(), ["user", "click"])) == 0
    for files in ([empty, full], [full, empty]):
        assert check_input(files, Source(), ["user", "click"]) == ["click", "user"]
        assert usable_columns(files, Source()) == (["click", "user"], {})


COMMANDS: list[Callable[[list[str]], object]] = [
    lambda files: transform(SPEC, files, "unused"),
    lambda files: explain(SPEC, files),
    lambda files: profile_data(files),
    # `predict`, `check` and `verify` check their files in this way.
    lambda files: check_input(files, Source(), ["user"], is_optional=True),
]


@no_rows
@pytest.mark.parametrize("command", COMMANDS, ids=["transform", "explain", "profile", "check_input"])
def test_files_without_any_row_are_an_error(
    tmp_path: Path, command: Callable[[list[str]], object], name: str, content: bytes
) -> None:
    files = [write(tmp_path / f"{i}.{name}", content) for i in range(3)]
    with pytest.raises(UserError, match=rf"0\.{name} and 2 more: no rows; pass files with rows"):
        command(files)
    with pytest.raises(UserError, match=rf"0\.{name}: no rows; pass files with rows"):
        command(files[:1])


@pytest.mark.parametrize("name", ["csv", "csv.gz", "parquet"])
def test_file_without_a_column_that_others_have_is_an_error_that_names_both(tmp_path: Path, name: str) -> None:
    a = write(tmp_path / f"a.{name}", FORMATS[name](ROWS))
    b = write(tmp_path / f"b.{name}", FORMATS[name]([{"user": "u"}]))
    message = rf"b\.{name}: has no column 'click'; it has 'user'\. .*a\.{name} has it: add the column to this file"
    with pytest.raises(SourceError, match=message):
        check_input([a, b], Source(), ["user", "click"])
    assert usable_columns([a, b], Source()) == (["user"], {"click": f"{b} has no such column"})


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_column_that_no_file_has_is_an_error_that_names_the_ways_out(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / f"a.{name}", FORMATS[name](ROWS))
    message = r"has no column .age.; it has .*Correct the name in the spec .*add or rename the column"
    with pytest.raises(SourceError, match=message):
        check_input([file], Source(), ["age"])


@pytest.mark.parametrize(
    ("header", "columns", "step"),
    [
        ("user;age", ["age"], r"separated by ';': set `source: \{delimiter: \";\"\}` or `source: auto`"),
        ("user\tage", ["age"], r"separated by '\\t': set `source: \{delimiter: \"\\t\"\}` or `source: auto`"),
        ("user::age", ["user", "age"], r"set `source: \{delimiter: \"::\"\}`"),
        ("1,u2,20", ["c1", "c2"], r"If its first line is a row, set `source: \{header: false\}`"),
    ],
)
def test_column_that_no_file_has_names_the_entry_that_helps(
    tmp_path: Path, header: str, columns: list[str], step: str
) -> None:
    file = write(tmp_path / "a.csv", f"{header}\n1\n".encode())
    with pytest.raises(SourceError, match=step):
        check_input([file], Source(), columns)


def test_files_of_two_delimiters_are_reported(tmp_path: Path) -> None:
    a, b = (
        write(tmp_path / f"{name}.csv", text) for name, text in (("a", b"user,age\n1,2\n"), ("b", b"user;age\n1;2\n"))
    )
    with pytest.raises(SourceError, match=r"b\.csv: .*Unlike in .*a\.csv, its names are separated by ';'"):
        check_input([a, b], Source(), ["user", "age"])


@pytest.mark.parametrize("name", ["jsonl", "tfrecord"])
@pytest.mark.filterwarnings("error")
def test_file_may_leave_out_an_optional_key(tmp_path: Path, name: str) -> None:
    a = write(tmp_path / f"a.{name}", FORMATS[name](ROWS))
    b = write(tmp_path / f"b.{name}", FORMATS[name]([{"user": "u", "age": 3}]))
    for is_optional in (True, False):
        found = check_input([a, b], Source(), ["user", "click", "age"], is_optional=is_optional)
        assert found == ["age", "click", "user"]
    assert usable_columns([a, b], Source()) == (["age", "click", "user"], {})
    (batch,) = read_batches(b, Source(), ["click", "age"])
    assert batch.data["click"].null_count == 1


@pytest.mark.parametrize("name", FORMATS)
def test_columns_of_each_file_are_read_once(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write(tmp_path / f"{i}.{name}", FORMATS[name](ROWS)) for i in range(3)]
    read: list[str] = []
    columns_of = readers._columns_of
    monkeypatch.setattr(readers, "_columns_of", lambda path, source: [read.append(path), columns_of(path, source)][1])
    check_input(files, Source(), ["user", "click"])
    assert sorted(read) == files


NESTED: list[Row] = [row | {"clicks": [{"item": 5}], "pairs": [["a", "b"]], "user_info": {"age": 3}} for row in ROWS]


@pytest.mark.parametrize("name", ["parquet", "jsonl"])
@pytest.mark.parametrize("extra", [b"", b"not JSON\n"])
def test_profile_reads_members_and_leaves_out_columns_that_cannot_be_read(
    tmp_path: Path, name: str, extra: bytes
) -> None:
    rows = [
        row | {"kind": f"k{i % 4}", "item": f"i{i % 5}", "clicks": [{"item": f"i{i % 3}"}]}
        for i, row in enumerate(NESTED * 30)
    ]
    content = FORMATS[name](rows) + (extra if name == "jsonl" else b"")
    found = profile_data([write(tmp_path / f"rows.{name}", content)])
    columns = {found.spec.column_of(name) for name in found.spec.fields}
    assert {"clicks[].item"} <= columns <= {"user", "kind", "item", "clicks[].item"}
    left_out = {name: reason for name, reason in found.proposal.left_out.items() if "cannot be read" in reason}
    assert sorted(left_out) == ["pairs"]
    assert left_out["pairs"].startswith("the type ")
    assert found.rows["rejected"] == (name == "jsonl" and extra != b"")


def test_transform_of_a_nested_column_names_file_and_column(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"fields": SPEC.fields | {"clicks": SPEC.fields["user"]}})
    files = [write(tmp_path / f"{name}.parquet", parquet(rows)) for name, rows in (("a", ROWS), ("b", NESTED))]
    with pytest.raises(SourceError, match=r"b\.parquet: column 'clicks' has the type list<.*Name a member"):
        transform(spec, files[1:], str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
