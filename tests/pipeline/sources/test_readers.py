"""Readers: every format gives the same numbered rows; rows with a wrong number of columns are rejected."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.sources.files import find_files
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.pipeline.sources.source_file import source_file
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Source


def batches(path: Path, wanted: list[str], /, **source: Any) -> list[SourceBatch]:
    return list(read_batches(str(path), Source(**source), wanted))


def values(read: list[SourceBatch], column: str) -> list[Any]:
    return [value for batch in read if batch.data.num_rows for value in batch.data[column].to_pylist()]


def csv(folder: Path, text: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_csv_values_are_unconverted_bytes(tmp_path: Path) -> None:
    read = batches(csv(tmp_path, 'id,name\n007,"a, ""b"""\n1.50,é\n'), ["id", "name"])
    assert values(read, "id") == [b"007", b"1.50"]
    assert values(read, "name") == [b'a, "b"', "é".encode()]


def test_csv_with_quoted_line_breaks(tmp_path: Path) -> None:
    assert values(batches(csv(tmp_path, 'a,b\n"x\ny",1\n'), ["a"]), "a") == [b"x\ny"]


@pytest.mark.parametrize("null_values", [[""], ["NA"]])
def test_csv_null_values(tmp_path: Path, null_values: list[str]) -> None:
    read = batches(csv(tmp_path, 'a,b\n,1\n"",1\nNA,1\n'), ["a"], null_values=null_values)
    assert values(read, "a") == [None, None, None if "NA" in null_values else b"NA"]


def test_tsv_and_files_without_header(tmp_path: Path) -> None:
    path = csv(tmp_path, "1\tx\n2\ty\n", "rows.tsv")
    read = batches(path, ["b", "a"], header=False, columns=["a", "b"])
    assert (values(read, "a"), values(read, "b")) == ([b"1", b"2"], [b"x", b"y"])


def test_rows_with_a_wrong_number_of_columns_are_rejected_by_number(tmp_path: Path) -> None:
    read = batches(csv(tmp_path, "a,b\n1,2\n3\n4,5\n6,7,8\n9,0\n"), ["a"])
    assert values(read, "a") == [b"1", b"4", b"9"]
    assert [row for batch in read for row in batch.numbers] == [1, 3, 5]
    assert [(bad.row, bad.reason) for batch in read for bad in batch.rejected] == [
        (2, "expected 2 columns, found 1"),
        (4, "expected 2 columns, found 3"),
    ]


def test_row_with_a_wrong_number_of_columns_may_have_any_bytes(tmp_path: Path) -> None:
    """pyarrow fails to hand over such a row."""
    (tmp_path / "rows.csv").write_bytes(b'a,b\n\xff,1\n\xff\n"x\n",2\n\xfe,1,2\n"\n')
    read = batches(tmp_path / "rows.csv", ["a"])
    assert values(read, "a") == [b"\xff", b"x\n"]
    assert [(bad.row, bad.reason.split(";")[0]) for batch in read for bad in batch.rejected] == [
        (2, "expected 2 columns, found 1"),
        (4, "expected 2 columns, found 3"),
        (5, "a quote is not closed"),
    ]


def test_empty_csv_has_no_rows(tmp_path: Path) -> None:
    assert batches(csv(tmp_path, ""), ["a"]) == []
    assert values(batches(csv(tmp_path, "a,b\n"), ["a"]), "a") == []


def test_empty_jsonl_file_has_no_rows(tmp_path: Path) -> None:
    assert batches(csv(tmp_path, "\n", "rows.jsonl"), ["a"]) == []


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"a\n1\n2\n"))
    assert values(batches(path, ["a"]), "a") == [b"1", b"2"]


def test_json_lines(tmp_path: Path) -> None:
    lines = [{"a": 1, "b": ["x", "y"]}, {"a": None, "b": []}, {"a": 3}]
    path = csv(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "rows.jsonl")
    read = batches(path, ["a", "b"])
    assert (values(read, "a"), values(read, "b")) == ([1, None, 3], [["x", "y"], [], None])


