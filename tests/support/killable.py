"""Work in a process that can be killed: TensorFlow and Beam are imported once, each process is forked from there."""

from __future__ import annotations

import faulthandler
import multiprocessing
import random
import traceback
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["fieldpool.pipeline.runs.run_directory", "fieldpool.model.training.train", __name__])


_HANGS_AFTER = 150  # Seconds; the work takes two or three.


def start(work: Callable[..., object], report: Path, *arguments: Any) -> BaseProcess:
    """Starts `work(*arguments)`; should it fail, `report` will have the traceback."""
    process = _context.Process(target=_work, args=(work, report, arguments))
    process.start()
    return process


def _work(work: Callable[..., object], report: Path, arguments: tuple[Any, ...]) -> None:
    # Where it stands, should it hang.
    with report.with_suffix(".threads").open("w") as threads:
        faulthandler.dump_traceback_later(_HANGS_AFTER, file=threads, exit=True)
        _do(work, report, arguments)


def _do(work: Callable[..., object], report: Path, arguments: tuple[Any, ...]) -> None:
    try:
        work(*arguments)
    except BaseException:
        report.write_text(traceback.format_exc())
        raise SystemExit(1) from None


def to_its_end(work: Callable[..., object], report: Path, *arguments: Any) -> None:
    """Does the work in a process of its own, and fails with its traceback if it does."""
    process = start(work, report, *arguments)
    process.join()
    told = [path.read_text() for path in (report, report.with_suffix(".threads")) if path.exists()]
    assert process.exitcode == 0, "\n".join([f"exit code {process.exitcode}", *told])


def killed_after(seconds: float, work: Callable[..., object], report: Path, *arguments: Any) -> bool:
    """Does the work, kills it after a time, and returns whether it was still at it."""
    process = start(work, report, *arguments)
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9), report.read_text()
    return process.exitcode == -9


def moments(seed: int, number: int, seconds: float) -> list[float]:
    """Returns random moments in the time that the undisturbed work takes."""
    chance = random.Random(seed)
    return [chance.uniform(0.02, 1.0) * seconds for _ in range(number)]


# -- the work ----------------------------------------------------------------------------------------


def transform(spec: str, data: str, out: str, options: dict[str, bool]) -> None:
    """Does what `fieldpool transform` does."""
    from fieldpool.pipeline.runs.run_directory import transform
    from fieldpool.pipeline.spec_file import load_spec

    transform(load_spec(spec), [data], out, **options)


def train(run: str, out: str, resume: bool) -> None:
    """Does what `fieldpool train` does."""
    from fieldpool.model.run import Run
    from fieldpool.model.training.train import train

    train(Run(run), out, resume=resume)
