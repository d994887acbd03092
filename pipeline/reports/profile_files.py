"""The two files of a profile: the proposed spec and the page."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...transforms.errors import TargetExists
from ...transforms.kinds import Kind, kind_of
from ...transforms.outputs import REPLACE, check_not_a_file, locked_folder
from ...transforms.writing import replacing

SPEC_NAME, PAGE_NAME = "spec.yaml", "profile.html"


def check_profile_folder(folder: str, *, overwrite: bool) -> list[str]:
    """Returns the paths of spec and page in a folder.

    Raises:
        TargetExists: An earlier profile exists and `overwrite` is false; there is a spec without a page; the folder is
            a run; or it is a file.
    """
    check_not_a_file(folder)
    paths = [os.path.join(folder, name) for name in (SPEC_NAME, PAGE_NAME)]
    if kind_of(folder) in (Kind.RUN, Kind.UNFINISHED_RUN):  # Its spec.yaml belongs to its examples.
        raise TargetExists(f"{paths[0]}: exists already, and {folder} is a run; choose another folder with --out")
    for path in paths:
        if os.path.isdir(path):
            raise TargetExists(f"{path}: exists already and is a folder; choose another folder with --out")
    spec, page = map(os.path.lexists, paths)
    if spec and not page:  # Perhaps the only copy of a spec that was written by hand.
        raise TargetExists(f"{paths[0]}: exists already, without {PAGE_NAME}; choose another folder with --out")
    if page and not overwrite:
        raise TargetExists(f"{paths[0] if spec else paths[1]}: exists already; {REPLACE}")
    return paths


@contextlib.contextmanager
def profile_folder(folder: str, *, overwrite: bool = False) -> Iterator[Callable[[Sequence[str]], list[str]]]:
    """Locks the folder and yields a function that writes the texts of spec and page, and returns their paths.

    The folder is created if needed, and removed again if nothing is written. Each file is replaced atomically.

    Raises:
        TargetExists: see `check_profile_folder`; or another process is working there.
        CannotWrite: the folder cannot be written to; existing files are kept.
    """
    check_profile_folder(folder, overwrite=overwrite)
    with locked_folder(folder):
        paths = check_profile_folder(folder, overwrite=overwrite)  # Another process may have written to it.
        yield lambda texts: write_profile(paths, texts)


def write_profile(paths: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Writes the texts of spec and page, each file atomically; returns their paths.

    Raises:
        CannotWrite: the folder cannot be written to; existing files are kept.
    """
    with replacing(*reversed(paths)) as temporary:  # The page first: a spec without a page is never replaced.
        for path, text in zip(reversed(temporary), texts, strict=True):
            Path(path).write_text(text, encoding="utf-8")
    return list(paths)
