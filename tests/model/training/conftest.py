from __future__ import annotations

from pathlib import Path

import pytest
from handmade_run import write_run
from tiny_run import EXAMPLES, SPEC, TOKENS

from fieldpool.model.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A tiny run, whose clicks can be learned."""
    return Run(write_run(tmp_path / "run", SPEC, TOKENS, EXAMPLES))
