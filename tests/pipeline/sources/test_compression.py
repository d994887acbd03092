"""Compressed files give the rows of the text in them; damaged ones are an error that names the file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems
from hypothesis import assume, given, settings
from mutated_inputs import MUTATIONS, Mutations, mutated
from pyarrow import Codec

from fieldpool.pipeline.sources.readers import check_input, file_ranges, read_batches
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Source

TEXT = "".join(f"{i},tag {i % 7}\n" for i in range(3000)).encode()
ROWS = [line.split(b",")[1] for line in TEXT.splitlines()]
CSV = b"id,tag\n" + TEXT


def zipped(data: bytes, *names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("rows.csv",):
            archive.writestr(name, data)
    return content.getvalue()


def by_arrow(codec: str) -> Callable[[bytes], bytes]:
    return lambda data: Codec(codec).compress(data, asbytes=True)


COMPRESSIONS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": (".gz", gzip.compress),
    "bzip2": (".bz2", bz2.compress),
    "zstd": (".zst", by_arrow("zstd")),
    "xz": (".xz", lzma.compress),
    "lz4": (".lz4", by_arrow("lz4")),
    "zip": (".ZIP", zipped),
}
each = pytest.mark.parametrize("compression", COMPRESSIONS)
each_of_streams = pytest.mark.parametrize("compression", [name for name in COMPRESSIONS if name != "zip"])


def values(path: Path | str, **source: Any) -> list[bytes]:
    found = read_batches(str(path), Source(**source), ["tag"])
    return [value for batch in found if batch.data.num_rows for value in batch.data["tag"].to_pylist()]


@each
def test_compression_is_found_by_extension(tmp_path: Path, compression: str) -> None:
    extension, compressed = COMPRESSIONS[compression]
    (path := tmp_path / f"rows.csv{extension}").write_bytes(compressed(CSV))
    assert values(path) == ROWS
    assert check_input([str(path)], Source(), ["tag"]) == ["id", "tag"]
    assert [(part.start, part.stop) for part in file_ranges(str(path), Source(), 100)] == [(0, None)]


@each
def test_compression_is_stated_by_the_spec(tmp_path: Path, compression: str) -> None:
    (path := tmp_path / "rows.csv").write_bytes(COMPRESSIONS[compression][1](CSV))
    assert values(path, compression=compression) == ROWS
    check_input([str(path)], Source(compression=compression), ["tag"])


def test_compression_none_reads_a_file_in_spite_of_its_extension(tmp_path: Path) -> None:
    (path := tmp_path / "rows.csv.gz").write_bytes(CSV)
    assert values(path, compression="none") == ROWS
    assert check_input([str(path)], Source(compression="none"), ["tag"]) == ["id", "tag"]


@each
def test_remote_files_are_decompressed(tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extension, compressed = COMPRESSIONS[compression]
    name = f"rows.csv{extension}"
    (tmp_path / name).write_bytes(compressed(CSV))

    def opened(path: str, compression_type: str) -> Any:
        assert compression_type == "uncompressed"
        return (tmp_path / path.removeprefix("gs://pool/")).open("rb")

    monkeypatch.setattr(FileSystems, "open", opened)
    assert values(f"gs://pool/{name}") == ROWS


@each_of_streams
def test_streams_one_after_the_other_are_one_text(tmp_path: Path, compression: str) -> None:
    """As parallel programs and `cat` write them."""
    extension, compressed = COMPRESSIONS[compression]
    (path := tmp_path / f"rows.csv{extension}").write_bytes(compressed(CSV) + compressed(TEXT))
    assert values(path) == ROWS * 2


@each
def test_blocks_may_end_anywhere(tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extension, compressed = COMPRESSIONS[compression]
    (path := tmp_path / f"rows.csv{extension}").write_bytes(compressed(CSV))
    monkeypatch.setattr("fieldpool.pipeline.sources.streams.chunks.BLOCK_BYTES", 13)
    assert values(path) == ROWS


@each_of_streams
def test_damaged_second_stream_is_an_error(tmp_path: Path, compression: str) -> None:
    """Python's bz2 and lzma modules would ignore it."""
    extension, compressed = COMPRESSIONS[compression]
    (path := tmp_path / f"rows.csv{extension}").write_bytes(compressed(CSV) + b"garbage" + compressed(TEXT)[7:])
    with pytest.raises(
        SourceError, match=rf"rows\.csv\{extension}: cannot be read as csv: expected complete {compression} data"
    ):
        values(path)


