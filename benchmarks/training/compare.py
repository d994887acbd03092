"""Compares fieldpool's training with DeepCTR, FuxiCTR, FBGEMM, keras-rs and stock Keras layers.

    python -m benchmarks.training.compare --parts speed,records,quality --windows 10

Each system is a process of its own on the same cores. The processes train in turn, for a window of some seconds each:
see `windows`. The table has the median and the quartiles of the examples per second of the windows in which no other
program ran, the processor time of a step, and the number of these windows. A system that cannot be installed is
reported and left out; `--systems fieldpool,keras` installs none. `--other` compares with another commit of fieldpool.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from .data import BATCH, IDS, click_run, click_task, movielens_task
from .environments import PEERS, CannotInstall, python_of
from .task import logloss
from .windows import Measured, Trainee, measure

ROOT = Path(__file__).parents[2]
STRETCH = 62
CONSOLE = Console(width=120)


@dataclass(frozen=True)
class Contender:
    """A line of the table of speeds."""

    name: str
    system: str
    variant: str = ""
    large: bool = False  # With STRETCH times as many ids.
    steps: int = 0  # Batches of a window; 0: all.
    other: bool = False  # Of the other checkout.

    @property
    def with_few_ids(self) -> Contender:
        """The same system, with IDS ids."""
        return replace(self, large=False)


CONTENDERS = (
    Contender("fieldpool, LazyAdam", "fieldpool", "lazy_adam"),
    Contender("fieldpool, row-wise Adagrad", "fieldpool", "rowwise_adagrad"),
    Contender("FBGEMM, row-wise Adagrad", "fbgemm"),
    Contender("DeepCTR, Adam", "deepctr"),
    Contender("FuxiCTR, Adam", "fuxictr"),
    Contender("Keras layers, Adam", "keras"),
    Contender("Keras layers, Adam, XLA", "keras", "xla"),
    Contender("keras-rs, Adam", "keras_rs"),
    Contender("fieldpool, LazyAdam", "fieldpool", "lazy_adam", large=True),
    Contender("fieldpool, row-wise Adagrad", "fieldpool", "rowwise_adagrad", large=True),
    Contender("FBGEMM, row-wise Adagrad", "fbgemm", large=True),
    Contender("Keras layers, Adam", "keras", large=True, steps=10),
)
OWN = "fieldpool"
# Of the tables of speeds; see `cells`.
COLUMNS = ("examples/s", "quartiles", "CPU ms a step", "clean windows")
QUALITY = ("fieldpool", "deepctr", "fuxictr")


class Workers:
    """Runs modules of this package as processes. `pythons` and `versions` are those of the installed systems."""

    def __init__(self, folder: Path, wanted: list[str], environment: dict[str, str]) -> None:
        self.pythons: dict[str, Path] = {}
        self.versions: dict[str, dict[str, str]] = {}
        self._environment = environment
        for name in wanted:
            try:
                if name in PEERS:
                    CONSOLE.print(f"{name}: creating its environment, unless it exists")
                    self.pythons[name] = python_of(name, folder / "peers")
                else:
                    self.pythons[name] = Path(sys.executable)
            except CannotInstall as error:
                CONSOLE.print(f"{name}: left out; {error}", style="yellow", markup=False)

    def trainee(self, system: str, *arguments: str, checkout: Path = ROOT) -> Trainee:
        """Starts a system, or `records`, that trains in windows; `checkout` has the code of it and of fieldpool."""
        python = self.pythons.get(system, Path(sys.executable))
        if checkout != ROOT:
            python = checkout / ".venv" / "bin" / "python"
        module = system if system == "records" else f"systems.{system}"
        return Trainee([str(python), "-m", f"{__package__}.{module}", *arguments], checkout, self._environment)

    def quality(self, system: str, *arguments: str) -> None:
        """Trains a system that writes its scores."""
        trainee = self.trainee(system, "quality", *arguments)
        self.versions[system] = trainee.report["versions"]


def main() -> None:
    """Measures, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="speed,records,quality")
    parser.add_argument("--systems", default=",".join(dict.fromkeys(c.system for c in CONTENDERS)))
    parser.add_argument("--windows", type=int, default=10, help="clean windows to wait for, at most thrice as many")
    parser.add_argument("--steps", type=int, default=60, help=f"batches of {BATCH} in memory, those of a window")
    parser.add_argument("--other", type=Path, help="another checkout of fieldpool, with its .venv, to compare with")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the run that is read from TFRecords")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quality-epochs", type=int, default=10)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("bench-data"))
    arguments = parser.parse_args()
    if "records" in arguments.parts and 0.8 * arguments.rows < 1.1 * BATCH:  # 80 % are train rows.
        parser.error(f"--rows: expected at least {1.1 * BATCH / 0.8:,.0f}, found {arguments.rows:,}")
    arguments.folder = arguments.folder.resolve()  # The processes run in the repository root.
    arguments.folder.mkdir(exist_ok=True)
    workers = Workers(arguments.folder, arguments.systems.split(","), on_cores(arguments.cores))
    for part in arguments.parts.split(","):
        {"speed": compare_speed, "records": compare_records, "quality": compare_quality}[part](workers, arguments)
    for system, versions in workers.versions.items():
        CONSOLE.print(f"{system}: " + ", ".join(f"{package} {version}" for package, version in versions.items()))


