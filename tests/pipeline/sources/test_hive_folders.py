"""Columns of partition folders as Hive names them: `dt=2026-11-01/hour=03/part-0.parquet`."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from mutated_inputs import framed

from fieldpool.model.run import Run
from fieldpool.pipeline.reports.file_proposal import propose_for_files
from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.sources.files import find_files
from fieldpool.pipeline.sources.formats.hive_folders import folder_columns
from fieldpool.pipeline.sources.readers import check_input, file_ranges, read_batches, read_range, usable_columns
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import SPLITS, Source, Spec
from fieldpool.transforms.spec.inputs import raw_columns

Row = dict[str, Any]


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("logs/dt=2026-11-01/hour=03/part-0.parquet", {"dt": b"2026-11-01", "hour": b"03"}),
        ("/data/logs/dt=1/a.csv", {"dt": b"1"}),
        ("gs://pool/logs/dt=1/a.csv", {"dt": b"1"}),
        ("s3://pool/dt=1/shard/a.csv", {"dt": b"1"}),
        ("logs/part-0.csv", {}),
        ("dt=1.csv", {}),
        ("logs/dt=1", {}),
        ("dt=__HIVE_DEFAULT_PARTITION__/a.csv", {"dt": None}),
        ("dt=/a.csv", {"dt": None}),
        ("=1/a.csv", {}),
        ("a=b=c/x.csv", {"a": b"b=c"}),
        ("dt=1/dt=2/a.csv", {"dt": b"1"}),
        ("a%20b=c%2Fd%3D/x.csv", {"a b": b"c/d="}),
        ("a%3Db=1/x.csv", {"a=b": b"1"}),
        ("a=%C3%A9+é/x.csv", {"a": "é+é".encode()}),
        ("a=100%/b=%zz/x.csv", {"a": b"100%", "b": b"%zz"}),
        ("a=%FF/b=\udcff/x.csv", {"a": b"\xff", "b": b"\xff"}),
    ],
)
def test_folders_of_a_path_are_columns(path: str, columns: dict[str, bytes | None]) -> None:
    assert folder_columns(path) == columns


def test_columns_do_not_depend_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "dt=1/rows.csv", csv(ROWS))
    monkeypatch.chdir(Path(path).parent)
    assert folder_columns("rows.csv") == folder_columns(path) == {"dt": b"1"}


def test_folders_are_separated_as_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_columns("logs\\dt=1\\a.csv") == {}
    monkeypatch.setattr(os, "sep", "\\")
    assert folder_columns("logs\\dt=1\\a.csv") == {"dt": b"1"}


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20), max_size=3),
    st.sampled_from(["%2F", "%", "%C3%A9", "%5F_HIVE_DEFAULT_PARTITION__"]),
)
@example(["a=__HIVE_DEFAULT_PARTITION__", "b="], "%")
@example(["=", "=1", "a==", "a=1=2"], "%41")
def test_columns_are_those_of_pyarrow(folders: list[str], code: str) -> None:
    """Apart from texts without characters, which are missing values as in CSV, and names without characters."""
    path = "/".join([*folders, f"last={code}", "part-0.csv"])
    names = dict.fromkeys([*folder_columns(path), "last"])
    schema = pa.schema([(name, pa.string()) for name in names])
    expected = ds.get_partition_keys(ds.HivePartitioning(schema).parse(path))
    found = {name: value and value.decode() for name, value in folder_columns(path).items()}
    assert found == {name: expected[name] or None for name in names}


def test_columns_are_those_of_a_dataset_of_pyarrow(tmp_path: Path) -> None:
    values = ["a b", "c/d", "é", "x=y", "100%", None]
    table = pa.table({"k ey": values, "n": range(6)})
    flavor = ds.partitioning(pa.schema([("k ey", pa.string())]), flavor="hive")
    ds.write_dataset(table, tmp_path, format="parquet", partitioning=flavor)
    read = [
        (value.decode() if value else None, n)
        for file in find_files([str(tmp_path)])
        for batch in read_batches(file.path, Source(), ["k ey", "n"])
        for value, n in zip(batch.data["k ey"].to_pylist(), batch.data["n"].to_pylist(), strict=True)
    ]
    assert sorted(read, key=str) == sorted(zip(values, range(6), strict=True), key=str)


def csv(rows: list[Row], delimiter: str = ",") -> bytes:
    lines = [list(rows[0]), *(row.values() for row in rows)]
    return "".join(delimiter.join(map(str, line)) + "\n" for line in lines).encode()


def parquet(rows: list[Row]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


def json_lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def tfrecord(rows: list[Row]) -> bytes:
    features = [
        {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(v).encode()])) for name, v in row.items()}
        for row in rows
    ]
    return framed([tf.train.Example(features=tf.train.Features(feature=f)).SerializeToString() for f in features])


FORMATS: dict[str, Callable[[list[Row]], bytes]] = {
    "csv": csv,
    "tsv": lambda rows: csv(rows, "\t"),
    "csv.gz": lambda rows: gzip.compress(csv(rows)),
    "jsonl": json_lines,
    "parquet": parquet,
    "tfrecord": tfrecord,
    "libffm": lambda rows: b"1 3:12:1\n" * len(rows),
}
ROWS: list[Row] = [{"c0": "a"}, {"c0": "b"}]


def write(folder: Path, path: str, content: bytes) -> str:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return str(file)


def text(value: Any) -> Any:
    value = value[0] if isinstance(value, list) else value
    return value.decode() if isinstance(value, bytes) else value


def rows_of(path: str, columns: list[str], source: Source | None = None) -> list[tuple[Any, ...]]:
    """Returns number and values of each row, in the order of the numbers."""
    rows: list[tuple[Any, ...]] = []
    for batch in read_batches(path, source or Source(), columns):
        if batch.data.num_rows:
            values = [map(text, batch.data[column].to_pylist()) for column in columns]
            rows += zip(batch.numbers.tolist(), *values, strict=True)
    return sorted(rows)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_the_columns_of_its_folders(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, f"dt=2026-11-01/hour=03/gap=/part-0.{name}", FORMATS[name](ROWS))
    own = ["1", "1"] if name == "libffm" else ["a", "b"]
    columns = ["dt", "c0", "hour", "gap"]
    assert {*check_input([path], Source(), columns)} >= {*columns}
    assert rows_of(path, columns) == [(i, "2026-11-01", own[i - 1], "03", None) for i in (1, 2)]
    assert rows_of(path, ["dt"]) == [(1, "2026-11-01"), (2, "2026-11-01")]
    assert {"dt", "hour", "gap"} <= {*usable_columns([path], Source())[0]}


@pytest.mark.parametrize("name", FORMATS)
def test_file_that_has_the_column_keeps_its_own(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, f"c0=folder/part-0.{name}", FORMATS[name](ROWS))
    assert "folder" not in {value for _, value in rows_of(path, ["c0"])}
    assert check_input([path], Source(), ["c0"]).count("c0") == 1


@pytest.mark.parametrize("name", ["jsonl", "tfrecord"])
def test_row_that_lacks_the_column_has_that_of_the_folder(tmp_path: Path, name: str) -> None:
    """Types of JSON stay: those of the folder are texts."""
    rows = [{"a": 1, "dt": 5}, {"a": 2}, {"a": 3, "dt": 6}]
    path = write(tmp_path, f"dt=x/part-0.{name}", FORMATS[name](rows))
    own = (5, 6) if name == "jsonl" else ("5", "6")
    assert [value for _, value in rows_of(path, ["dt"])] == [own[0], "x", own[1]]


def test_rejected_rows_are_counted_once(tmp_path: Path) -> None:
    path = write(tmp_path, "dt=x/rows.jsonl", b'{"dt": 1}\n{"a": 1}\nnothing\n')
    batches = list(read_batches(path, Source(), ["dt"]))
    assert sum(batch.read for batch in batches) == 3
    assert [row.row for batch in batches for row in batch.rejected] == [3]


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_each_range_of_a_file_has_the_columns(tmp_path: Path, name: str) -> None:
    table = [{"a": "x" * 50} for _ in range(200)]
    path = write(tmp_path, f"dt=1/part-0.{name}", FORMATS[name](table))
    if name == "parquet":
        pq.write_table(pa.Table.from_pylist(table), path, row_group_size=50)
    ranges = file_ranges(path, Source(), range_bytes=100)
    assert len(ranges) > 2
    found = [v for part in ranges for b in read_range(part, Source(), ["dt"]) for v in b.data["dt"].to_pylist()]
    assert found == [b"1"] * 200


def test_paths_into_nested_columns_win(tmp_path: Path) -> None:
    path = write(tmp_path, "a.b=folder/c=1/rows.parquet", parquet([{"a": {"b": "own"}}]))
    assert rows_of(path, ["a.b", "c"]) == [(1, "own", "1")]
    with pytest.raises(SourceError, match=r"has no column 'c\[\]', 'c\.d'; it has 'a\.b', 'c'"):
        check_input([path], Source(), ["c[]", "c.d"])


def test_exploded_rows_have_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "dt=1/item=2/rows.csv", b"shown\nN1-0 N2-1\n")
    source = Source.model_validate(
        {"explode": {"column": "shown", "separator": " ", "into": "(?P<item>.+)-(?P<click>[01])"}}
    )
    columns = ["dt", "item", "click"]
    assert check_input([path], source, columns) == sorted(columns)
    assert rows_of(path, columns, source) == [("1.1", "1", "N1", "0"), ("1.2", "1", "N2", "1")]


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_file_outside_the_folders_of_the_others_is_named(tmp_path: Path, name: str) -> None:
    inside = write(tmp_path, f"dt=1/part-0.{name}", FORMATS[name](ROWS))
    outside = write(tmp_path, f"day=2/part-0.{name}", FORMATS[name](ROWS))
    message = r"day=2/part-0\.\w+: has no column 'dt'; it has 'c0', 'day'\. .*move this file into a folder 'dt=VALUE'"
    with pytest.raises(SourceError, match=message):
        check_input([inside, outside], Source(), ["c0", "dt"])


def test_folders_without_rows_have_no_columns(tmp_path: Path) -> None:
    empty, full = (write(tmp_path, f"dt={i}/part-0.csv", text) for i, text in ((1, b""), (2, csv(ROWS))))
    assert rows_of(empty, ["c0", "dt"]) == []
    assert usable_columns([empty, full], Source()) == (["c0", "dt"], {})


def click_log(folder: Path, days: list[str]) -> list[str]:
    """Writes six rows for each day in its folder."""
    rows = [{"user": f"u{i % 3}", "click": i % 2} for i in range(6)]
    return [write(folder, f"dt={day}/part-0.csv", csv(rows)) for day in days]


def test_run_is_split_by_the_time_of_a_folder_that_is_also_a_field(tmp_path: Path) -> None:
    split = {"time": "dt", "eval_from": "2026-11-02", "test_from": "2026-11-03"}
    fields = {"user": {"type": "categorical"}, "day": {"type": "categorical", "column": "dt"}}
    spec = Spec.model_validate({"label": {"field": "click"}, "split": split, "fields": fields})
    click_log(tmp_path / "logs", ["2026-11-01", "2026-11-02"])
    transform(spec, [str(tmp_path / "logs" / "dt=*" / "*.csv")], str(tmp_path / "run"))
    run = Run(str(tmp_path / "run"))
    assert [run.stats.rows(name) for name in SPLITS] == [6, 6, 0]
    assert run.tokens("day") == [b"2026-11-01"]


def test_folders_are_key_label_split_and_number(tmp_path: Path) -> None:
    path = write(tmp_path, "id=r1/click=1/part=eval/hour=03/rows.csv", csv([{"user": "u1"}]))
    fields = {"user": {"type": "categorical"}, "hour": {"type": "numeric"}}
    head = {"key": "id", "label": {"field": "click"}, "split": {"column": "part"}}
    spec = Spec.model_validate(head | {"fields": fields})
    checked = check_rows(next(read_batches(path, spec.source, raw_columns(spec))), spec)
    assert checked.rejected == []
    assert checked.of_split("eval").rows.to_pylist() == [{"key": b"r1", "label": 1, "user": b"u1", "hour": 3.0}]


@pytest.mark.parametrize("folder", ["dt=__HIVE_DEFAULT_PARTITION__", "dt=%FF"])
def test_rows_of_a_folder_without_a_time_are_rejected(tmp_path: Path, folder: str) -> None:
    path = write(tmp_path, f"{folder}/rows.csv", csv([{"user": "u1", "click": 1}]))
    split = {"time": "dt", "eval_from": "2026-11-02", "test_from": "2026-11-03"}
    fields = {"user": {"type": "categorical"}}
    spec = Spec.model_validate({"label": {"field": "click"}, "split": split, "fields": fields})
    checked = check_rows(next(read_batches(path, spec.source, raw_columns(spec))), spec)
    assert [(row.row, row.field) for row in checked.rejected] == [(1, "dt")]


@pytest.mark.parametrize(("form", "unit"), [("2026-11-{:02}", {}), ("202611{:02}", {"time_unit": "date"})])
def test_days_of_folders_are_proposed_as_time_split(tmp_path: Path, form: str, unit: dict[str, str]) -> None:
    files = click_log(tmp_path, [form.format(day) for day in range(1, 13)])
    proposal = propose_for_files(files, 100, None, Source()).proposal
    assert proposal.spec["split"] == {"time": "dt", "train": 0.8, "eval": 0.1, "test": 0.1, **unit}
    assert "dt" not in proposal.spec["fields"]