@each
@pytest.mark.parametrize("kept", [-3, 1000, 5], ids=["its end is missing", "most is missing", "only a few bytes"])
def test_truncated_file_is_an_error(tmp_path: Path, compression: str, kept: int) -> None:
    extension, compressed = COMPRESSIONS[compression]
    (path := tmp_path / f"rows.csv{extension}").write_bytes(compressed(CSV)[:kept])
    with pytest.raises(
        SourceError, match=rf"rows\.csv\{extension}: .*expected complete {compression} data; .*Copy the file again"
    ):
        values(path)


# Those of zstd and lz4 that Arrow writes have no checksum.
@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz", "zip"])
def test_damaged_file_is_an_error(tmp_path: Path, compression: str) -> None:
    extension, compressed = COMPRESSIONS[compression]
    data = bytearray(compressed(CSV))
    data[len(data) // 2] ^= 255
    (path := tmp_path / f"rows.csv{extension}").write_bytes(data)
    with pytest.raises(SourceError, match=rf"rows\.csv\{extension}: .*expected complete {compression} data"):
        values(path)


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz", "zip"])
@settings(max_examples=15, deadline=None)
@given(MUTATIONS)
def test_damaged_file_never_gives_other_rows(compression: str, mutations: Mutations) -> None:
    extension, compressed = COMPRESSIONS[compression]
    data = mutated(compressed(CSV), mutations)
    assume(data)
    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder, f"rows.csv{extension}")).write_bytes(data)
        try:
            assert values(path) == ROWS
        except SourceError as error:
            assert f"rows.csv{extension}" in str(error)  # noqa: PT017


@each
def test_file_of_0_bytes_has_no_rows(tmp_path: Path, compression: str) -> None:
    (path := tmp_path / f"rows.csv{COMPRESSIONS[compression][0]}").write_bytes(b"")
    assert values(path) == []


@each
def test_compression_that_nobody_stated_is_refused(tmp_path: Path, compression: str) -> None:
    (path := tmp_path / "rows.csv").write_bytes(COMPRESSIONS[compression][1](CSV))
    with pytest.raises(
        SourceError,
        match=rf"rows\.csv: expected CSV .*found .* {compression}\. Set `source: {{compression: {compression}}}`",
    ):
        check_input([str(path)], Source(), ["tag"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CSV, r"found text\. Set `source: {compression: none}`"),
        (lzma.compress(CSV), "found data compressed with xz. Set `source: {compression: xz}`"),
    ],
    ids=["not compressed", "another compression"],
)
def test_compression_that_the_extension_wrongly_says_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (path := tmp_path / "rows.csv.gz").write_bytes(content)
    with pytest.raises(SourceError, match=rf"rows\.csv\.gz: expected a file compressed with gzip, .*{message}"):
        check_input([str(path)], Source(), ["tag"])


def test_zip_with_several_files_is_an_error_that_lists_them(tmp_path: Path) -> None:
    (path := tmp_path / "rows.csv.zip").write_bytes(zipped(CSV, "a.csv", "b.csv"))
    with pytest.raises(
        SourceError, match=r"rows\.csv\.zip: .*exactly one file; found 2 \('a.csv', 'b.csv'\)\. Extract"
    ):
        values(path)


def test_zip_without_files_is_an_error(tmp_path: Path) -> None:
    (path := tmp_path / "rows.csv.zip").write_bytes(zipped(b"", "folder/"))
    with pytest.raises(SourceError, match=r"rows\.csv\.zip: .*exactly one file; found 0\. Extract"):
        values(path)


def test_folders_and_attributes_of_macos_in_a_zip_do_not_count(tmp_path: Path) -> None:
    content = io.BytesIO(zipped(CSV, "data/rows.csv"))
    with zipfile.ZipFile(content, "a") as archive:
        archive.mkdir("data")
        archive.writestr("__MACOSX/data/._rows.csv", b"attributes")
    (path := tmp_path / "rows.csv.zip").write_bytes(content.getvalue())
    assert values(path) == ROWS


def test_encrypted_zip_is_an_error(tmp_path: Path) -> None:
    data = bytearray(zipped(CSV))
    data[6] |= 1  # The flag of the file
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and of its entry in the directory.
    (path := tmp_path / "rows.csv.zip").write_bytes(data)
    with pytest.raises(SourceError, match=r"rows\.csv\.zip: .*is encrypted"):
        values(path)


def test_parquet_in_gzip_is_refused(tmp_path: Path) -> None:
    (path := tmp_path / "rows.parquet.gz").write_bytes(gzip.compress(b"PAR1"))
    with pytest.raises(SourceError, match=r"rows\.parquet\.gz: .*found data compressed with gzip\. Decompress it"):
        check_input([str(path)], Source(), ["tag"])
