"""A remote job is waited for until its end, and cancelled if the waiting ends early."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from apache_beam.runners.runner import PipelineState

from fieldpool.pipeline.jobs import job as jobs
from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.transforms.errors import TimeLimitExceeded


class Job:
    """A stand-in for a job's result: `waits` are the states or errors that successive waits end with."""

    def __init__(self, *waits: str | BaseException, cancellable: bool = True) -> None:
        self._waits, self._cancellable = list(waits), cancellable
        self.state, self.is_cancelled = PipelineState.RUNNING, False

    def wait_until_finish(self, duration: int) -> str:
        assert duration > 0
        found = self._waits.pop(0) if len(self._waits) > 1 else self._waits[0]
        if isinstance(found, BaseException):
            raise found
        return found

    def cancel(self) -> None:
        if not self._cancellable:
            raise PermissionError("403")
        self.is_cancelled, self.state = True, PipelineState.CANCELLED


@pytest.fixture(autouse=True)
def _short_poll_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_SECONDS_BETWEEN", 0.01)


def run(job: Job, *options: str) -> Any:
    portable = beam_options("PortableRunner", ["--job_endpoint=localhost:1", "--environment_type=LOOPBACK", *options])
    return jobs.run_pipeline(SimpleNamespace(options=portable, run=lambda: job))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [(), ("--time_limit=5",)])
def test_failed_status_poll_does_not_end_the_job(options: tuple[str, ...]) -> None:
    job = Job(PipelineState.RUNNING, PipelineState.UNKNOWN, PipelineState.DONE)
    assert run(job, *options) is job
    assert not job.is_cancelled


def test_job_is_cancelled_at_its_time_limit() -> None:
    job = Job(PipelineState.RUNNING)
    with pytest.raises(TimeLimitExceeded, match=r"did not finish within 0\.001 minutes and has been cancelled"):
        run(job, "--time_limit=0.001")
    assert job.is_cancelled


def test_job_that_cannot_be_cancelled_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TimeLimitExceeded, match="could not be cancelled"):
        run(Job(PipelineState.RUNNING, cancellable=False), "--time_limit=0.001")
    assert "The job could not be cancelled and may still be running: 403" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), AssertionError("not finished")])
def test_any_error_while_waiting_cancels_the_job(error: BaseException) -> None:
    job = Job(error)
    with pytest.raises(type(error)):
        run(job)
    assert job.is_cancelled


def test_failed_job_is_not_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    job = Job(RuntimeError("failed"))
    job.state = PipelineState.FAILED
    with pytest.raises(RuntimeError, match="failed"):
        run(job)
    assert not job.is_cancelled
    assert caplog.text == ""
