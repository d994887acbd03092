"""Runs work in processes that can be killed, forked from one process that has imported TensorFlow and Beam."""

from __future__ import annotations

import faulthandler
import multiprocessing
import random
import signal
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["fieldpool.pipeline.runs.run_directory", "fieldpool.model.training.train", __name__])

_TIMEOUT = 150  # Seconds; the work takes two or three.


def start(work: Callable[..., object], report: Path, *arguments: Any) -> BaseProcess:
    """Starts `work(*arguments)`; if it fails, its traceback is written to `report`."""
    process = _context.Process(target=_work, args=(work, report, arguments))
    process.start()
    return process


def _work(work: Callable[..., object], report: Path, arguments: tuple[Any, ...]) -> None:
    # If the work hangs, its stack traces are written to this file, and the process ends.
    with report.with_suffix(".threads").open("w") as threads:
        faulthandler.dump_traceback_later(_TIMEOUT, file=threads, exit=True)
        try:
            work(*arguments)
        except BaseException:
            report.write_text(traceback.format_exc())
            raise SystemExit(1) from None


def run_to_end(work: Callable[..., object], report: Path, *arguments: Any) -> None:
    """Runs `work(*arguments)` in a process; if it fails, raises AssertionError with its traceback."""
    process = start(work, report, *arguments)
    process.join()
    reports = [path.read_text() for path in (report, report.with_suffix(".threads")) if path.exists()]
    assert process.exitcode == 0, "\n".join([f"exit code {process.exitcode}", *reports])


def run_and_kill(seconds: float, work: Callable[..., object], report: Path, *arguments: Any) -> bool:
    """Runs `work(*arguments)` in a process and kills it after `seconds`; returns whether the kill ended it."""
    process = start(work, report, *arguments)
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), report.read_text()
    return process.exitcode == -signal.SIGKILL


def moments(seed: int, first: float, last: float) -> Iterator[float]:
    """Yields random times, in seconds after the start of the work."""
    chance = random.Random(seed)
    while True:
        yield chance.uniform(first, last)


# The work functions.


def transform(spec: str, data: str, out: str, options: dict[str, Any]) -> None:
    """Does what `fieldpool transform` does."""
    from fieldpool.pipeline.runs.run_directory import transform
    from fieldpool.pipeline.spec_file import load_spec

    transform(load_spec(spec), [data], out, **options)


def train(run: str, out: str, resume: bool, overwrite: bool = False) -> None:
    """Does what `fieldpool train` does."""
    from fieldpool.model.run import Run
    from fieldpool.model.training.train import train

    train(Run(run), out, resume=resume, overwrite=overwrite)


def analyze(spec: str, log: str, out: str, cache: str) -> None:
    """Analyzes the train rows of a folder of days, with a cache of counts."""
    from fieldpool.pipeline.analysis.analysis import analyze
    from fieldpool.pipeline.analysis.cache import CountsCache
    from fieldpool.pipeline.analysis.partitions import partitions_of
    from fieldpool.pipeline.sources.files import find_files
    from fieldpool.pipeline.spec_file import load_spec

    loaded = load_spec(spec)
    analyze(loaded, partitions_of(find_files([log]), loaded.source), out, 2, cache=CountsCache(cache))
