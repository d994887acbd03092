"""Real commands interrupted at random times: ^C ends them within 3 s, and leaves nothing that is half-written.

`make test-faults` interrupts 75 transforms, trainings, predictions and runs each. KILLS=N makes it 3N/4 each, SEED sets
the random times. tests/pipeline/cli/test_interrupts.py has commands that lose or ignore an interrupt.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml

from fieldpool.model.training.folder import load_model
from fieldpool.pipeline.demo_log import write_click_log

INTERRUPTS, SEED = 3 * int(os.environ.get("KILLS", "100")) // 4, int(os.environ.get("SEED", "0"))
ROWS = 4000
# The promise is 3 s; a busy machine, and imports that cannot be interrupted, may add to it.
MOST_SECONDS = 10.0
# Python itself ends so if ^C comes before the command line is imported, or after it has ended.
BY_SIGNAL = -signal.SIGINT

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]


class Work(NamedTuple):
    """The inputs of the commands, and the results of commands that are not interrupted."""

    folder: Path
    spec: Path
    data: Path
    run: Path
    model: Path
    predictions: Path
    seconds: dict[str, float]


class Interrupted(NamedTuple):
    """The end of an interrupted command: its exit code, and the seconds from ^C to the end."""

    code: int
    seconds: float


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fieldpool", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    # A shell without job control starts background jobs with ^C ignored, which their processes inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = tmp_path_factory.mktemp("interrupts")
    files = write_click_log(folder, rows=ROWS, seed=0)
    spec = yaml.safe_load(Path(files.spec).read_text())
    spec["train"] = {"epochs": 2, "batch_size": 128, "checkpoint_steps": 5}
    spec["model"] = {"embedding_dim": 4, "hidden_units": [8]}
    made = Work(folder, folder / "job.yaml", files.clicks, folder / "run", folder / "model", folder / "scores", {})
    made.spec.write_text(yaml.safe_dump(spec))
    run_to_end("transform", made.spec, made.data, "--out", folder / "first")  # Loads modules from disk.
    made.seconds["transform"] = run_to_end("transform", made.spec, made.data, "--out", made.run)
    made.seconds["train"] = run_to_end("train", made.run, "--out", made.model)
    run_to_end("export", made.run, made.model)
    made.seconds["predict"] = run_to_end("predict", made.model, made.data, "--out", made.predictions)
    made.seconds["run"] = run_to_end("run", made.spec, made.data, "--out", folder / "all")
    return made


def run_to_end(*arguments: str | Path) -> float:
    """Runs a command; returns the seconds that it takes."""
    begin = time.monotonic()
    process = start(*arguments)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return time.monotonic() - begin


def interrupt(moment: float, *arguments: str | Path) -> Interrupted | None:
    """Runs a command and presses ^C after `moment` seconds; returns None if the command had ended before."""
    process = start(*arguments)
    try:
        process.wait(moment)
        return None
    except subprocess.TimeoutExpired:
        pass
    begin = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    seconds = time.monotonic() - begin
    with pytest.raises(ProcessLookupError):  # No worker process is left.
        os.killpg(process.pid, 0)
    # Python ends with 1 if it is interrupted before it has found its packages.
    is_starting = process.returncode == 1 and err.endswith("KeyboardInterrupt\n") and "pipeline" not in err
    assert is_starting or process.returncode in (130, BY_SIGNAL), f"{moment:.2f} s: {process.returncode}\n{err}"
    if process.returncode == 130:
        assert "error: stopped" in err, f"{moment:.2f} s:\n{err}"
        assert len(err.splitlines()) <= 3, f"{moment:.2f} s:\n{err}"
    assert seconds < MOST_SECONDS, f"{moment:.2f} s"
    return Interrupted(process.returncode, seconds)


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the files and folders below a folder; {} if it does not exist."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def check_no_temporary_files(folder: Path) -> None:
    assert [name for name in contents(folder) if ".work-" in name or ".unfinished" in name or ".removed" in name] == []


def check_complete_or_absent(target: Path) -> None:
    assert not target.exists() or (target / "DONE").exists(), sorted(contents(target))
    check_no_temporary_files(target)


def check_model(model: Path) -> None:
    """Checks that each file of a model, if there is one, can be read to its end."""
    import h5py

    check_no_temporary_files(model)
    for path in model.glob("checkpoints/state-*.npz"):
        with np.load(path) as state:
            assert all(state[name] is not None for name in state.files)
    for path in model.glob("checkpoints/*.weights.h5"):
        with h5py.File(path) as file:
            file.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)
    if (model / "model.keras").exists():
        load_model(str(model))
    assert not (model / "serving").exists() or (model / "serving/assets.extra/spec.yaml").exists()


def transform(work: Work, out: Path, moment: float, index: int) -> Interrupted | None:
    """Each third one replaces a run; each fifth one has worker processes."""
    is_there = index % 3 == 2
    if is_there:
        shutil.copytree(work.run, out)
    before = contents(out)
    options = [*(["--overwrite"] if is_there else []), *(["--mode", "processes"] if index % 5 == 4 else [])]
    ended = interrupt(moment, "transform", work.spec, work.data, "--out", out, *options)
    check_complete_or_absent(out)
    if is_there:
        assert before.keys() == contents(out).keys()
        assert ended is None or before["DONE"] == contents(out)["DONE"]
    return ended


def train(work: Work, out: Path, moment: float, index: int) -> Interrupted | None:
    ended = interrupt(moment, "train", work.run, "--out", out)
    check_model(out)
    return ended


def predict(work: Work, out: Path, moment: float, index: int) -> Interrupted | None:
    ended = interrupt(moment, "predict", work.model, work.data, "--out", out)
    check_complete_or_absent(out)
    return ended


def run(work: Work, out: Path, moment: float, index: int) -> Interrupted | None:
    ended = interrupt(moment, "run", work.spec, work.data, "--out", out)
    check_complete_or_absent(out / "run")
    check_model(out / "model")
    check_no_temporary_files(out)
    return ended


@pytest.mark.parametrize("command", [transform, train, predict, run])
def test_interrupt_at_any_time_ends_the_command_and_leaves_nothing_half_written(
    command: Callable[[Work, Path, float, int], Interrupted | None],
    work: Work,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chance = random.Random(SEED)
    ends: list[Interrupted] = []
    while len(ends) < INTERRUPTS:
        moment = chance.uniform(0, work.seconds[command.__name__])
        out = tmp_path / "out"
        if ended := command(work, out, moment, len(ends)):
            ends.append(ended)
        shutil.rmtree(out, ignore_errors=True)
    seconds = sorted(end.seconds for end in ends)
    with capsys.disabled():
        codes = ", ".join(f"exit code {code}: {n}" for code, n in Counter(end.code for end in ends).items())
        half, most = seconds[len(seconds) // 2], seconds[-1]
        late = sum(end > 3 for end in seconds)
        print(f"\n{command.__name__}: {codes}; median {half:.2f} s, maximum {most:.2f} s, {late} after 3 s")
