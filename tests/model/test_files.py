"""Files and folders are written completely or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras.src.saving import saving_lib
from small_files import limited_files

from fieldpool.model.files import write_atomically, write_folder_atomically, write_json, write_model
from fieldpool.model.training.variables import write_variables
from fieldpool.transforms.errors import CannotWrite

Write = Callable[[str], object]


class DiskFull(Exception):
    """Raised by the failing writers of these tests."""


def file_with(text: str) -> Write:
    return lambda path: Path(path).write_text(text)


def folder_with(**texts: str) -> Write:
    def write(path: str) -> None:
        Path(path).mkdir()
        for name, text in texts.items():
            (Path(path) / name).write_text(text)

    return write


def failing_after(write: Write) -> Write:
    """Returns a writer that writes, then fails, as if it had written only a part."""

    def fail(path: str) -> None:
        write(path)
        raise DiskFull

    return fail


def contents_in_bytes(folder: Path) -> dict[str, bytes | None]:
    """Returns the content of each file in a folder, None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def contents(folder: Path) -> dict[str, str]:
    """Returns the text of each file in a folder, by its relative path."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_only_the_written_file_remains(tmp_path: Path) -> None:
    write_atomically(str(tmp_path / "a.txt"), file_with("new"))
    assert contents(tmp_path) == {"a.txt": "new"}


def test_temporary_path_ends_like_the_target(tmp_path: Path) -> None:
    """Keras selects the format by the end of the file name."""
    paths: list[str] = []

    def write(path: str) -> None:
        paths.append(path)
        Path(path).write_text("")

    write_atomically(str(tmp_path / "model.weights.h5"), write)
    assert len(paths) == 1
    assert paths[0].endswith("model.weights.h5")


def test_existing_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a longer old text")
    write_atomically(str(tmp_path / "a.txt"), file_with("new"))
    assert contents(tmp_path) == {"a.txt": "new"}


@pytest.mark.parametrize("old", [{}, {"a.txt": "old"}])
def test_failed_write_keeps_the_existing_file(tmp_path: Path, old: dict[str, str]) -> None:
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DiskFull):
        write_atomically(str(tmp_path / "a.txt"), failing_after(file_with("half")))
    assert contents(tmp_path) == old


def test_writer_that_creates_no_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DiskFull):
        write_atomically(str(tmp_path / "a.txt"), failing_after(lambda path: None))
    assert contents(tmp_path) == {}


def test_only_the_written_remote_file_remains() -> None:
    write_atomically("ram://test_files/new/a.txt", file_with("new"))
    assert tf.io.gfile.GFile("ram://test_files/new/a.txt").read() == "new"
    assert tf.io.gfile.listdir("ram://test_files/new") == ["a.txt"]


def test_failed_remote_write_keeps_the_existing_file() -> None:
    path = "ram://test_files/kept/a.txt"
    write_atomically(path, file_with("old"))
    with pytest.raises(DiskFull):
        write_atomically(path, failing_after(file_with("half")))
    assert tf.io.gfile.GFile(path).read() == "old"


@pytest.mark.parametrize("ending", ["", "/"])
def test_only_the_written_folder_remains(tmp_path: Path, ending: str) -> None:
    write_folder_atomically(str(tmp_path / "out") + ending, folder_with(a="1", b="2"))
    assert contents(tmp_path) == {"out/a": "1", "out/b": "2"}


def test_old_folder_is_removed_when_the_new_one_is_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(tf.io.gfile, "rmtree", lambda _: seen.append((tmp_path / "out/a").read_text()))
    for text in ("old", "new"):
        write_folder_atomically(str(tmp_path / "out"), folder_with(a=text))
    assert seen == ["new"]


def test_existing_folder_is_replaced_with_all_of_its_files(tmp_path: Path) -> None:
    folder_with(a="old", stale="old")(str(tmp_path / "out"))
    write_folder_atomically(str(tmp_path / "out"), folder_with(a="new"))
    assert contents(tmp_path) == {"out/a": "new"}


@pytest.mark.parametrize("old", [{}, {"a": "old", "b": "old"}])
def test_failed_write_keeps_the_existing_folder(tmp_path: Path, old: dict[str, str]) -> None:
    if old:
        folder_with(**old)(str(tmp_path / "out"))
    with pytest.raises(DiskFull):
        write_folder_atomically(str(tmp_path / "out"), failing_after(folder_with(a="half")))
    assert contents(tmp_path) == {f"out/{name}": text for name, text in old.items()}
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if old else [])


@pytest.fixture(scope="module")
def model() -> keras.Model:
    model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(100)])
    model.compile("sgd", "mse")
    return model


def keras_model(model: keras.Model, folder: str) -> None:
    write_model(f"{folder}/a.keras", model)


def keras_weights(model: keras.Model, folder: str) -> None:
    write_variables(f"{folder}/a.npz", model.weights, {})


def json_file(model: keras.Model, folder: str) -> None:
    write_json(f"{folder}/a.json", ["x" * 40_000])


def text_folder(model: keras.Model, folder: str) -> None:
    write_folder_atomically(f"{folder}/out", folder_with(a="1", b="x" * 40_000))


@pytest.mark.parametrize("write", [keras_model, keras_weights, json_file, text_folder])
@pytest.mark.parametrize("old", [False, True], ids=["new", "existing"])
@pytest.mark.parametrize("size", [0, 1, 100, 5_000, 30_000])
def test_write_that_fails_at_any_byte_keeps_the_existing_output(
    model: keras.Model, tmp_path: Path, write: Callable[[keras.Model, str], None], old: bool, size: int
) -> None:
    """With HDF5 on the disk, the process would end with a segmentation fault."""
    if old:
        write(model, str(tmp_path))
    before = contents_in_bytes(tmp_path)
    with limited_files(size), pytest.raises(CannotWrite, match="a file exceeds the size limit"):
        write(model, str(tmp_path))
    assert contents_in_bytes(tmp_path) == before


def test_hdf5_is_written_to_memory_only(model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    file = saving_lib.h5py.File

    def record(name: object, *arguments: Any, **options: Any) -> Any:
        opened.append(name)
        return file(name, *arguments, **options)

    monkeypatch.setattr(saving_lib.h5py, "File", record)
    monkeypatch.setattr(saving_lib, "is_memory_sufficient", lambda _: False)  # Then Keras prefers the disk.
    keras_model(model, str(tmp_path))
    assert [isinstance(name, io.BytesIO) for name in opened] == [True]
    monkeypatch.setattr(saving_lib.h5py, "File", file)
    (path,) = tmp_path.iterdir()
    model.load_weights(path)


def test_json_has_null_for_numbers_that_are_not_finite(tmp_path: Path) -> None:
    write_json(str(tmp_path / "a.json"), {"auc": float("nan"), "history": [float("inf"), 0.5], "name": "é"})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"auc": None, "history": [None, 0.5], "name": "é"}
    assert text.endswith("}\n")


def test_content_that_is_not_json_keeps_the_existing_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(TypeError):
        write_json(str(tmp_path / "a.json"), {"a": object()})
    assert contents(tmp_path) == {"a.json": "{}"}


def test_contents_are_on_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power failure, a name without its contents would be an empty file."""
    order: list[str] = []
    fsync, replace, rename = os.fsync, os.replace, tf.io.gfile.rename

    def synced(handle: int) -> None:
        order.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda old, new: (order.append("replace"), replace(old, new)))
    monkeypatch.setattr(tf.io.gfile, "rename", lambda old, new: (order.append("rename"), rename(old, new)))
    write_atomically(str(tmp_path / "a.txt"), file_with("new"))
    assert order == [".unfinished-a.txt", "replace", tmp_path.name]
    order.clear()
    write_folder_atomically(str(tmp_path / "b"), folder_with(one="1", two="2"))
    assert sorted(order[:2]) == ["one", "two"]
    assert order[-1] == "rename"
