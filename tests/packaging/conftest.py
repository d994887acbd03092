"""The tracked files of the checkout, and the archives built from them."""

from __future__ import annotations

import subprocess

import pytest
from archives import CHECKOUT, Archives, build_archives


@pytest.fixture(scope="session")
def tracked() -> list[str]:
    """Paths of the files that git tracks and the working tree has, relative to the checkout."""
    if not (CHECKOUT / ".git").exists():
        pytest.skip(f"{CHECKOUT} is not a git checkout: the list of its files is unknown")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).exists()]


@pytest.fixture(scope="session")
def archives(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """The sdist and the wheel of the working tree."""
    return build_archives(tracked, tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist"))