def test_parquet_reads_only_the_requested_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2], "b": [["x"], None], "c": [0, 0]}), tmp_path / "rows.parquet")
    (read,) = batches(tmp_path / "rows.parquet", ["b", "a"])
    assert sorted(read.data.schema.names) == ["a", "b"]
    assert values([read], "b") == [["x"], None]


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_tfrecords_of_examples(tmp_path: Path, compression: str) -> None:
    path = tmp_path / ("rows.tfrecord" + (".gz" if compression else ""))
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for ids in ([1, 2], []):
            feature = tf.train.Feature(int64_list=tf.train.Int64List(value=ids))
            writer.write(tf.train.Example(features=tf.train.Features(feature={"ids": feature})).SerializeToString())
    read = batches(path, ["ids", "absent"])
    assert (values(read, "ids"), values(read, "absent")) == ([[1, 2], []], [None, None])


def test_large_file_is_read_in_batches_with_consecutive_row_numbers(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": range(40_000)}), tmp_path / "rows.parquet")
    read = batches(tmp_path / "rows.parquet", ["a"])
    assert [batch.data.num_rows for batch in read] == [16_384, 16_384, 7232]
    assert [row for batch in read for row in batch.numbers] == list(range(1, 40_001))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", b"a,b\n1,2\n", "has no column 'x'; it has 'a', 'b'"),
        ("rows.parquet", b"PAR1 not really", "cannot be read as parquet"),
        ("rows.tfrecord", b"far from a TFRecord", "cannot be read as tfrecord: record 1 has a wrong checksum"),
        ("rows.csv.gz", b"not gzip at all", "cannot be read as csv"),
    ],
)
def test_error_names_the_file_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        batches(tmp_path / name, ["x"])
    assert str(error.value).startswith(str(tmp_path / name))


def test_files_are_sorted_and_found_once(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt"):
        csv(tmp_path, "x\n", name)
    found = find_files([str(tmp_path / "*.csv"), str(tmp_path / "a.csv")])
    assert [Path(file.path).name for file in found] == ["a.csv", "b.csv"]


def test_pattern_that_matches_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        find_files([str(tmp_path / "*.csv")])


@pytest.mark.parametrize(
    ("path", "kind", "compression", "delimiter"),
    [
        ("x.csv", "csv", None, ","),
        ("x.TSV.gz", "csv", "gzip", "\t"),
        ("x.csv.GZ", "csv", "gzip", ","),
        ("x.tsv.Bz2", "csv", "bzip2", "\t"),
        ("x.jsonl", "jsonl", None, ","),
        ("x.parquet", "parquet", None, ","),
        ("x.tfrecord.gz", "tfrecord", "gzip", ","),
    ],
)
def test_formats_by_extension(path: str, kind: str, compression: str | None, delimiter: str) -> None:
    file = source_file(path, Source())
    assert (file.kind, file.compression, file.delimiter) == (kind, compression, delimiter)


def test_row_longer_than_a_block_is_an_error(tmp_path: Path) -> None:
    """The reader recognises pyarrow's message "straddling object straddles two block boundaries"."""
    with pytest.raises(UserError, match=r"a row is longer than 4,194,304 bytes, or a quote is never closed"):
        batches(csv(tmp_path, 'a,b\n1,2\n"' + "x" * (9 << 20)), ["a"])


@pytest.mark.parametrize("name", ["rows.TSV", "rows.tsv.GZ", "rows.TSV.Gz"])
def test_extensions_are_not_case_sensitive(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    text = b"a\tb\n1\tx,y\n"
    path.write_bytes(gzip.compress(text) if name.lower().endswith(".gz") else text)
    read = batches(path, ["a", "b"])
    assert (values(read, "a"), values(read, "b")) == ([b"1"], [b"x,y"])


def test_unknown_extension_needs_a_format_in_the_spec() -> None:
    with pytest.raises(UserError, match="format: csv"):
        source_file("rows.data", Source())
    assert source_file("rows.data", Source(format="jsonl")).kind == "jsonl"
