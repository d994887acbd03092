"""Errors of the file system become CannotWrite; files are replaced completely or not at all."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems

from fieldpool.transforms.errors import CannotWrite, TargetExists
from fieldpool.transforms.writing import TEMPORARY, replacing, temporary_folder, writing


def with_python(path: str) -> None:
    Path(path).write_text("x")


def with_numpy(path: str) -> None:
    with open(path, "wb") as file:
        np.save(file, np.zeros(100_000))


def with_pyarrow(path: str) -> None:
    pq.write_table(pa.table({"a": [1]}), path)


def with_tensorflow(path: str) -> None:
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(b"x" * 100_000)


def with_beam(path: str) -> None:
    with FileSystems.create(path) as file:
        file.write(b"x")


@pytest.fixture
def full(tmp_path: Path) -> str:
    """A file to which every write fails, as on a full disk: a link, because libraries remove a file after an error."""
    if not Path("/dev/full").is_char_device():
        pytest.skip("this system has no device /dev/full")
    (tmp_path / "full").symlink_to("/dev/full")
    return str(tmp_path / "full")


@pytest.mark.parametrize("write", [with_python, with_numpy, with_pyarrow, with_tensorflow, with_beam])
def test_full_disk_is_recognised_in_the_errors_of_each_library(full: str, write: Callable[[str], None]) -> None:
    with (
        pytest.raises(CannotWrite, match=r": cannot be written to: no space left on the disk; .* --out$"),
        writing(full),
    ):
        write(full)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space left on the disk; free some space, or choose another disk with --out"),
        (errno.EDQUOT, "the disk quota is used up; free some space, or choose another disk with --out"),
        (errno.EFBIG, "a file exceeds the size limit"),
        (errno.EROFS, "the file system is read-only; choose another folder with --out"),
        (errno.EACCES, "no permission to write there; choose another folder with --out"),
        (errno.EPERM, "no permission to write there"),
        (errno.ENOTDIR, "a part of the path is a file"),
        (errno.ENAMETOOLONG, "the name is too long"),
        (errno.ENOENT, "its folder does not exist"),
        (errno.EIO, "the disk reported an input/output error"),
        (errno.ELOOP, "Too many levels of symbolic links; choose another path with --out"),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)
def test_each_error_of_the_system_has_words(code: int, words: str) -> None:
    with pytest.raises(CannotWrite) as raised, writing("runs/x"):
        raise OSError(code, os.strerror(code), "runs/x/DONE")
    assert str(raised.value).startswith(f"runs/x: cannot be written to: {words}")


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, os.strerror(errno.EACCES), "data/a.csv"),
        FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "data/a.csv"),
        tf.errors.PermissionDeniedError(None, None, "data/a.csv; Permission denied"),
        TargetExists("runs/x: No space left on device"),
        ValueError("not about files"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_that_are_not_about_the_output_are_not_changed(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, writing("runs/x"):
        raise error
    assert raised.value is error


def test_temporary_files_name_their_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(CannotWrite, match=f"folder does not exist.* with {TEMPORARY}"), temporary_folder("test"):
        pass


def test_no_folder_for_temporary_files_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/none"])
    with pytest.raises(CannotWrite, match=f"No usable temporary directory.*{TEMPORARY}"), temporary_folder("test"):
        pass


@pytest.mark.parametrize("old", [{}, {"a": "old a", "b": "old b"}], ids=["new", "existing"])
@pytest.mark.parametrize("failing", [0, 1, 2, 3])
def test_files_are_replaced_together_whichever_write_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: dict[str, str], failing: int
) -> None:
    """Fails at one of: creating and writing the first file, the same for the second."""
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    steps = iter(range(4))

    def step() -> None:
        if next(steps) == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write() -> None:
        with replacing(str(tmp_path / "a"), str(tmp_path / "b")) as temporary:
            for path in map(Path, temporary):
                step()
                path.write_text("half")
                step()
                path.write_text("new")

    with pytest.raises(CannotWrite, match="no space left"):
        write()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == old


def test_replaced_files_have_their_folder_and_ending(tmp_path: Path) -> None:
    target = tmp_path / "model.weights.h5"
    with replacing(str(target)) as (temporary,):
        assert os.path.dirname(temporary) == str(tmp_path)
        assert temporary.endswith("model.weights.h5")
        Path(temporary).write_text(json.dumps(1))
    assert [path.name for path in tmp_path.iterdir()] == ["model.weights.h5"]


def test_remote_refusals_have_words() -> None:
    with pytest.raises(CannotWrite, match=r"^gs://b/x: .*: 403 .*your permissions"), writing("gs://b/x"):
        raise tf.errors.PermissionDeniedError(None, None, "403 on gs://b/x\nheaders")
