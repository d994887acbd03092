"""Writes files and folders atomically: complete, or not at all.

A reader never sees an incomplete file, not even after a crash or, on a local disk, a power failure. For the file
systems of TensorFlow; Beam code uses `pipeline.folders.storage` instead, because Beam's file systems are configured by
the options of a job.
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ..transforms.process.stopping import undone, uninterrupted
from ..transforms.writing import TEMPORARY, UNFINISHED_PREFIX, replacing, sync, temporary_folder, writing
from .json_text import json_text


def write_atomically(path: str, write: Callable[[str], object], *, before: Callable[[], object] | None = None) -> None:
    """Calls `write` with a temporary path that ends with the same file name, then moves the file to `path`.

    On a local disk the file is renamed within its folder. For an object store (gs://…) it is uploaded from a temporary
    folder, and appears when the upload is complete. An existing file is replaced; if `write` fails, it is kept.

    Args:
        path: The file.
        write: Writes it to the given path.
        before: Called when the new file is complete, just before it is moved; if it fails, the existing file is kept.

    Raises:
        CannotWrite: the file cannot be written.
    """
    if "://" in path:
        with temporary_folder("upload") as folder, writing(path):
            temporary = os.path.join(folder, os.path.basename(path))
            with writing(folder, TEMPORARY):
                write(temporary)
            if before:
                before()
            tf.io.gfile.copy(temporary, path, overwrite=True)
        return
    with replacing(path) as (temporary,):
        write(temporary)
        if before:
            before()


def write_folder_atomically(path: str, write: Callable[[str], object]) -> None:
    """Calls `write` with a temporary folder next to `path`, then renames it; an existing folder is replaced.

    A process that is killed between renaming the old folder and renaming the new one leaves neither at `path`.

    Raises:
        CannotWrite: the folder cannot be written.
    """
    path = path.rstrip("/")
    temporary = _temporary_folder(path)
    with writing(path), undone(lambda: tf.io.gfile.exists(temporary) and tf.io.gfile.rmtree(temporary)):
        write(temporary)
        if "://" not in path:
            for file in Path(temporary).rglob("*"):
                sync(str(file))
        with uninterrupted():
            old = _moved_away(path)
            tf.io.gfile.rename(temporary, path)
            if old:
                tf.io.gfile.rmtree(old)


def remove_folder(path: str) -> None:
    """Removes a folder if it exists. On a local disk it is renamed first, so that no part of it is ever seen."""
    old = _moved_away(path.rstrip("/"))
    if old:
        tf.io.gfile.rmtree(old)


def _moved_away(path: str) -> str | None:
    """Renames a folder if it exists; returns its new path. In an object store, which copies files, it is removed."""
    if not tf.io.gfile.exists(path):
        return None
    if "://" in path:
        tf.io.gfile.rmtree(path)
        return None
    old = _temporary_folder(path)
    os.rename(path, old)
    return old


def _temporary_folder(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{UNFINISHED_PREFIX}{name}-{uuid.uuid4().hex[:8]}")


def write_json(path: str, content: Any) -> None:
    """Writes `content` to `path` as JSON; numbers that are not finite become null."""

    def write(temporary: str) -> None:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(json_text(content, indent=2) + "\n")

    write_atomically(path, write)


def write_model(path: str, model: keras.Model, *, before: Callable[[], object] | None = None) -> None:
    """Writes a model to a `.keras` file, as `write_atomically` does.

    Keras converts the weights to HDF5 in memory, and only then writes them: HDF5 itself ends the process with a
    segmentation fault if it cannot write a file completely, for example on a full disk.
    """

    def write(temporary: str) -> None:
        # Opened by its descriptor, the file has no name; if memory is scarce, Keras writes HDF5 beside a file's name.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        with _ModelFile(io.FileIO(descriptor, "w")) as file:
            model.save(file)

    write_atomically(path, write, before=before)


# Keras selects the format by the end of the text of a path, also if it is a file object.
class _ModelFile(io.BufferedWriter):
    def __str__(self) -> str:
        return "model.keras"
