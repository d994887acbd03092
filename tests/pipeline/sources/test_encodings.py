"""Text in any encoding gives the values that Python reads in it; bytes that are not valid in it are an error."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fieldpool.pipeline.sources.readers import check_input, file_ranges, read_batches
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source

TEXTS = {
    "latin-1": "Café Ångström ÿ",
    "cp1252": "Café – „quoted“ €",
    "utf-16": "Café 日本 🎬",
    "utf-16-le": "Café 日本 🎬",
    "utf-16-be": "Café 日本 🎬",
    "utf-32": "Café 日本 🎬",
    "utf-8-sig": "Café 日本 🎬",
    "utf-7": "Café 日本 🎬",
    "shift_jis": "ソ能表 映画",  # The second byte of some of these is a backslash.
    "iso2022_jp": "日本の映画",
    "gb18030": "电影 €🎬",
    "euc_kr": "영화",
    "koi8-r": "Кино",
}
each = pytest.mark.parametrize("encoding", TEXTS)


def values(path: Path, encoding: str, **source: Any) -> list[Any]:
    found = list(read_batches(str(path), Source(encoding=encoding, **source), ["id", "tag"]))
    tags = [value for batch in found if batch.data.num_rows for value in batch.data["tag"].to_pylist()]
    return [tag.decode() if isinstance(tag, bytes) else tag for tag in tags]


@each
def test_csv_values_are_those_that_python_reads(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "rows.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "tag"])
        writer.writerows([i, f"{TEXTS[encoding]}, {i}" + "\n" * (i % 5 == 0)] for i in range(300))
    with path.open(encoding=encoding, newline="") as file:
        expected = [row["tag"] for row in csv.DictReader(file)]
    assert values(path, encoding) == expected
    assert check_input([str(path)], Source(encoding=encoding), ["tag"]) == ["id", "tag"]
    ranges = file_ranges(str(path), Source(encoding=encoding), 100)
    assert [(part.start, part.stop) for part in ranges] == [(0, None)]


@each
def test_values_of_json_lines_are_those_that_python_reads(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [json.dumps({"id": i, "tag": TEXTS[encoding]}, ensure_ascii=False) for i in range(300)]
    path.write_bytes("\n".join(rows).encode(encoding))
    expected = [json.loads(line)["tag"] for line in path.read_text(encoding).splitlines()]
    assert values(path, encoding) == expected


@each
def test_characters_may_be_divided_between_blocks(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fieldpool.pipeline.sources.streams.encodings.BLOCK_BYTES", 7)
    (path := tmp_path / "rows.csv").write_bytes(f"id,tag\n1,{TEXTS[encoding]}\n2,x\n".encode(encoding))
    assert values(path, encoding) == [TEXTS[encoding], "x"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "gb18030"])
def test_byte_order_mark_is_dropped(tmp_path: Path, encoding: str) -> None:
    (path := tmp_path / "rows.csv").write_bytes("\ufeffid,tag\n1,é\n".encode(encoding))
    assert check_input([str(path)], Source(encoding=encoding), ["id"]) == ["id", "tag"]
    assert values(path, encoding) == ["é"]


def test_compressed_text_has_an_encoding_too(tmp_path: Path) -> None:
    (path := tmp_path / "rows.csv.gz").write_bytes(gzip.compress("id,tag\n1,é\n".encode("cp1252")))
    assert values(path, "cp1252") == ["é"]


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "U8"])
def test_utf8_is_read_in_ranges_and_its_bytes_are_values(tmp_path: Path, encoding: str) -> None:
    (path := tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbfid,tag\n" + b"1,\xff\n" * 100)
    source = Source(encoding=encoding)
    assert len(file_ranges(str(path), source, 100)) > 1
    assert [value for batch in read_batches(str(path), source, ["tag"]) for value in batch.data["tag"].to_pylist()] == [
        b"\xff"
    ] * 100


@pytest.mark.parametrize(
    ("encoding", "content", "message"),
    [
        ("shift_jis", b"id,tag\n1,x\n2,\x81\xff\n", r"line 3 \(byte 13 .*expected shift_jis; found b'\\x81'"),
        ("utf-8-sig", b"id,tag\n1,\xff\n", r"line 2 \(byte 9 .*expected utf-8-sig; found b'\\xff'"),
        ("ascii", "id,tag\n1,é\n".encode(), r"line 2 \(byte 9 .*expected ascii; found b'\\xc3'"),
        ("utf-16-le", "id,tag\n1,x\n".encode("utf-16-le")[:-1], r"line 2 \(byte 20 .*truncated data"),
        ("utf-16-le", b"id,tag\n1,x\n", r"line 1 \(byte 10 .*expected utf-16-le; found"),
    ],
)
def test_invalid_bytes_are_an_error_with_their_line(
    tmp_path: Path, encoding: str, content: bytes, message: str
) -> None:
    (path := tmp_path / "rows.csv").write_bytes(content)
    with pytest.raises(SourceError, match=rf"rows\.csv: cannot be read as csv: {message}.*Correct `source: {{encoding"):
        values(path, encoding)


def test_line_of_an_invalid_byte_in_a_later_block(tmp_path: Path) -> None:
    good = b"1,x\n" * 600_000
    (path := tmp_path / "rows.csv").write_bytes(b"id,tag\n" + good + b"2,\x81\xff\n")
    with pytest.raises(SourceError, match=r"line 600,002 \(byte 2,400,009 "):
        values(path, "shift_jis")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.csv.gz"])
def test_byte_order_mark_of_another_encoding_is_refused(tmp_path: Path, encoding: str, name: str) -> None:
    content = '{"id": 1, "tag": 2}\n'.encode(encoding)
    (path := tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(SourceError, match=rf"{name}: expected text in utf-8; .*Set `source: {{encoding: {encoding}}}`"):
        check_input([str(path)], Source(), ["tag"])


@pytest.mark.parametrize("encoding", ["no-such", "base64", "rot13", "idna", "punycode", "undefined", "", "utf-8\0"])
def test_encoding_must_be_one_of_text(encoding: str) -> None:
    with pytest.raises(ValidationError, match="expected an encoding that Python knows, such as utf-8"):
        Source(encoding=encoding)


@pytest.mark.parametrize("format", ["parquet", "tfrecord"])
def test_formats_of_bytes_have_no_encoding(format: str) -> None:
    with pytest.raises(ValidationError, match=f"`encoding`: only for text, but `format` is {format}"):
        Source.model_validate({"format": format, "encoding": "latin-1"})
    assert Source.model_validate({"format": format, "encoding": "utf-8"})


def test_parquet_has_no_compression_of_the_file() -> None:
    with pytest.raises(ValidationError, match="`compression`: expected none, because Parquet"):
        Source(format="parquet", compression="gzip")
