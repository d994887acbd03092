"""Every command that takes a run or a model accepts one in a bucket."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from emulated_bucket import EmulatedBucket
from served_model import Served

pytestmark = pytest.mark.runners

SECONDS = 120


def test_all_commands_work_with_a_run_and_a_model_in_a_bucket(
    bucket: EmulatedBucket, served: Served, tmp_path: Path
) -> None:
    def fieldpool(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "fieldpool", *arguments],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **bucket.environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for path in served.run.rglob("*"):
        if path.is_file():
            bucket.write(f"run/{path.relative_to(served.run)}", path.read_bytes())
    run, model, rows = "gs://pool/run", "gs://pool/model", bucket.write("rows.parquet", served.data.read_bytes())

    fieldpool("train", run, "--out", model)
    fieldpool("train", run, "--out", model, "--epochs", "2", "--resume")
    assert len(json.loads(bucket.read("model/training.json"))["history"]) == 2
    assert set(json.loads(fieldpool("evaluate", run, model, "--json"))) == {"test"}
    fieldpool("export", run, model)
    assert json.loads(fieldpool("verify", run, model, rows, "--json"))["holds"]
    fieldpool("predict", model, rows, "--out", "gs://pool/scores")
    assert "scores/DONE" in bucket.files("scores/")
    assert len(json.loads(fieldpool("inspect", run, "--rows", "2", "--json"))) == 2
    fieldpool("check", run, rows)
    fieldpool("report", run, model)
    assert (tmp_path / "report.html").stat().st_size > 10_000
