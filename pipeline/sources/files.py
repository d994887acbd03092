"""Finds the source files and detects whether a file changes while it is read.

Beam, which takes seconds to import, is needed for remote files only: an error in a local path is reported at once.
"""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...transforms.errors import SourceChanged, SourceError
from ...transforms.kinds import Kind, check_cloud_access, check_kind


@dataclass(frozen=True, order=True)
class FileStamp:
    """The state of a file when it was found: its size in bytes, and its modification time in seconds since 1970."""

    path: str
    size: int
    modified: float


def find_files(patterns: Sequence[str]) -> list[FileStamp]:
    """Returns the files that match the patterns, with their current state, sorted by path, each file once.

    A folder stands for all data files in it and in its subfolders, and so does a pattern that matches no files but
    folders. There, and for patterns such as `*`, files and folders whose names begin with `.` or `_` and `.crc` files
    do not count: Spark and Hadoop write such files beside the data. Each pattern costs one or two listings, not a
    request for each file: ten thousand requests would take minutes.

    Raises:
        UserError: a pattern is on gs://, and Google Cloud cannot be used.
        SourceError: a pattern matches no file, a folder has no data files, or a file or folder is not data.
    """
    check_cloud_access(*patterns)
    files: dict[str, FileStamp] = {}
    for pattern in patterns:
        if "://" not in pattern:
            check_kind(pattern, Kind.DATA, SourceError)
        try:
            found = _listed(pattern)
        except OSError as error:  # Also Beam's.
            raise SourceError(f"{pattern}: cannot be listed ({error}); check the path and your access to it") from None
        if not found:
            check_kind(pattern, Kind.DATA, SourceError)
            if os.path.isdir(pattern):
                raise SourceError(
                    f"{pattern}: the folder has no data files; files and folders whose names begin with . or _ and "
                    f".crc files are not read. Pass files, or another folder"
                )
            raise SourceError(f"{pattern}: no such file; check the path, or quote the pattern for the shell")
        files |= found
    return sorted(files.values())


def _listed(pattern: str) -> dict[str, FileStamp]:
    if "://" in pattern:
        # Beam would add `*` to a pattern that ends with a slash.
        return (not pattern.endswith("/") and _matches(pattern)) or _in_remote_folders(pattern.rstrip("/"))
    if os.path.isdir(pattern):
        return _in_folder(pattern)
    last = os.path.basename(pattern)
    files = _matches(pattern)
    if last.startswith(("*", "?", "[")):
        files = {path: stamp for path, stamp in files.items() if _is_data(os.path.basename(path))}
    for folder in [] if files else filter(os.path.isdir, glob.glob(pattern)):
        if _is_data(os.path.basename(folder.rstrip("/"))):
            files |= _in_folder(folder)
    return files


def _matches(pattern: str) -> dict[str, FileStamp]:
    if "://" not in pattern:
        paths = filter(os.path.isfile, [pattern, *glob.glob(pattern, recursive=True)])
        return {path: _local_stamp(path) for path in paths}
    from apache_beam.io.filesystems import FileSystems

    return {
        found.path: FileStamp(found.path, found.size_in_bytes, found.last_updated_in_seconds)
        for found in FileSystems.match([pattern])[0].metadata_list
    }


def _in_folder(folder: str) -> dict[str, FileStamp]:
    def fail(error: OSError) -> None:
        raise error

    files: dict[str, FileStamp] = {}
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = filter(_is_data, folders)
        files |= {path: _local_stamp(path) for path in (os.path.join(parent, name) for name in names if _is_data(name))}
    return files


def _local_stamp(path: str) -> FileStamp:
    state = os.stat(path)
    return FileStamp(path, state.st_size, state.st_mtime)


def _in_remote_folders(pattern: str) -> dict[str, FileStamp]:
    *_, folder = of_pattern = pattern.split("/")

    def is_data(path: str) -> bool:
        names = path.split("/")[len(of_pattern) - 1 :]
        return all(map(_is_data, names[1:])) and (names[0] == folder or _is_data(names[0]))

    return {path: stamp for path, stamp in _matches(f"{pattern}/**").items() if is_data(path)}


def _is_data(name: str) -> bool:
    """Returns whether a file or folder in an input folder is read, by its name."""
    return not name.startswith((".", "_")) and not name.endswith(".crc") and name != ""


@contextlib.contextmanager
def unchanged(file: FileStamp) -> Iterator[None]:
    """Checks before and after a `with` block that a file has not changed.

    Raises:
        SourceChanged: the file has changed, or no longer exists. Replaces a SourceError from the block, because the
            change is its likely cause.
    """
    _check_same(file, _stamp(file.path))
    try:
        yield
    except SourceError:
        _check_same(file, _stamp(file.path))
        raise
    _check_same(file, _stamp(file.path))


def check_unchanged(files: Sequence[FileStamp], patterns: Sequence[str]) -> None:
    """Raises SourceChanged if a file that `find_files` returned for the patterns has changed or no longer exists."""
    now = {path: found for pattern in patterns for path, found in _listed(pattern).items()}
    for file in files:
        _check_same(file, now.get(file.path))


def _stamp(path: str) -> FileStamp | None:
    """Returns the current state of a file, None if it does not exist. `path` is not a pattern: `*` is literal."""
    if "://" not in path:
        return _local_stamp(path) if os.path.exists(path) else None
    from apache_beam.io.filesystems import FileSystems

    system = FileSystems.get_filesystem(path)
    try:
        found = system.metadata(path)
    except OSError:
        if system.exists(path):
            raise
        return None
    return FileStamp(path, found.size_in_bytes, found.last_updated_in_seconds)


def _check_same(then: FileStamp, now: FileStamp | None) -> None:
    if now is None:
        raise SourceChanged(f"{then.path}: existed when the work began, but is missing now; restore it and run again")
    if now != then:
        raise SourceChanged(
            f"{then.path}: has been written to since the work began ({then.size:,} bytes then, {now.size:,} now), "
            "so two passes over it would read different rows; run again when no process writes to it, or on a copy"
        )
