"""The files that rows come from: which they are, and whether one changes while it is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from ...transforms.errors import SourceChanged, SourceError


@dataclass(frozen=True, order=True)
class FileStamp:
    """What a file was when the work began: its size in bytes, and when it was last written, in seconds since 1970."""

    path: str
    size: int
    modified: float


def find_files(patterns: Sequence[str]) -> list[FileStamp]:
    """Returns the files that the patterns match as they are now, sorted by their paths, each once.

    A pattern is listed once, however many files it matches: one by one, ten thousand objects take minutes to ask for.

    Raises:
        SourceError: if a pattern matches no file.
    """
    files: dict[str, FileStamp] = {}
    for pattern in patterns:
        try:
            found = _listed(pattern)
        except BeamIOError as error:
            raise SourceError(f"{pattern}: cannot be listed ({error})") from None
        if not found:
            raise SourceError(f"{pattern}: no such file; check the path, or quote the pattern for the shell")
        files |= found
    return sorted(files.values())


def _listed(pattern: str) -> dict[str, FileStamp]:
    return {
        found.path: FileStamp(found.path, found.size_in_bytes, found.last_updated_in_seconds)
        for found in FileSystems.match([pattern])[0].metadata_list
    }


@contextlib.contextmanager
def unchanged(file: FileStamp) -> Iterator[None]:
    """Holds a file against what it was, before and after what is done with it.

    Raises:
        SourceChanged: it is another, or gone. Also in place of a SourceError, of which that is the cause.
    """
    _check_same(file, _stamp(file.path))
    try:
        yield
    except SourceError:
        _check_same(file, _stamp(file.path))
        raise
    _check_same(file, _stamp(file.path))


def check_unchanged(files: Sequence[FileStamp], patterns: Sequence[str]) -> None:
    """Raises SourceChanged if one of the files, which `find_files` found for the patterns, is another now, or gone."""
    now = {path: found for pattern in patterns for path, found in _listed(pattern).items()}
    for file in files:
        _check_same(file, now.get(file.path))


def _stamp(path: str) -> FileStamp | None:
    """Returns what a file is, None if it is not there; its name may hold what has a meaning in patterns."""
    system = FileSystems.get_filesystem(path)
    try:
        found = system.metadata(path)
    except BeamIOError:
        if system.exists(path):
            raise
        return None
    return FileStamp(path, found.size_in_bytes, found.last_updated_in_seconds)


def _check_same(then: FileStamp, now: FileStamp | None) -> None:
    if now is None:
        raise SourceChanged(f"{then.path}: was there when the work began, and is gone; run again when it is")
    if now != then:
        raise SourceChanged(
            f"{then.path}: has been written to since the work began ({then.size:,} bytes then, {now.size:,} now), "
            "so its two readings differ; run again when it is left alone, on a copy if need be"
        )
