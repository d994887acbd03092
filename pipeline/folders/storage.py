"""Files and folders on any file system that Beam knows: the few operations that output folders need.

Object stores have no folders, only objects with slashes in their names; what depends on that stands here. (What
TensorFlow and Keras write goes through `model.files`.)
"""

from __future__ import annotations

import contextlib
import os

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems


def write_whole(path: str, text: str) -> None:
    """Writes a file that is there as a whole or not at all; object stores show a file only when it is closed."""
    temporary = path if "://" in path else f"{path}.unfinished"
    with FileSystems.create(temporary) as file:
        file.write(text.encode())
    if temporary != path:
        os.replace(temporary, path)


def remove(path: str) -> None:
    """Removes a file or folder, as far as it can be."""
    with contextlib.suppress(BeamIOError, OSError):
        FileSystems.delete([path])
    if is_object_store(path):
        with contextlib.suppress(BeamIOError, OSError):
            FileSystems.delete([f"{path}/"])  # All that is as in a folder of this name.


def make_folder(folder: str) -> None:
    """Makes a folder and those above it, where file systems have such."""
    if "://" not in folder:
        os.makedirs(folder, exist_ok=True)
    elif not FileSystems.exists(folder):
        FileSystems.mkdirs(folder)


def move(source: str, target: str) -> None:
    """Moves a file, or a folder with all that is in it; nothing where there is none."""
    if is_object_store(source):
        below = [match.path for match in FileSystems.match([FileSystems.join(source, "**")])[0].metadata_list]
        # TensorFlow makes empty objects with names that end in "/", in the place of folders: nothing to move.
        files = [path for path in below if not path.endswith("/")] + ([source] if FileSystems.exists(source) else [])
        if files:
            FileSystems.rename(files, [target + path[len(source) :] for path in files])
        if any(path.endswith("/") for path in below):
            remove(source)
    elif FileSystems.exists(source):
        FileSystems.rename([source], [target])


def is_object_store(path: str) -> bool:
    """Returns whether there are no folders where the path leads, only objects with slashes in their names."""
    return "://" in path and not FileSystems.get_filesystem(path).has_dirs()


def children(folder: str) -> list[str]:
    """Returns the names of what is in a folder, sorted; none where it is not there."""
    if "://" not in folder:
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    # Object stores have no folders: what is in one is told by the names of all files below.
    matches = FileSystems.match([FileSystems.join(folder, "**")])[0].metadata_list
    return sorted({match.path[len(folder.rstrip("/")) + 1 :].split("/")[0] for match in matches} - {""})
