"""`transform --counts-cache`: the run is the same, and wrong uses are refused before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def files(tmp_path: Path, spec_data: dict[str, Any], rows: list[dict[str, Any]]) -> list[Path]:
    """A spec, and two days of rows."""
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec_data))
    for day in (1, 2):
        (tmp_path / f"dt=2026-11-0{day}").mkdir()
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"dt=2026-11-0{day}/a.parquet")
    return [tmp_path / "spec.yaml", *sorted(tmp_path.glob("dt=*/*"))]


def assets(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.glob("transform/transform_fn/assets/*")}


def test_a_second_run_counts_only_the_new_day(fieldpool: Command, files: list[Path], tmp_path: Path) -> None:
    cache = ["--counts-cache", tmp_path / "counts"]
    spec, first, second = files
    code, out, _ = fieldpool("transform", spec, first, *cache, "--out", tmp_path / "1")
    assert (code, "Partitions: 1 counted, 0 known from" in out) == (0, True)
    code, out, _ = fieldpool("transform", spec, first, second, *cache, "--out", tmp_path / "2")
    assert (code, "Partitions: 1 counted, 1 known from" in out) == (0, True)
    fieldpool("transform", spec, first, second, "--out", tmp_path / "3")
    assert assets(tmp_path / "2") == assets(tmp_path / "3")
    assert (tmp_path / "2/stats.json").read_text() == (tmp_path / "3/stats.json").read_text()


def test_a_file_is_no_cache(fieldpool: Command, files: list[Path], tmp_path: Path) -> None:
    code, _, err = fieldpool("transform", *files, "--counts-cache", files[0], "--out", tmp_path / "run")
    assert (code, not (tmp_path / "run").exists()) == (2, True)
    assert "spec.yaml: is a file; --counts-cache needs a folder" in err


def test_it_is_refused_where_nothing_is_counted(fieldpool: Command, files: list[Path], tmp_path: Path) -> None:
    fieldpool("transform", *files, "--out", tmp_path / "run")
    given = ["--counts-cache", tmp_path / "counts", "--out", tmp_path / "new"]
    code, _, err = fieldpool("transform", "--using", tmp_path / "run", files[1], *given)
    assert (code, "--using has no analysis, so nothing is counted" in err) == (2, True)
