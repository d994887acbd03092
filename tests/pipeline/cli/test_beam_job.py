"""From the options of a command to a job: where a large input makes work go to processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fieldpool.pipeline.cli.arguments import RunnerOptions
from fieldpool.pipeline.cli.beam_job import prepared_job
from fieldpool.pipeline.jobs import options as job_options


@pytest.mark.parametrize(
    ("where", "out", "mode"),
    [
        (RunnerOptions(), "run", "multi_processing"),
        (RunnerOptions(), "", None),  # verify: it may read a sample alone.
        (RunnerOptions(mode="memory"), "run", None),
        (RunnerOptions(mode="threads"), "run", "multi_threading"),
        (RunnerOptions(workers=1), "run", None),
    ],
)
def test_a_large_input_goes_to_processes_where_nothing_else_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: RunnerOptions, out: str, mode: str | None
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(job_options, "_BYTES_FOR_PROCESSES", 4)
    (tmp_path / "rows.csv").write_text("id\n1\n2\n")
    job = prepared_job(where, "transform", [str(tmp_path / "rows.csv")], out and str(tmp_path / out))
    chosen: dict[str, Any] = job.options.get_all_options(drop_default=True)
    assert chosen.get("direct_running_mode") == mode
