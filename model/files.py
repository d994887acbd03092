"""Writes files and folders atomically: complete, or not at all.

A reader never sees an incomplete file, not even after a crash or, on a local disk, a power failure. For the file
systems of TensorFlow; Beam code uses `pipeline.folders.storage` instead, because Beam's file systems are configured by
the options of a job.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..transforms.stopping import undone, uninterrupted
from .json_text import json_text


def write_atomically(path: str, write: Callable[[str], object]) -> None:
    """Calls `write` with a temporary path that ends with the same file name, then moves the file to `path`.

    On a local disk the file is renamed within its folder. For an object store (gs://…) it is uploaded from a temporary
    folder, and appears when the upload is complete. An existing file is replaced; if `write` fails, it is kept.
    """
    folder, name = os.path.split(path)
    if "://" in path:
        with tempfile.TemporaryDirectory() as local:
            temporary = os.path.join(local, name)
            write(temporary)
            tf.io.gfile.copy(temporary, path, overwrite=True)
        return
    temporary = os.path.join(folder, f".unfinished-{name}")
    with undone(lambda: Path(temporary).unlink(missing_ok=True)):
        write(temporary)
        _sync(temporary)
        os.replace(temporary, path)
        _sync(folder or ".")


def write_folder_atomically(path: str, write: Callable[[str], object]) -> None:
    """Calls `write` with a temporary folder next to `path`, then renames it; an existing folder is replaced.

    A process that is killed between renaming the old folder and renaming the new one leaves neither at `path`.
    """
    path = path.rstrip("/")
    temporary = _temporary_folder(path)
    with undone(lambda: tf.io.gfile.exists(temporary) and tf.io.gfile.rmtree(temporary)):
        write(temporary)
        if "://" not in path:
            for file in Path(temporary).rglob("*"):
                _sync(str(file))
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


def _sync(path: str) -> None:
    """Waits until the contents of a file, or the names in a folder, are on the disk.

    Otherwise a file that was renamed just before a power failure may be empty.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _temporary_folder(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".unfinished-{name}-{uuid.uuid4().hex[:8]}")


def write_json(path: str, content: Any) -> None:
    """Writes `content` to `path` as JSON; numbers that are not finite become null."""

    def write(temporary: str) -> None:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(json_text(content, indent=2) + "\n")

    write_atomically(path, write)
