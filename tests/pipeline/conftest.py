"""Fixtures that several modules of tests share."""

from __future__ import annotations

import pytest
from served_model import ROWS, SPEC, Served, click_row, make_served


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A small run, a model trained on it and its export; not to be changed."""
    return make_served(tmp_path_factory.mktemp("served"), SPEC, [click_row(i) for i in range(ROWS)])
