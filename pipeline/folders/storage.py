"""Files and folders on any file system that Beam supports: the few operations that output folders need.

Object stores have no folders, only objects with slashes in their names; this module handles the difference. (Files
that TensorFlow and Keras write go through `model.files`.)
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from ...transforms.writing import replacing


def write_atomically(path: str, text: str) -> None:
    """Writes a file atomically: it is complete or absent. Object stores show a file only when it is closed.

    Raises:
        CannotWrite: a local file cannot be written.
    """
    if "://" in path:
        with FileSystems.create(path) as file:
            file.write(text.encode())
        return
    with replacing(path) as (temporary,):
        Path(temporary).write_bytes(text.encode())


def remove(path: str) -> None:
    """Removes a file or folder; errors are ignored."""
    with contextlib.suppress(BeamIOError, OSError):
        FileSystems.delete([path])
    if is_object_store(path):
        with contextlib.suppress(BeamIOError, OSError):
            FileSystems.delete([f"{path}/"])  # The objects below the path.


def make_folder(folder: str) -> None:
    """Creates a folder and its parents, on file systems that have folders."""
    if "://" not in folder:
        os.makedirs(folder, exist_ok=True)
    elif not FileSystems.exists(folder):
        FileSystems.mkdirs(folder)


def move(source: str, target: str) -> None:
    """Moves a file, or a folder with its contents; does nothing if the source does not exist."""
    if is_object_store(source):
        below = [match.path for match in FileSystems.match([FileSystems.join(source, "**")])[0].metadata_list]
        # TensorFlow creates empty objects with names that end in "/" in place of folders: they need not be moved.
        files = [path for path in below if not path.endswith("/")] + ([source] if FileSystems.exists(source) else [])
        if files:
            FileSystems.rename(files, [target + path[len(source) :] for path in files])
        if any(path.endswith("/") for path in below):
            remove(source)
    elif FileSystems.exists(source):
        FileSystems.rename([source], [target])


def is_object_store(path: str) -> bool:
    """Returns whether the path is on an object store, which has no folders."""
    return "://" in path and not FileSystems.get_filesystem(path).has_dirs()


def children(folder: str) -> list[str]:
    """Returns the sorted names of the files and folders in a folder; none if it does not exist."""
    if "://" not in folder:
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    # Object stores have no folders: the names in one follow from the paths of all objects below it.
    matches = FileSystems.match([FileSystems.join(folder, "**")])[0].metadata_list
    return sorted({match.path[len(folder.rstrip("/")) + 1 :].split("/")[0] for match in matches} - {""})
