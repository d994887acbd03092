"""Processes killed at random times: running the command again gives the result of an uninterrupted run.

`make test-faults` kills 100 transforms and 100 trainings, on MovieLens if FIELDPOOL_DATA is set, else on a generated
click log, and 100 analyses with a cache of counts. KILLS sets the number, SEED the random times. The default suite
tests the states that a kill can leave: tests/pipeline/folders/test_work_folder.py,
tests/pipeline/analysis/test_cache.py, tests/model/training/test_resuming.py.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import killable
import pyarrow.parquet as pq
import pytest
import yaml

from fieldpool.pipeline.demo_log import write_click_log

KILLS, SEED = int(os.environ.get("KILLS", "100")), int(os.environ.get("SEED", "0"))
ATTEMPTS = 6
ROWS = 4000

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]


class Job(NamedTuple):
    """A small job, its result without interruption, and the seconds that it takes."""

    spec: str
    data: str
    run: Path
    transform_seconds: float
    model: Path
    train_seconds: float
    epoch_seconds: float  # Until the end of the first epoch of the training, which writes checkpoints before.


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("uninterrupted")
    spec, data = _movielens(folder) if "FIELDPOOL_DATA" in os.environ else _click_log(folder)
    spec["train"] = {"epochs": 2, "batch_size": 128, "checkpoint_steps": 5}
    spec["model"] = {"embedding_dim": 4, "hidden_units": [8], "dropout": 0.2}
    (folder / "job.yaml").write_text(yaml.safe_dump(spec))
    path, run, model, report = str(folder / "job.yaml"), folder / "run", folder / "model", folder / "report"
    # Not timed: the first transform also loads modules and data from disk.
    killable.run_to_end(killable.transform, report, path, data, str(folder / "first"), {})
    start = time.monotonic()
    killable.run_to_end(killable.transform, report, path, data, str(run), {})
    transform_seconds = time.monotonic() - start
    start, wall_time = time.monotonic(), time.time()
    killable.run_to_end(killable.train, report, str(run), str(model), False)
    train_seconds = time.monotonic() - start
    epoch_seconds = min(path.stat().st_mtime for path in model.glob("checkpoints/*")) - wall_time
    return Job(path, data, run, transform_seconds, model, train_seconds, epoch_seconds)


def _movielens(folder: Path) -> tuple[dict[str, Any], str]:
    ratings = pq.read_table(Path(os.environ["FIELDPOOL_DATA"], "ml100k/ratings.parquet"))
    every = len(ratings) // ROWS
    pq.write_table(ratings.take(list(range(0, len(ratings), every))), folder / "ratings.parquet", row_group_size=500)
    spec = Path(__file__).parents[1] / "examples/movielens.yaml"
    return yaml.safe_load(spec.read_text()), str(folder / "ratings.parquet")


def _click_log(folder: Path) -> tuple[dict[str, Any], str]:
    files = write_click_log(folder, rows=ROWS, seed=0)
    return yaml.safe_load(Path(files.spec).read_text()), str(files.clicks)


def files_of(run: Path) -> dict[str, bytes]:
    """Returns the counts, spec, vocabularies and shards of a run, byte for byte."""
    kinds = ("DONE", "spec.yaml", "stats.json", "examples/*", "statistics/*/*", "transform/transform_fn/assets/*")
    return {str(path.relative_to(run)): path.read_bytes() for kind in kinds for path in sorted(run.glob(kind))}


def result_of(model: Path) -> dict[str, Any]:
    """Returns the history of a training, and its best weights byte for byte."""
    training = json.loads((model / "training.json").read_text())
    best = model / f"checkpoints/epoch-{training['best_epoch']:04d}.weights.h5"
    return {"history": training["history"], "best": training["best_epoch"], "weights": _weights(best)}


def _weights(path: Path) -> dict[str, bytes]:
    import h5py

    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
    return found


def late_kills(kill: Callable[[float], bool], seconds: float) -> int:
    """Kills work after `seconds`; if the work ends before that, starts it again and kills it earlier.

    Args:
        kill: Starts the work, kills it after the given seconds, and returns whether the kill came before its end.
        seconds: Until the first kill.

    Returns:
        The number of kills that came after the end of the work; ATTEMPTS if all did.
    """
    for late in range(ATTEMPTS):
        if kill(seconds * 0.7**late):
            return late
    return ATTEMPTS


def kill_transform(seconds: float, job: Job, target: Path, report: Path, overwrite: bool) -> bool:
    """Kills a transform after some seconds; returns whether the kill came before its end."""
    shutil.rmtree(target, ignore_errors=True)
    if overwrite:
        shutil.copytree(job.run, target)
    options = {"overwrite": overwrite}
    was_killed = killable.run_and_kill(seconds, killable.transform, report, job.spec, job.data, str(target), options)
    is_done = (target / "DONE").exists()
    assert not is_done or files_of(target) == files_of(job.run), "the run looks complete but differs"
    # A process killed after it wrote DONE was complete. A run that is being replaced has a DONE from before.
    return was_killed and (overwrite or not is_done)


def kill_transforms(job: Job, folder: Path, kills: int) -> Counter[str]:
    """Kills transforms and runs them again: every second one with --resume; every third one replaces a run."""
    outcomes: Counter[str] = Counter()
    moments = killable.moments(SEED, 0.02 * job.transform_seconds, job.transform_seconds)
    for index in range(kills):
        target, report = folder / f"run-{index}", folder / "report"
        overwrite, resume = index % 3 == 2, index % 2 == 1
        kill = partial(kill_transform, job=job, target=target, report=report, overwrite=overwrite)
        late = late_kills(kill, next(moments))
        outcomes["killed"] += late < ATTEMPTS
        outcomes["killed too late"] += late
        outcomes["killed with work to resume"] += any(target.glob(".work-*"))
        outcomes["killed while replacing a run"] += overwrite
        outcomes["run again with --resume" if resume else "run again"] += 1
        options = {"resume": resume, "overwrite": (target / "DONE").exists()}
        killable.run_to_end(killable.transform, report, job.spec, job.data, str(target), options)
        assert files_of(target) == files_of(job.run)
        assert not list(target.glob(".work-*"))
        shutil.rmtree(target)
    return outcomes


def kill_training(seconds: float, job: Job, out: Path, report: Path) -> bool:
    """Kills a training after some seconds; returns whether the kill came before its end."""
    shutil.rmtree(out, ignore_errors=True)
    was_killed = killable.run_and_kill(seconds, killable.train, report, str(job.run), str(out), False)
    is_done = (out / "training.json").exists()
    assert not is_done or result_of(out) == result_of(job.model), "the training looks complete but differs"
    return was_killed and not is_done


def kill_trainings(job: Job, folder: Path, kills: int) -> Counter[str]:
    """Kills trainings and runs them again: from scratch or, every second one, with --resume.

    Trainings to be resumed are killed after their first epoch, so that most have a checkpoint: the start of TensorFlow,
    before it, takes most of the time.
    """
    outcomes: Counter[str] = Counter()
    at_any_time = killable.moments(SEED + 1, 0.02 * job.train_seconds, job.train_seconds)
    after_first_epoch = killable.moments(SEED + 2, job.epoch_seconds, job.train_seconds)
    for index in range(kills):
        out, report, resume = folder / f"model-{index}", folder / "report", index % 2 == 0
        seconds = next(after_first_epoch if resume else at_any_time)
        late = late_kills(partial(kill_training, job=job, out=out, report=report), seconds)
        outcomes["killed"] += late < ATTEMPTS
        outcomes["killed too late"] += late
        outcomes["killed with a checkpoint to resume"] += any(out.glob("checkpoints/state-*.npz"))
        outcomes["run again with --resume" if resume else "run again"] += 1
        killable.run_to_end(killable.train, report, str(job.run), str(out), resume, not resume)
        assert result_of(out) == result_of(job.model)
        shutil.rmtree(out)
    return outcomes


@pytest.fixture
def outcomes(capsys: pytest.CaptureFixture[str]) -> Iterator[Counter[str]]:
    """Counts of the outcomes, printed at the end."""
    counts: Counter[str] = Counter()
    yield counts
    with capsys.disabled():
        print("\n" + ", ".join(f"{what}: {number}" for what, number in counts.items()))


def test_transforms_after_many_kills_give_the_same_run(job: Job, tmp_path: Path, outcomes: Counter[str]) -> None:
    outcomes.update(kill_transforms(job, tmp_path, KILLS))
    assert outcomes["killed"] == KILLS
    assert outcomes["killed with work to resume"] > KILLS / 10, "nearly all kills came before the work began"


def test_trainings_after_many_kills_give_the_same_model(job: Job, tmp_path: Path, outcomes: Counter[str]) -> None:
    outcomes.update(kill_trainings(job, tmp_path, KILLS))
    assert outcomes["killed"] == KILLS
    assert outcomes["killed with a checkpoint to resume"] > KILLS / 10, "nearly all kills came before a checkpoint"


DAYS = 20


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spec, and a click log in a folder for each of DAYS days."""
    folder = tmp_path_factory.mktemp("days")
    spec, data = _click_log(folder)
    (folder / "days.yaml").write_text(yaml.safe_dump(spec))
    table = pq.read_table(data)
    for day in range(DAYS):
        path = folder / f"log/dt=2026-11-{day + 1:02}/rows.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table.slice(day * (ROWS // DAYS), ROWS // DAYS), path)
    return folder