def on_cores(cores: int) -> dict[str, str]:
    """Restricts this process and its children to the first `cores` cores, where the system supports that.

    Returns the environment of the children: as many threads, and no GPU.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    # TensorFlow Transform, which this process has imported, sets it; DeepCTR's TensorFlow would not find its Keras.
    inherited = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return {**inherited, "OMP_NUM_THREADS": str(cores), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def note(line: str) -> None:
    """Prints progress."""
    print(line, file=sys.stderr, flush=True)


def compare_speed(workers: Workers, arguments: argparse.Namespace) -> None:
    """Prints the examples per second from memory, for IDS ids and for STRETCH times as many."""
    path = arguments.folder / "train-click.npz"
    click_task(IDS, arguments.steps).save(str(path))
    measured: dict[Contender, Measured] = {}
    loglosses: dict[Contender, float] = {}
    for large in (False, True):  # Not all at once, for the sake of memory.
        contenders = [c for c in CONTENDERS if c.large == large and c.system in workers.pythons]
        if arguments.other:
            contenders += [replace(c, name=f"{c.name}, other", other=True) for c in contenders if c.system == OWN]
        # Again with few ids in the same minutes, because the speed of a machine changes between the groups.
        beside = [c.with_few_ids for c in contenders if large and c.system == OWN]
        trainees = {}
        for c in contenders + beside:
            options = ["--variant", c.variant, "--stretch", str(STRETCH if c.large else 1)]
            options += ["--steps", str(min(c.steps or arguments.steps, arguments.steps))]
            checkout = arguments.other if c.other else ROOT
            trainees[c] = workers.trainee(c.system, "speed", str(path), *options, checkout=checkout)
            note(f"{c.name}: ready")
        results = measure(trainees, arguments.windows, 3 * arguments.windows)
        reports = {c: trainee.end() for c, trainee in trainees.items()}
        for c in contenders:
            measured[c], loglosses[c] = results[c], reports[c]["logloss"]
            workers.versions[c.system] = reports[c]["versions"]
    show_speed(measured, {c: results[c].rate for c in beside}, loglosses)


def show_speed(
    measured: dict[Contender, Measured], beside: dict[Contender, float], loglosses: dict[Contender, float]
) -> None:
    """Prints the table of speeds.

    Args:
        measured: The windows of each contender.
        beside: The speeds of fieldpool with few ids in the same minutes as those with many.
        loglosses: The logloss of each contender after its windows.
    """
    table = Table("system", "ids", *COLUMNS, "× own 162k", "logloss")
    for c, of in measured.items():
        ids = f"{IDS * (STRETCH if c.large else 1) / 1e6:.3g} M"
        own = beside.get(c.with_few_ids) if c.large else None
        ratio = f"{of.rate / own:.2f}" if own else ""
        table.add_row(c.name, ids, *cells(of), ratio, f"{loglosses[c]:.3f}")
    CONSOLE.print(table)


def cells(measured: Measured) -> list[str]:
    """Returns the cells of COLUMNS."""
    low, high = measured.spread
    windows = f"{len(measured.clean)} of {len(measured.clean) + len(measured.noisy)}"
    return [f"{measured.rate:,.0f}", f"{low:,.0f}–{high:,.0f}", f"{measured.cpu * BATCH:.1f}", windows]


def compare_records(workers: Workers, arguments: argparse.Namespace) -> None:
    """Prints fieldpool's examples per second from a run's TFRecords, and from the same examples in memory."""
    run = click_run(arguments.folder, arguments.rows)
    options = ["--steps", str(arguments.steps)]
    trainees = {s: workers.trainee("records", str(run), "--source", s, *options) for s in ("memory", "records")}
    measured = measure(trainees, arguments.windows, 3 * arguments.windows)
    for trainee in trainees.values():
        trainee.end()
    table = Table(f"fieldpool, LazyAdam, a run of {arguments.rows:,} rows", *COLUMNS, "× memory")
    for source, of in measured.items():
        table.add_row(source, *cells(of), f"{of.rate / measured['memory'].rate:.2f}")
    CONSOLE.print(table)


def compare_quality(workers: Workers, arguments: argparse.Namespace) -> None:
    """Prints test AUC and logloss on MovieLens-100K, for each seed at the epoch with the best eval AUC."""
    data = os.environ.get("FIELDPOOL_DATA")
    if not data or not (Path(data) / "ml100k").exists():
        CONSOLE.print("quality: left out; set FIELDPOOL_DATA to a folder with ml100k/ratings.parquet")
        return
    path, out = arguments.folder / "train-movielens.npz", arguments.folder / "scores.npz"
    task = movielens_task(Path(data), arguments.folder)
    task.save(str(path))
    label = {split: task.splits[split][1] for split in ("eval", "test")}
    systems = [system for system in QUALITY if system in workers.pythons]
    results: dict[str, list[tuple[float, float, int]]] = {system: [] for system in systems}
    for seed in range(arguments.seeds):
        for system in systems:
            options = ["--seed", str(seed), "--epochs", str(arguments.quality_epochs), "--out", str(out)]
            workers.quality(system, str(path), *options)
            with np.load(out) as scores:
                best = int(np.argmax([roc_auc_score(label["eval"], epoch) for epoch in scores["eval"]]))
                test = scores["test"][best]
            results[system].append((float(roc_auc_score(label["test"], test)), logloss(label["test"], test), best + 1))
            note(f"{system}, seed {seed}: test AUC {results[system][-1][0]:.4f}")
    title = f"MovieLens-100K, {arguments.seeds} seeds"
    table = Table("system", "test AUC", "standard deviation", "of each seed", "logloss", "best epochs", title=title)
    for system, of_seeds in results.items():
        aucs, losses, epochs = zip(*of_seeds, strict=True)
        row = [f"{np.mean(aucs):.4f}", f"{np.std(aucs, ddof=1 if len(aucs) > 1 else 0):.4f}"]
        row += [" ".join(f"{auc:.4f}" for auc in aucs), f"{np.mean(losses):.4f}", " ".join(map(str, epochs))]
        table.add_row(system, *row)
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
