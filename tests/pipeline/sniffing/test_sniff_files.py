"""How files are to be read, found from samples of their bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystems import FileSystems
from mutated_inputs import framed

from fieldpool.pipeline.sniffing.samples import PART_BYTES
from fieldpool.pipeline.sniffing.sniff import Sniffed, sniff_files
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source

CSV = "id,user,tags\n" + "".join(f"{i},u{i % 7},a|b\n" for i in range(50))
SEMICOLONS = CSV.replace(",", ";")
LINES = "".join(f'{{"id": {i}}}\n' for i in range(5))
TABLE = pa.table({"id": [1, 2]})


def zipped(content: bytes) -> bytes:
    with zipfile.ZipFile(archive := io.BytesIO(), "w") as file:
        file.writestr("rows.csv", content)
    return archive.getvalue()


def by_arrow(codec: str) -> Callable[[bytes], bytes]:
    def compressed(content: bytes) -> bytes:
        with pa.CompressedOutputStream(sink := pa.BufferOutputStream(), codec) as stream:
            stream.write(content)
        return bytes(sink.getvalue().to_pybytes())

    return compressed


def parquet() -> bytes:
    pq.write_table(TABLE, sink := pa.BufferOutputStream())
    return bytes(sink.getvalue().to_pybytes())


def sniffed(folder: Path, files: dict[str, str | bytes], **given: Any) -> Sniffed:
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return sniff_files([str(folder / name) for name in files], Source(**given))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.tsv", CSV.replace(",", "\t")),
        ("a.txt", CSV),
        ("a.csv", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("a.csv.gz", gzip.compress(CSV.encode())),
        ("a.jsonl", LINES),
        ("a.json", LINES),
        ("a.parquet", parquet()),
        ("a.tfrecord", framed([b"record"])),
        ("a.csv", "id\n1\n2\n"),
        ("a.csv", "c0\nv0\na;b\n"),
        ("a.tsv", "text\na, b\nc\n"),
        ("a.csv", 'id,text\n1,"two\nlines"\n2,"a ""quoted"" word"\n'),
        ("a.csv", ""),
        ("a.csv", "id,user\n"),
    ],
)
def test_files_that_need_no_source(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert sniffed(tmp_path, {name: content}).is_default


@pytest.mark.parametrize(
    ("name", "content", "entries"),
    [
        ("a.dat", CSV, {"delimiter": ","}),
        ("a.csv", SEMICOLONS, {"delimiter": ";"}),
        ("a.txt", CSV.replace(",", "\t"), {"delimiter": "\t"}),
        ("a", LINES, {"format": "jsonl"}),
        ("a.json", f"[{LINES.strip().replace(chr(10), ',')}]", {"format": "json"}),
        ("a.csv", parquet(), {"format": "parquet"}),
        ("part-0", framed([b"record"]), {"format": "tfrecord"}),
        ("a.dat", "1 0:1:1 1:2:0.5\n0 0:2:1 1:3:0.5\n", {"format": "libffm"}),
        ("a.csv", CSV.encode("utf-16"), {"encoding": "utf-16"}),
        ("a.csv", CSV.encode("utf-16-be"), {"encoding": "utf-16-be"}),
        ("a.csv", CSV.replace("a|b", "Café|Größe").encode("latin-1"), {"encoding": "cp1252"}),
        ("a.csv", CSV.replace("a|b", "Привет, мир как дела").encode("cp1251"), {"encoding": "cp1251"}),
        ("a.csv", CSV.replace("a|b", "日本語のテキスト").encode("shift_jis"), {"encoding": "cp932"}),
        ("a.csv", "1,2\n3,4\n", {"header": False}),
        ("a.csv", "text\nSo, yes, it is; a\nnot, so\n", {"delimiter": "\t"}),
    ],
)
def test_files_that_need_a_source(tmp_path: Path, name: str, content: str | bytes, entries: dict[str, Any]) -> None:
    found = sniffed(tmp_path, {name: content})
    assert not found.is_default
    assert {entry: getattr(found.source, entry) for entry in entries} == entries


@pytest.mark.parametrize(
    ("compression", "compress"),
    [
        ("gzip", gzip.compress),
        ("bzip2", bz2.compress),
        ("xz", lzma.compress),
        ("zstd", by_arrow("zstd")),
        ("lz4", by_arrow("lz4")),
        ("zip", zipped),
    ],
)
def test_compression_is_found_by_the_bytes(
    tmp_path: Path, compression: str, compress: Callable[[bytes], bytes]
) -> None:
    found = sniffed(tmp_path, {"a.csv": compress(SEMICOLONS.encode())})
    assert (found.source.compression, found.source.delimiter) == (compression, ";")
    assert found.reasons["compression"] == "by the first bytes of the file"


@pytest.mark.parametrize("line", [1, 10_000, 19_999])
def test_start_middle_and_end_of_a_large_file_are_read(tmp_path: Path, line: int) -> None:
    assert sniffed(tmp_path, {"a.csv": escaped_in(line)}).source.escape == "\\"


def test_rows_that_do_not_fit_the_sample_are_rejected_with_their_numbers(tmp_path: Path) -> None:
    found = sniffed(tmp_path, {"a.csv": escaped_in(5_000)})
    assert (found.source.delimiter, found.source.escape) == (";", None)
    batches = list(read_batches(str(tmp_path / "a.csv"), found.source, ["id"]))
    assert [row.row for batch in batches for row in batch.rejected] == [5_001]
    assert sum(batch.data.num_rows for batch in batches) == 19_999


def escaped_in(line: int) -> str:
    """Returns a file of five times the bytes that are read, with an escape in one line."""
    assert PART_BYTES == 128 << 10
    lines = [f"{index:05};{'text ' * 19}\n" for index in range(20_000)]
    lines[line] = r'7;"5\" pipe; long"' + "\n"
    return "id;text\n" + "".join(lines)


@pytest.mark.parametrize(
    "entries",
    [
        {"delimiter": ";"},
        {"quote": "none"},
        {"header": False},
        {"header": False, "columns": ["a", "b", "c"]},
        {"encoding": "latin-1"},
        {"compression": "none"},
        {"null_values": ["u1"]},
        {"skip_rows": 3},
        {"format": "csv"},
    ],
)
def test_stated_entries_are_kept(tmp_path: Path, entries: dict[str, Any]) -> None:
    found = sniffed(tmp_path, {"a.csv": CSV}, **{"format": "detect", **entries})
    assert {entry: getattr(found.source, entry) for entry in entries} == entries
    assert found.source.format == "csv"
    assert not found.reasons.keys() & (entries.keys() - {"format"})


@pytest.mark.parametrize(
    ("content", "entries", "found"),
    [
        pytest.param('a;p\nx;"1,002.50"\ny;"2,100.75"\n', {"decimal": ","}, (",", None), id="the stated decimal sign"),
        pytest.param("a;p\nx;12,5\ny;13,25\n", {"thousands": ","}, (".", ","), id="the stated thousands sign"),
        pytest.param("a,p\n'x,y',1'002\n'y,z',2'100\n", {"quote": "'"}, (".", None), id="the quote"),
    ],
)
def test_number_signs_do_not_contradict(
    tmp_path: Path, content: str, entries: dict[str, Any], found: tuple[str, str | None]
) -> None:
    source = sniffed(tmp_path, {"a.csv": content}, format="detect", **entries).source
    assert (source.decimal, source.thousands) == found


def test_empty_file_in_a_stated_encoding(tmp_path: Path) -> None:
    assert sniffed(tmp_path, {"a.csv": b""}, encoding="latin-1").source.format == "csv"


@pytest.mark.parametrize(
    ("content", "entries", "message"),
    [
        (parquet(), {"encoding": "latin-1"}, "`encoding`: only for text, but `format` is parquet"),
        (LINES, {"delimiter": ";"}, "`delimiter`: only for CSV, but `format` is jsonl"),
    ],
)
def test_stated_entries_of_another_format_are_reported(
    tmp_path: Path, content: str | bytes, entries: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=f"rows: {message}"):
        sniffed(tmp_path, {"rows": content}, format="detect", **entries)


@pytest.mark.parametrize(
    ("files", "entries"),
    [
        ({"a.csv": CSV, "b.csv": CSV}, {"delimiter": ","}),
        ({"a.csv": CSV, "b.csv": "user,id\nu1,1\nu2,2\n"}, {"delimiter": ","}),
        ({"a.csv": CSV, "b.csv.gz": gzip.compress(CSV.encode())}, {"compression": "auto"}),
        ({"a.csv": CSV, "b.jsonl": LINES}, {"format": "auto"}),
        ({"a.csv": CSV, "b.csv": "Ü,ü\n1,ä\n".encode("cp1252")}, {"encoding": "cp1252"}),
        ({"a.csv": 'a,b\n1,"x y"\n2,z\n', "b.csv": 'a,b\n1,"x \\" y"\n2,"z, w"\n'}, {"escape": "\\"}),
        ({"a.csv": CSV, "b.csv": ""}, {"delimiter": ","}),
        ({"a.csv": "x,y\nred,blue\nwine,bread\n", "b.csv": "x,y\n1,2\n3,4\n"}, {"header": True}),
    ],
)
def test_several_files(tmp_path: Path, files: dict[str, str | bytes], entries: dict[str, Any]) -> None:
    found = sniffed(tmp_path, files)
    assert {entry: getattr(found.source, entry) for entry in entries} == entries


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a.csv": CSV, "b.csv": SEMICOLONS},
            "a.csv and {}/b.csv are written in different ways: `delimiter` is ',' and",
        ),
        ({"a.csv": CSV, "b.csv": LINES}, "`format` is 'csv' and 'jsonl'. Pass files of one kind, or state the entries"),
        ({"a.csv": CSV, "b.csv": gzip.compress(CSV.encode())}, "`compression` is 'none' and 'gzip'"),
        ({"a.csv": CSV, "b.csv": "1,2,3\n4,5,6\n"}, "`header` is True and False"),
        ({"a.csv": "ä,b\n1,2\n", "b.csv": "Ä,b\n1,2\n".encode("cp1252")}, "`encoding` is 'utf-8' and 'cp1252'"),
        (
            {"a.csv": b"ORC\x00" + bytes(50)},
            "a.csv: expected rows of data; found ORC. This format cannot be read: convert it",
        ),
        (
            {"a.csv": "a;p\nx;12,5\ny;13,25\n", "b.csv": 'a;p\nx;"1,002.50"\ny;"2,100.75"\n'},
            "b.csv are written in different ways: `decimal` is ',' and '.'; `thousands` is None and ','",
        ),
        ({"a.csv": "<!DOCTYPE html><html>\n"}, "found an HTML or XML page. Probably a failed download"),
        ({"a.jsonl": "{'a': 1}\n{'a': 2}\n"}, "found lines of Python literals. Convert them to JSON Lines"),
        (
            {"a.json.gz": gzip.compress(b"{'a': 1}\n{'a': 2}\n")},
            "`gzip -dc {}/a.json.gz | python -c 'import ast, json, sys; [print(json.dumps(ast.literal_eval(line))) for "
            "line in sys.stdin]' > rows.jsonl`",
        ),
        (
            {"a.json.gz": gzip.compress(b'{\n"a": 1\n}\n{\n"a": 2\n}\n')},
            "`gzip -dc {}/a.json.gz | jq -c . > rows.jsonl`",
        ),
        ({"a.jsonl": '[1, "x"]\n[2, "y"]\n'}, "found lines of JSON arrays. Write each row as an object with the names"),
        ({"a.sql": "CREATE TABLE t (\nid int\n);\n"}, "found SQL statements. Load them into a database"),
        ({"a.log": "u=1 i=2 y=0\nu=1 i=2 y=1\n"}, "found lines of key=value pairs. Write each line as a JSON object"),
        (
            {"a.csv.gz": gzip.compress(CSV.encode())[:60]},
            "a.csv.gz: cannot be read: expected complete gzip data",
        ),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    with pytest.raises(SourceError) as error:
        sniffed(tmp_path, files)
    assert message.format(tmp_path) in str(error.value)


def test_pairs_are_rows_if_the_delimiter_is_stated(tmp_path: Path) -> None:
    found = sniffed(tmp_path, {"a.log": "u=1 i=2 y=0\nu=1 i=2 y=1\n"}, delimiter=" ").source
    assert (found.format, found.delimiter) == ("csv", " ")


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"missing\.csv: cannot be read"):
        sniff_files([str(tmp_path / "missing.csv")], Source())


def test_remote_files_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(SEMICOLONS.encode()))

    def opened(path: str, compression_type: str) -> Any:
        assert compression_type == "uncompressed"
        return (tmp_path / path.removeprefix("gs://pool/")).open("rb")

    monkeypatch.setattr(FileSystems, "open", opened)
    found = sniff_files(["gs://pool/a.csv"], Source())
    assert (found.source.compression, found.source.delimiter) == ("gzip", ";")
