"""The folder in which the pages run: what the tutorial makes, and other pages name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pages
import pytest
from made_once import made_once


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Changes to a folder for the duration of the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after the tutorial: monday.csv, spec.yaml, runs/monday, models/monday and its serving/, ….

    Every block of the tutorial has run in it, in order.
    """
    evaluators = {
        "python": pages.run_python,
        "sh": pages.run_commands,
        "": pages.check_printed,
        "yaml": pages.check_spec,
    }

    def run(folder: Path) -> None:
        with working_in(folder):
            pages.run_page(pages.ROOT / "docs/tutorial.md", evaluators)

    return made_once(tmp_path_factory, "tutorial", run)


@pytest.fixture
def in_tutorial(tutorial: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the current folder."""
    monkeypatch.chdir(tutorial)
    return tutorial
