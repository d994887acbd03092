"""Malicious or damaged files: memory stays bounded, and the error names the file."""

from __future__ import annotations

import gzip
import json
import re
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source, Spec

MB = 1 << 20


@pytest.fixture
def bounded() -> Iterator[None]:
    """Checks that Python and Arrow each allocate at most 150 MB at any time."""
    before = pa.default_memory_pool().max_memory()
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150 * MB
    assert pa.default_memory_pool().max_memory() < max(before, 150 * MB)


def large(path: Path, head: bytes, tail: bytes, size: int) -> Path:
    """Writes a sparse file with `size` zeros in its middle, which take no space on the disk."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
        file.seek(0, 2)
        file.write(tail)
    return path


def assert_fails(path: Path, message: str) -> None:
    with pytest.raises(SourceError, match=message) as error:
        list(read_batches(str(path), Source(), ["a"]))
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "head", "tail", "size"),
    [
        ("rows.csv", b"", b",b\n1,2\n", 1024 * MB),
        ("rows.csv", b"a,b\n", b",2\n3,4\n", 1024 * MB),
        ("rows.csv", b"a,b\n1,2\n", b"", 200 * MB),
        ("rows.csv", b'a,b\n1,"', b"", 200 * MB),
        ("rows.jsonl", b'{"a": "', b'"}\n', 200 * MB),
        ("rows.jsonl", b'{"a": 1}\n{"a": "', b'"}\n{"a": 2}\n', 200 * MB),
        ("rows.ffm", b"1 0:", b":1\n", 200 * MB),
    ],
)
def test_endless_line(tmp_path: Path, bounded: None, name: str, head: bytes, tail: bytes, size: int) -> None:
    assert_fails(large(tmp_path / name, head, tail, size), "cannot be read as (csv|jsonl|libffm)")


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.jsonl.gz"])
def test_gzip_bomb(tmp_path: Path, bounded: None, name: str) -> None:
    """200 MB in 200 kB."""
    with gzip.open(tmp_path / name, "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write(bytes(MB))
    assert_fails(tmp_path / name, "cannot be read as")


def test_record_with_a_huge_length(tmp_path: Path, bounded: None) -> None:
    length = struct.pack("<Q", 1 << 60)
    crc = google_crc32c.value(length)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    (tmp_path / "rows.tfrecord").write_bytes(length + struct.pack("<I", masked) + b"x")
    assert_fails(tmp_path / "rows.tfrecord", "record 1 has 1,152,921,504,606,846,976 bytes")


def test_damaged_gzip_file(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(b"a,b\n" + b"1,2\n" * 10_000))
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "rows.csv.gz").write_bytes(content)
    assert_fails(tmp_path / "rows.csv.gz", "cannot be read")


def test_footer_with_a_wrong_number_of_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": list(range(1000))}), tmp_path / "good.parquet", compression="none")
    content = (tmp_path / "good.parquet").read_bytes()
    start = len(content) - 8 - struct.unpack("<I", content[-8:-4])[0]
    thousand = b"\xd0\x0f"  # As Thrift's compact protocol writes it.
    footer = content[start:].replace(thousand, b"\xd2\x0f")
    assert footer != content[start:]
    (tmp_path / "rows.parquet").write_bytes(content[:start] + footer)
    assert_fails(tmp_path / "rows.parquet", "cannot be read")


@pytest.mark.parametrize("line", [b"null", b'{"a": 1} null', b"[1]", b"3", b'"a"', b"{" * 100_000])
def test_json_line_that_is_not_an_object_is_rejected(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    batches = list(read_batches(str(tmp_path / "rows.jsonl"), Source(), ["a"]))
    assert [int(row) for batch in batches for row in batch.numbers] == [1, 3]
    assert [(bad.row, bad.field) for batch in batches for bad in batch.rejected] == [(2, "(row)")]


def test_json_values_of_mixed_types_are_kept(tmp_path: Path) -> None:
    values: list[Any] = [1, "x", [1, "y"], None, True, 2.0, 2**70, "2024-01-31", "\ud800"]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"a": value}) + "\n" for value in values))
    batches = list(read_batches(str(tmp_path / "rows.jsonl"), Source(), ["a"]))
    found = {
        int(n): v for b in batches if b.data.num_rows for n, v in zip(b.numbers, b.data["a"].to_pylist(), strict=True)
    }
    assert [found[row] for row in range(1, 10)] == [
        1, b"x", [b"1", b"y"], None, True, 2.0, str(2**70).encode(), b"2024-01-31", b"\xed\xa0\x80",
    ]  # fmt: skip


def test_texts_that_look_like_times_stay_texts(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": "2024-01-31"}\n{"a": "2024-02-01"}\n')
    (batch,) = read_batches(str(tmp_path / "rows.jsonl"), Source(), ["a"])
    assert batch.data["a"].to_pylist() == ["2024-01-31", "2024-02-01"]


SPEC = Spec.model_validate(
    {
        "key": "id",
        "label": {"field": "y"},
        "split": {"column": "s"},
        "limits": {"value_bytes": 10, "list_values": 1000},
        "fields": {
            "user": {"type": "categorical", "text": "utf8"},
            "tags": {"type": "multivalued", "text": "utf8", "max_len": 3},
        },
    }
)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"id": b"x" * 11}, "id", "a value is longer than limits.value_bytes (10 bytes)"),
        ({"user": b"x" * 11}, "user", "a value is longer than limits.value_bytes (10 bytes)"),
        ({"tags": [b"a", b"x" * 11]}, "tags", "a value is longer than limits.value_bytes (10 bytes)"),
        ({"tags": [b"a"] * 1_000_000}, "tags", "the list has more values than limits.list_values (1,000)"),
        ({"user": b"\xff"}, "user", "not valid UTF-8"),
        ({"tags": [b"a", b"\xc3"]}, "tags", "not valid UTF-8"),
    ],
)
def test_values_beyond_the_limits_are_rejected(change: dict[str, Any], field: str, reason: str) -> None:
    row = {"id": b"1", "y": 1, "s": "train", "user": "ü".encode(), "tags": [b"a", "é".encode()]}
    data = pa.RecordBatch.from_pylist([row, row | change])
    checked = check_rows(SourceBatch("rows", pa.array([1, 2]).to_numpy(), data), SPEC)
    (rejected,) = checked.rejected
    assert checked.rows["user"].to_pylist() == ["ü".encode()]
    assert (rejected.field, rejected.row) == (field, 2)
    assert rejected.reason.startswith(reason)
    assert len(json.dumps(vars(rejected))) < 10_000


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".", "", " ", "a b", "x" * 200, "é", "a\n", "-a", "a:b", "a\\b", "key", "label", "__split__"]
)
def test_field_names_that_are_not_valid_in_paths_are_rejected(name: str) -> None:
    data = SPEC.model_dump() | {"fields": {name: {"type": "categorical"}}}
    with pytest.raises(ValueError, match=r"String should match pattern|is taken"):
        Spec.model_validate(data)


def test_no_loader_can_execute_code() -> None:
    forbidden = re.compile(
        r"allow_pickle=True|safe_mode=False|yaml\.(unsafe_|full_)?load\((?!text, _SafeLoader)|pickle\.load"
    )
    root = Path(__file__).parents[3]
    paths = [path for folder in ("api", "transforms", "model", "pipeline") for path in (root / folder).rglob("*.py")]
    assert root / "pipeline/sources/formats/csv_files.py" in paths
    for path in paths:
        assert not forbidden.search(path.read_text()), path
