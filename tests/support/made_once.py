"""Folders that take long to make: the processes of `pytest -n` make each of them once, and get copies of it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Returns a new folder with the files that `make` writes to the folder that it is called with.

    With several test processes, that folder is another one, which no longer exists: files must not contain its path.
    """
    folder = factory.mktemp(name)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        make(folder)
        return folder
    made = factory.getbasetemp().parent / name  # In the folder of all test processes of this session.
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            making = factory.mktemp(f"{name}-unfinished")
            make(making)
            making.rename(made)
    return shutil.copytree(made, folder, dirs_exist_ok=True)
