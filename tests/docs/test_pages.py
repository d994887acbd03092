"""The blocks of the pages run as they are written."""

from __future__ import annotations

from pathlib import Path

import pages


def test_the_tutorial_runs_from_its_first_block_to_its_last(tutorial: Path) -> None:
    for made in ("runs/monday/DONE", "runs/tuesday/DONE", "models/monday/serving", "scores/tuesday/DONE"):
        assert (tutorial / made).exists()
