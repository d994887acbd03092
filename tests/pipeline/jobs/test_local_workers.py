"""Worker threads and processes of this machine: an error arrives once, as an exception, and nothing is printed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest

from fieldpool.pipeline.jobs import local_workers
from fieldpool.pipeline.jobs.errors import translate_worker_errors
from fieldpool.pipeline.jobs.job import running_pipeline
from fieldpool.pipeline.jobs.options import Mode, beam_options
from fieldpool.transforms.errors import OutOfMemory, SourceError


def run(mode: Mode, work: Callable[[int], Any]) -> None:
    """Does `work` in two workers."""
    with (
        translate_worker_errors("runs/x"),
        running_pipeline(beam_options(mode=mode, workers=2)) as pipeline,
    ):
        # Two steps that are not fused, because the first one runs in one worker.
        pipeline | beam.Create(range(4)) | beam.Reshuffle() | beam.Map(work)


def fail(_: int) -> None:
    print("a log message of TensorFlow", file=sys.stderr)
    raise SourceError("a.csv: bad")


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash(_: int) -> None:
    print("the last words", file=sys.stderr, flush=True)
    os.abort()


def divide(_: int) -> float:
    return 1 / 0


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_error_of_a_worker_is_not_printed(mode: Mode, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError) as error:
        run(mode, lambda row: fail(row))
    assert str(error.value) == "a.csv: bad"
    printed = capfd.readouterr()
    assert (printed.out, printed.err.replace("a log message of TensorFlow\n", "")) == ("", "")
    assert mode == "threads" or not printed.err


def test_bug_in_a_worker_thread_keeps_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
        run("threads", divide)
    assert capfd.readouterr() == ("", "")


def test_worker_process_that_is_killed_ends_the_job(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OutOfMemory, match="runs/x: a process ran out of memory"):
        run("processes", lambda row: die(row))
    assert capfd.readouterr() == ("", "")


def test_worker_process_that_crashes_is_a_bug_with_its_last_output(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)exit code -6; it printed:.*the last words"):
        run("processes", lambda row: crash(row))
    assert capfd.readouterr() == ("", "")


def test_process_that_cannot_start_its_work_ends_the_job(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local_workers, "_COMMAND", [sys.executable, "-c", "import no_such_module"])
    with pytest.raises(RuntimeError, match=r"(?s)exit code 1; it printed:.*No module named 'no_such_module'"):
        run("processes", lambda row: row)
    assert capfd.readouterr() == ("", "")
