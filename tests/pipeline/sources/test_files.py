"""Files, patterns and folders as inputs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fieldpool.pipeline.sources.files import check_unchanged, find_files
from fieldpool.pipeline.sources.source_file import EXTENSIONS, KINDS
from fieldpool.transforms.errors import SourceChanged, SourceError
from fieldpool.transforms.kinds import Kind, kind_of

IGNORED = ("_SUCCESS", ".part-0.csv.crc", "part-0.csv.crc", ".hidden.csv", "_temporary/part-0.csv", ".tmp/part-0.csv")


def make(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("id\n1\n")
    return [str(folder / name) for name in names]


@pytest.mark.parametrize("pattern", ["data", "data/", "da*", "data/dt=*"])
def test_folder_stands_for_the_data_files_in_it(tmp_path: Path, pattern: str) -> None:
    parts = make(tmp_path / "data", "dt=1/part-0.csv", "dt=1/part-1.csv", "dt=2/hour=3/part-0.csv")
    make(tmp_path / "data", *IGNORED, *(f"dt=1/{name}" for name in IGNORED))
    patterns = [str(tmp_path / pattern) + "/" * pattern.endswith("/")]
    found = find_files(patterns)
    assert [os.path.normpath(file.path) for file in found] == parts
    assert [file.size for file in found] == [5, 5, 5]
    assert find_files([*patterns, *(file.path for file in found)]) == found
    check_unchanged(found, patterns)
    Path(parts[1]).write_text("id\n1\n2\n")
    with pytest.raises(SourceChanged, match=r"part-1\.csv: has been written to"):
        check_unchanged(found, patterns)


def test_pattern_matches_no_files_that_are_not_data(tmp_path: Path) -> None:
    (part,) = make(tmp_path, "part-0.csv")
    make(tmp_path, *IGNORED)
    assert [file.path for file in find_files([str(tmp_path / "*")])] == [part]
    assert [file.path for file in find_files([str(tmp_path / "_SUC*")])] == [str(tmp_path / "_SUCCESS")]


def test_folder_may_have_the_name_of_a_pattern(tmp_path: Path) -> None:
    parts = make(tmp_path / "a[1]*", "part-0.csv")
    make(tmp_path / "a1", "part-0.csv")
    assert [file.path for file in find_files([str(tmp_path / "a[1]*")])] == parts


@pytest.mark.parametrize("names", [(), IGNORED])
def test_folder_without_data_files_is_an_error(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "data").mkdir()
    make(tmp_path / "data", *names)
    with pytest.raises(SourceError, match=r"data: the folder has no data files; .* Pass files, or another folder"):
        find_files([str(tmp_path / "data")])


def test_broken_link_in_a_folder_is_an_error(tmp_path: Path) -> None:
    make(tmp_path, "part-0.csv")
    (tmp_path / "part-1.csv").symlink_to("missing.csv")
    with pytest.raises(SourceError, match=r"cannot be listed .*part-1\.csv"):
        find_files([str(tmp_path)])


@pytest.mark.parametrize("compression", ["", *EXTENSIONS])
@pytest.mark.parametrize("extension", KINDS)
def test_files_that_can_be_read_are_recognised_as_data(extension: str, compression: str) -> None:
    assert kind_of(f"clicks{extension}{compression}") is Kind.DATA
