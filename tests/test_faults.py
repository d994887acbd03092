"""Processes killed at random moments: a re-run succeeds, and what it makes equals the undisturbed outcome.

`make test-faults` kills a hundred transforms and a hundred trainings, on MovieLens where FIELDPOOL_DATA names it, else
on the generated click log; KILLS sets another number, SEED other moments. The default suite kills a few.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import killable
import pyarrow.parquet as pq
import pytest
import yaml

from fieldpool.pipeline.demo_log import write_click_log

KILLS, SEED = int(os.environ.get("KILLS", "100")), int(os.environ.get("SEED", "0"))
FEW = 2
ROWS = 4000

pytestmark = pytest.mark.filterwarnings("ignore")


class Job(NamedTuple):
    """A small job, what comes of it undisturbed, and how long that takes."""

    spec: str
    data: str
    run: Path
    transform_seconds: float
    model: Path
    train_seconds: float


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("undisturbed")
    spec, data = _movielens(folder) if "FIELDPOOL_DATA" in os.environ else _click_log(folder)
    spec["train"] = {"epochs": 2, "batch_size": 128, "checkpoint_steps": 5}
    spec["model"] = {"embedding_dim": 4, "hidden_units": [8], "dropout": 0.2}
    (folder / "job.yaml").write_text(yaml.safe_dump(spec))
    path, run, model = str(folder / "job.yaml"), folder / "run", folder / "model"
    report = folder / "report"
    killable.to_its_end(
        killable.transform, report, path, data, str(folder / "first"), {}
    )  # All is in the disk's cache.
    start = time.monotonic()
    killable.to_its_end(killable.transform, report, path, data, str(run), {})
    between = time.monotonic()
    killable.to_its_end(killable.train, report, str(run), str(model), False)
    return Job(path, data, run, between - start, model, time.monotonic() - between)


def _movielens(folder: Path) -> tuple[dict[str, Any], str]:
    ratings = pq.read_table(Path(os.environ["FIELDPOOL_DATA"], "ml100k/ratings.parquet"))
    every = len(ratings) // ROWS
    pq.write_table(ratings.take(list(range(0, len(ratings), every))), folder / "ratings.parquet", row_group_size=500)
    spec = Path(__file__).parents[1] / "examples/movielens.yaml"
    return yaml.safe_load(spec.read_text()), str(folder / "ratings.parquet")


def _click_log(folder: Path) -> tuple[dict[str, Any], str]:
    files = write_click_log(folder, rows=ROWS, seed=0)
    return yaml.safe_load(Path(files.spec).read_text()), str(files.clicks)


def made(run: Path) -> dict[str, Any]:
    """Returns all that a run holds: counts, spec, vocabularies and shards byte for byte."""
    kinds = ("DONE", "spec.yaml", "stats.json", "examples/*", "statistics/*/*", "transform/transform_fn/assets/*")
    return {str(path.relative_to(run)): path.read_bytes() for kind in kinds for path in sorted(run.glob(kind))}


def trained(model: Path) -> dict[str, Any]:
    """Returns what a training gave: its history, and the best weights byte for byte."""
    training = json.loads((model / "training.json").read_text())
    best = model / f"checkpoints/epoch-{training['best_epoch']:04d}.weights.h5"
    return {"history": training["history"], "best": training["best_epoch"], "weights": _weights(best)}


def _weights(path: Path) -> dict[str, bytes]:
    import h5py

    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
    return found


def kill_transforms(job: Job, folder: Path, number: int) -> Counter[str]:
    """Kills transforms; of the re-runs every second resumes, and every third replaces a run."""
    outcomes: Counter[str] = Counter()
    expected = made(job.run)
    for index, seconds in enumerate(killable.moments(SEED, number, job.transform_seconds)):
        target = folder / f"run-{index}"
        overwrite, resume = index % 3 == 2, index % 2 == 1
        if overwrite:
            shutil.copytree(job.run, target)
        work = (killable.transform, folder / "report", job.spec, job.data, str(target))
        was_killed = killable.killed_after(seconds, *work, {"overwrite": overwrite})
        is_done = (target / "DONE").exists()
        assert not is_done or made(target) == expected, "a run that looks whole and is not"
        again = {"resume": resume, "overwrite": is_done}
        killable.to_its_end(*work, again)
        assert made(target) == expected
        assert not list(target.glob(".work-*"))
        outcomes["killed" if was_killed else "done before the kill"] += 1
        outcomes["re-run with --resume" if resume else "re-run"] += 1
        outcomes["while replacing a run"] += overwrite
        shutil.rmtree(target)
    return outcomes


def kill_trainings(job: Job, folder: Path, number: int) -> Counter[str]:
    """Kills trainings; of the re-runs every second begins anew."""
    outcomes: Counter[str] = Counter()
    expected = trained(job.model)
    for index, seconds in enumerate(killable.moments(SEED + 1, number, job.train_seconds)):
        out, resume = folder / f"model-{index}", index % 2 == 0
        work = (killable.train, folder / "report", str(job.run), str(out))
        was_killed = killable.killed_after(seconds, *work, False)
        if (out / "training.json").exists():
            assert trained(out) == expected, "a training that looks whole and is not"
        killable.to_its_end(*work, resume)
        assert trained(out) == expected
        outcomes["killed" if was_killed else "done before the kill"] += 1
        outcomes["re-run with --resume" if resume else "re-run"] += 1
        shutil.rmtree(out)
    return outcomes


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Iterator[Counter[str]]:
    """Outcomes, printed at the end."""
    outcomes: Counter[str] = Counter()
    yield outcomes
    with capsys.disabled():
        print("\n" + ", ".join(f"{what}: {number}" for what, number in outcomes.items()))


def test_a_few_killed_transforms(job: Job, tmp_path: Path) -> None:
    assert kill_transforms(job, tmp_path, FEW)["re-run"]


def test_a_killed_training(job: Job, tmp_path: Path) -> None:
    assert kill_trainings(job, tmp_path, 1)["re-run with --resume"]


@pytest.mark.faults
def test_killed_transforms(job: Job, tmp_path: Path, told: Counter[str]) -> None:
    told.update(kill_transforms(job, tmp_path, KILLS))
    assert told["re-run"] + told["re-run with --resume"] == KILLS


@pytest.mark.faults
def test_killed_trainings(job: Job, tmp_path: Path, told: Counter[str]) -> None:
    told.update(kill_trainings(job, tmp_path, KILLS))
    assert told["re-run"] + told["re-run with --resume"] == KILLS
