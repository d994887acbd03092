"""The cost of vocabularies, in the small; `make test-benchmarks` runs all benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import ROOT


def test_the_size_of_the_job_graph_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.pipelines.vocabularies import graph_bytes

    assert graph_bytes(1, tmp_path) > 0
