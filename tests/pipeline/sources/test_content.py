"""What a file holds is recognised by its first bytes; what cannot be read is refused before work starts."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import random
import sqlite3
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from mutated_inputs import framed

from fieldpool.pipeline.sources.content import HEAD_BYTES, Content, content_of
from fieldpool.pipeline.sources.readers import check_input, usable_columns
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source

TABLE = pa.table({"id": [1, 2], "tag": ["x", "y"]})
CSV = b"id,tag\n1,x\n2,y\n"
JSON = json.dumps([{"id": i, "tag": "x"} for i in range(50)])
LINES = "".join(json.dumps({"id": i, "tag": "x"}) + "\n" for i in range(50))
PYTHON = "".join(f"{{'id': {i}, 'tag': u'x', 'ok': True, 'helpful': [1, 2]}}\n" for i in range(50))


def written(write: Any) -> bytes:
    sink = pa.BufferOutputStream()
    write(TABLE, sink)
    return bytes(sink.getvalue().to_pybytes())


def stream(table: pa.Table, sink: Any) -> None:
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("rows.csv"))
    return content.getvalue()


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, CSV)
    return content.getvalue()


def numpy() -> bytes:
    np.save(content := io.BytesIO(), np.arange(9))
    return content.getvalue()


def database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table rows (id)")
        return connection.serialize()


CONTENTS: dict[str, tuple[Content, bytes]] = {
    "gzip": (Content.GZIP, gzip.compress(CSV)),
    "bzip2": (Content.BZIP2, bz2.compress(CSV)),
    "bzip2 of 0 bytes": (Content.BZIP2, bz2.compress(b"")),
    "xz": (Content.XZ, lzma.compress(CSV)),
    "zstd": (Content.ZSTD, pa.Codec("zstd").compress(CSV, asbytes=True)),
    "lz4": (Content.LZ4, pa.Codec("lz4").compress(CSV, asbytes=True)),
    "zip": (Content.ZIP, zipped("rows.csv")),
    "zip without files": (Content.ZIP, zipped()),
    "xlsx": (Content.OFFICE, zipped("[Content_Types].xml", "xl/workbook.xml")),
    "xls": (Content.OFFICE, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)),
    "parquet": (Content.PARQUET, written(pq.write_table)),
    "parquet without rows": (Content.PARQUET, written(lambda table, sink: pq.write_table(table.slice(0, 0), sink))),
    "orc": (Content.ORC, written(orc.write_table)),
    "feather": (Content.ARROW, written(feather.write_feather)),
    "arrow stream": (Content.ARROW, written(stream)),
    "avro": (Content.AVRO, b"Obj\x01\x04\x14avro.codec\x08null\x16avro.schema"),
    "tfrecord": (Content.TFRECORD, framed([b"\n\x00"])),
    # The length of this record is the mark of gzip.
    "tfrecord of 559,903 bytes": (Content.TFRECORD, framed([bytes(0x088B1F)])),
    "tar": (Content.TAR, tar()),
    "utf-16": (Content.UTF16, CSV.decode().encode("utf-16")),
    "utf-16-le": (Content.UTF16_LE, CSV.decode().encode("utf-16-le")),
    "utf-16-be": (Content.UTF16_BE, CSV.decode().encode("utf-16-be")),
    "utf-32": (Content.UTF32, CSV.decode().encode("utf-32")),
    "numpy": (Content.BINARY, numpy()),
    "pickle": (Content.BINARY, pickle.dumps({"id": [1, 2]})),
    "sqlite": (Content.BINARY, database()),
    "random": (Content.BINARY, random.Random(1).randbytes(9000)),
    "pdf": (Content.BINARY, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj"),
    "html": (Content.HTML, b"\n<!DOCTYPE html>\n<html><body>Not found</body></html>"),
    "xml": (Content.HTML, b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
    "Git LFS": (Content.LFS, b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n"),
    "array": (Content.JSON_ARRAY, JSON.encode()),
    "array with line ends": (Content.JSON_ARRAY, JSON.replace("}, ", "},\n").encode()),
    "array with brackets on their lines": (Content.JSON_ARRAY, b'[\n{"id": 1},\n{"id": 2},\n{"id": 3}\n]\n'),
    "array, pretty printed": (Content.JSON_ARRAY, json.dumps(json.loads(JSON), indent=2).encode()),
    "array with BOM": (Content.JSON_ARRAY, b"\xef\xbb\xbf" + JSON.encode()),
    "long array": (Content.JSON_ARRAY, ("[" + ", ".join([JSON[1:-1]] * 90) + "]").encode()),
    "empty array": (Content.JSON_ARRAY, b"[]"),
    "values that begin with an array": (Content.TEXT, b'["x", "y"]\t1\n["y"]\t0\n'),
    "values that begin with an object": (Content.TEXT, b'{"x": "y"}\t1\n{}\t0\n'),
    "JSON Lines": (Content.JSON_LINES, LINES.encode()),
    "long JSON line": (Content.JSON_LINES, ('{"id": "' + "x" * 2 * HEAD_BYTES + '"}\n').encode()),
    "one JSON object": (Content.JSON_LINES, b'{"id": 1}'),
    "JSON Lines after a broken one": (Content.JSON_LINES, b'{"id": 1\n' + LINES.encode()),
    "JSON Lines after an array": (Content.TEXT, b"[1, 2]\n" + LINES.encode()),
    "JSON Lines after a broken array": (Content.TEXT, b"[1, 2\n" + LINES.encode()),
    "arrays, one a line": (Content.ARRAYS, b'["id", "tag"]\n[1, "x"]\n'),
    "pretty printed objects": (Content.JSON_OBJECTS, json.dumps({"id": 1, "tag": []}, indent=1).encode() * 3),
    "python": (Content.PYTHON, PYTHON.encode()),
    "MySQL dump": (
        Content.SQL,
        b"-- MySQL dump\n\nDROP TABLE IF EXISTS `t`;\nINSERT INTO `t` VALUES (1,'x'),(2,'y');\n",
    ),
    "SQL dump with settings": (
        Content.SQL,
        b"/*!40101 SET NAMES utf8 */;\nSET x = 1;\nINSERT INTO t (id) VALUES (1);\n",
    ),
    "PostgreSQL dump": (
        Content.SQL,
        b"--\n-- PostgreSQL\n--\nSET x = 0;\nCOPY public.t (id, tag) FROM stdin;\n1\tx\n\\.\n",
    ),
    "queries in values": (Content.TEXT, b"id,query\n1,INSERT INTO t VALUES (1);\n"),
    "key=value": (Content.PAIRS, b'2024-01-31T10:00:00Z INFO user=1 item="a b" label=0\nts=1 user=2 label=1\n'),
    "key=value among commas": (Content.TEXT, b"a=1,b=2,c=3\na=1,b=2,c=3\n"),
    "addresses with parameters": (Content.TEXT, b"url,label\n/a?x=1&y=2&z=3,0\n"),
    "libffm": (Content.LIBFFM, b"1 0:3:1 1:44:0.5\n0 0:4:1 1:45:1e-3\n"),
    "csv": (Content.TEXT, CSV),
    "latin-1": (Content.TEXT, "id,tag\n1,Café\n".encode("latin-1")),
    "hive": (Content.TEXT, b"1\x01u1\x01a\x02b\x010\n" * 9),
    "columns with special names": (Content.TEXT, b"PAR1,FEA1,ORC,BZh9,Obj,[id]\n1,2,3,4,5,6\n"),
    "FEA1": (Content.TEXT, b"FEA1,FEA2\n1,2\n"),
    "brackets": (Content.TEXT, b"[id],[tag]\n1,2\n"),
    "braces": (Content.TEXT, b"{id},{tag}\n1,2\n"),
    "values of any bytes": (Content.TEXT, b"id,tag\n" + b"".join(b"\0%b,x\n" % bytes([i]) * 9 for i in range(256))),
    "a line of dashes": (Content.TEXT, b"-" * 80 + b"\nid,tag\n1,x\n"),
    "comments of SQL alone": (Content.TEXT, b"/**/" * 9000 + b"\n1,2\n"),
    "nothing": (Content.EMPTY, b""),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_content_is_recognised(name: str) -> None:
    content, data = CONTENTS[name]
    assert content_of(data[:HEAD_BYTES]) is content


def write(folder: Path, name: str, content: bytes | str) -> str:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder / name)


AUTO = r"` or `source: auto` in the spec"
REFUSED = [
    ("rows.csv", "parquet", rf"expected CSV, .*; found Parquet\. Set `source: {{format: parquet}}{AUTO}"),
    ("rows.jsonl", "parquet", rf"expected JSON Lines, .*found Parquet\. Set `source: {{format: parquet}}{AUTO}"),
    ("rows.tsv", "tfrecord", rf"found TFRecords\. Set `source: {{format: tfrecord}}{AUTO}"),
    ("rows.csv", "avro", "found Avro. This format cannot be read: convert it to Parquet, CSV or JSON Lines"),
    ("rows.parquet", "orc", "expected Parquet, .*found ORC. This format cannot be read: convert it"),
    ("rows.csv", "feather", "found Arrow IPC .*convert it"),
    ("rows.csv", "xlsx", "found an Excel workbook .*Save the sheet as CSV"),
    ("rows.csv.zip", "xlsx", "found an Excel workbook .*Save the sheet as CSV"),
    ("rows.csv", "tar", "found a tar archive. Extract it"),
    ("rows.csv.gz", "tar", "found a tar archive. Extract it"),
    ("rows.csv", "html", "found an HTML or XML page. Probably a failed download"),
    ("rows.csv.gz", "html", "found an HTML or XML page. Probably a failed download"),
    ("rows.parquet", "xml", "expected Parquet, .*found an HTML or XML page. Probably a failed download"),
    ("rows.csv", "random", "expected CSV, .*found binary data. Export the rows as"),
    ("rows.parquet", "Git LFS", "found a pointer of Git LFS. Get the file itself: `git lfs pull`"),
    ("rows.jsonl", "sqlite", "expected JSON Lines, .*found binary data"),
    ("rows.csv", "array", rf"expected CSV, .*found a JSON array\. Set `source: {{format: json}}{AUTO}"),
    (
        "rows.json",
        "array, pretty printed",
        rf"expected JSON Lines, .*a JSON array\. Set `source: {{format: json}}{AUTO}",
    ),
    ("rows.csv", "JSON Lines", rf"expected CSV, .*found JSON Lines\. Set `source: {{format: jsonl}}{AUTO}"),
    ("rows.json", "pretty printed objects", "found JSON objects of several lines. Write each object on one line: `jq"),
    ("rows.json", "python", "found lines of Python literals. Convert them to JSON Lines: `python -c"),
    ("rows.csv", "python", "expected CSV, .*found lines of Python literals"),
    ("rows.parquet", "csv", r"expected Parquet, .*found text\. Set `source: {format: csv}` \(or jsonl\)"),
    ("rows.tfrecord", "parquet", rf"expected TFRecords, .*found Parquet\. Set `source: {{format: parquet}}{AUTO}"),
    ("rows.csv", "utf-16-le", rf"expected text in utf-8; found UTF-16-LE .*{{encoding: utf-16-le}}{AUTO}"),
    ("rows.avro", "avro", "cannot be determined from the name; found Avro. This format cannot be read"),
    ("rows.xlsx", "xlsx", "cannot be determined from the name; found an Excel workbook"),
    (
        "rows.data",
        "csv",
        r"cannot be determined from the name; found text\. Set `source: {format: csv}` \(or jsonl\), or",
    ),
    ("rows", "parquet", rf"cannot be determined from the name; found Parquet\. Set `source: {{format: parquet}}{AUTO}"),
    ("rows.data.gz", "gzip", "cannot be determined from the name; found text"),
    ("rows.data.gz", "csv", "the format cannot be determined from the name; set `source: {format: csv}`"),
    ("rows.data", "gzip", "cannot be determined from the name; found data compressed with gzip"),
    ("rows.data", "nothing", "cannot be determined from the name; found an empty file"),
]


@pytest.mark.parametrize(("name", "content", "message"), REFUSED)
def test_other_content_is_refused_with_the_next_step(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = write(tmp_path, name, CONTENTS[content][1])
    for check in (lambda: check_input([path], Source(), ["id"]), lambda: usable_columns([path], Source())):
        with pytest.raises(SourceError, match=message) as error:
            check()
        assert str(error.value).startswith(f"{path}: ")


READ = [
    ("rows.csv", "columns with special names", {}, ["ORC"]),
    ("rows.csv", "brackets", {}, ["[id]"]),
    ("rows.csv", "braces", {}, ["{id}"]),
    ("rows.csv", "FEA1", {}, ["FEA1"]),
    ("rows.csv", "values of any bytes", {}, ["tag"]),
    ("rows.csv", "JSON Lines", {"header": False, "columns": ["json"], "delimiter": "\t", "quote": "none"}, ["json"]),
    ("rows.csv", "html", {"header": False, "columns": ["line"], "delimiter": "\t", "quote": "none"}, ["line"]),
    ("rows.csv", "JSON Lines", {"skip_rows": 1}, ['{"id": 1']),
    ("rows.csv", "random", {"header": False, "columns": ["a", "b"]}, ["a"]),
    ("rows.jsonl", "JSON Lines after a broken array", {}, ["id"]),
    ("rows.jsonl", "JSON Lines after an array", {}, ["id"]),
    ("rows.jsonl", "JSON Lines after a broken one", {}, ["id"]),
]


@pytest.mark.parametrize(("name", "content", "source", "columns"), READ)
def test_files_that_can_be_read_are_not_refused(
    tmp_path: Path, name: str, content: str, source: dict[str, Any], columns: list[str]
) -> None:
    path = write(tmp_path, name, CONTENTS[content][1])
    assert set(columns) <= set(check_input([path], Source.model_validate(source), columns))


def test_content_in_another_encoding_is_recognised(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.jsonl", JSON.encode("utf-16"))
    with pytest.raises(SourceError, match=r"found a JSON array\. Set `source: {format: json}`"):
        check_input([path], Source(encoding="utf-16"), ["id"])


def test_large_json_array_is_refused_at_once(tmp_path: Path) -> None:
    """Read as JSON Lines, such a file took ten minutes."""
    recipe = json.dumps({"id": 1, "cuisine": "x", "ingredients": ["salt"] * 20}, indent=2)
    path = write(tmp_path, "train.json", "[" + ",\n".join([recipe] * 40_000) + "]")
    began = time.process_time()
    with pytest.raises(SourceError, match="format: json"):
        check_input([path], Source(), ["id"])
    assert time.process_time() - began < 2


def test_command_that_converts_python_literals_works(tmp_path: Path) -> None:
    path = write(tmp_path, "my reviews.json", PYTHON)
    with pytest.raises(SourceError, match="Convert") as error:
        check_input([path], Source(), ["id"])
    command = str(error.value).split("`")[1].replace("python ", f"{sys.executable} ", 1)
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert check_input([str(tmp_path / "rows.jsonl")], Source(), ["id"]) == ["helpful", "id", "ok", "tag"]


def test_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"rows\.csv: no rows; pass files with rows \(it has 0 bytes: was .* complete"
    ):
        check_input([write(tmp_path, "rows.csv", b"")], Source(), ["id"])
