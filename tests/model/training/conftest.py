from __future__ import annotations

import pytest
from handmade_run import write_run
from tiny_run import EXAMPLES, SPEC, TOKENS

from fieldpool.model.run import Run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A tiny run whose clicks can be learned. Tests must not change it."""
    return Run(write_run(tmp_path_factory.mktemp("tiny") / "run", SPEC, TOKENS, EXAMPLES))