def test_analyses_after_many_kills_use_the_counts_that_were_kept(
    days: Path, tmp_path: Path, outcomes: Counter[str]
) -> None:
    report, given = tmp_path / "report", [str(days / "days.yaml"), str(days / "log")]
    killable.run_to_end(killable.analyze, report, *given, str(tmp_path / "first"), str(tmp_path / "warm"))
    start = time.monotonic()
    killable.run_to_end(killable.analyze, report, *given, str(tmp_path / "expected"), str(tmp_path / "complete"))
    seconds = time.monotonic() - start
    for index, moment in zip(range(KILLS), killable.moments(SEED, 0.02 * seconds, seconds), strict=False):
        cache, out = tmp_path / f"cache-{index}", tmp_path / f"out-{index}"
        outcomes["killed"] += killable.run_and_kill(moment, killable.analyze, report, *given, str(out), str(cache))
        kept = len([path for path in cache.glob("*.parquet") if not path.name.startswith(".")])
        outcomes["killed with some counts kept"] += 0 < kept < len(list((tmp_path / "complete").iterdir()))
        outcomes["killed with an unfinished file"] += any(cache.glob(".unfinished*"))
        shutil.rmtree(out, ignore_errors=True)
        killable.run_to_end(killable.analyze, report, *given, str(out), str(cache))
        assert files_below(out) == files_below(tmp_path / "expected")
        assert {path.name for path in (tmp_path / "complete").iterdir()} <= {path.name for path in cache.iterdir()}
        shutil.rmtree(out)
    assert outcomes["killed"] > KILLS / 2
    assert outcomes["killed with some counts kept"] > KILLS / 10, "nearly all kills came before or after the counting"


def files_below(folder: Path) -> dict[str, bytes]:
    """Returns the contents of all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
