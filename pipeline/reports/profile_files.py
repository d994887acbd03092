"""The two files of a profile: the proposed spec and the page."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ...transforms.errors import UserError

SPEC_NAME, PAGE_NAME = "spec.yaml", "profile.html"


def new_profile_paths(folder: str) -> list[str]:
    """Returns the paths of spec and page in a folder.

    Raises:
        UserError: One of the two exists.
    """
    paths = [os.path.join(folder, name) for name in (SPEC_NAME, PAGE_NAME)]
    for path in paths:
        if os.path.exists(path):
            raise UserError(f"{path}: exists already; choose another folder with --out, or remove it first")
    return paths


def write_profile(paths: Sequence[str], texts: Sequence[str]) -> None:
    """Writes spec and page, and creates their folder."""
    os.makedirs(os.path.dirname(paths[0]) or ".", exist_ok=True)
    for path, text in zip(paths, texts, strict=True):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
