"""Compares fieldpool's training with DeepCTR, FuxiCTR, FBGEMM and stock Keras layers.

    python -m benchmarks.training.compare --parts speed,records,quality --repeat 3

Each measurement runs in its own process on the same cores, in turn, so that a slow period of the machine affects all
systems. A process discards its first epoch and reports the examples per second of every ten steps; its result is their
median. The table has the median, the minimum and the maximum of these results, and the best ten steps of all processes,
which were affected least by other programs. A system that cannot be installed is reported and left out;
`--systems fieldpool,keras` installs none.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from .data import BATCH, IDS, click_run, click_task, movielens_task
from .environments import PEERS, CannotInstall, python_of
from .task import WINDOW, logloss

ROOT = Path(__file__).parents[2]
STRETCH = 62
CONSOLE = Console(width=120)


class Contender(NamedTuple):
    """A line of the table of speeds."""

    name: str
    system: str
    variant: str = ""
    large: bool = False  # With STRETCH times as many ids.
    steps: int = 0  # Batches an epoch; 0: all.


CONTENDERS = (
    Contender("fieldpool, LazyAdam", "fieldpool", "lazy_adam"),
    Contender("fieldpool, row-wise Adagrad", "fieldpool", "rowwise_adagrad"),
    Contender("FBGEMM, row-wise Adagrad", "fbgemm"),
    Contender("DeepCTR, Adam", "deepctr"),
    Contender("FuxiCTR, Adam", "fuxictr"),
    Contender("Keras layers, Adam", "keras"),
    Contender("Keras layers, Adam, XLA", "keras", "xla"),
    Contender("fieldpool, LazyAdam", "fieldpool", "lazy_adam", large=True),
    Contender("fieldpool, row-wise Adagrad", "fieldpool", "rowwise_adagrad", large=True),
    Contender("FBGEMM, row-wise Adagrad", "fbgemm", large=True),
    Contender("Keras layers, Adam", "keras", large=True, steps=10),
)
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

    def system(self, name: str, *arguments: str) -> dict[str, Any]:
        """Runs a system in its environment; returns its report."""
        result = self._run(self.pythons[name], f"systems.{name}", *arguments)
        self.versions[name] = result["versions"]
        return result

    def records(self, *arguments: str) -> dict[str, Any]:
        """Runs `records.py`; returns its report."""
        return self._run(Path(sys.executable), "records", *arguments)

    def _run(self, python: Path, module: str, *arguments: str) -> dict[str, Any]:
        command = [str(python), "-m", f"{__package__}.{module}", *arguments]
        process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=self._environment, check=False)
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{process.stderr[-3000:]}")
        result: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
        return result


def main() -> None:
    """Measures, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="speed,records,quality")
    parser.add_argument("--systems", default=",".join(dict.fromkeys(c.system for c in CONTENDERS)))
    parser.add_argument("--repeat", type=int, default=3, help="processes for each figure")
    parser.add_argument("--epochs", type=int, default=3, help="timed epochs of a process")
    parser.add_argument("--steps", type=int, default=60, help=f"batches of {BATCH} in memory")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the run that is read from TFRecords")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quality-epochs", type=int, default=10)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("bench-data"))
    arguments = parser.parse_args()
    if arguments.steps < WINDOW:
        parser.error(f"--steps: expected at least the {WINDOW} that are timed together, found {arguments.steps}")
    if "records" in arguments.parts and 0.8 * arguments.rows < 1.1 * WINDOW * BATCH:  # 80 % are train rows.
        parser.error(f"--rows: expected at least {1.1 * WINDOW * BATCH / 0.8:,.0f}, found {arguments.rows:,}")
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
    return {**os.environ, "OMP_NUM_THREADS": str(cores), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def note(line: str) -> None:
    """Prints progress."""
    print(line, file=sys.stderr, flush=True)


def compare_speed(workers: Workers, arguments: argparse.Namespace) -> None:
    """Prints the examples per second from memory, for IDS ids and for STRETCH times as many."""
    path = arguments.folder / "train-click.npz"
    click_task(IDS, arguments.steps).save(str(path))
    contenders = [c for c in CONTENDERS if c.system in workers.pythons]
    runs: dict[Contender, list[dict[str, Any]]] = {contender: [] for contender in contenders}
    for _ in range(arguments.repeat):
        for c in contenders:
            options = ["--epochs", str(arguments.epochs), "--stretch", str(STRETCH if c.large else 1)]
            options += ["--steps", str(min(c.steps, arguments.steps))]
            runs[c].append(workers.system(c.system, "speed", str(path), "--variant", c.variant, *options))
            note(f"{c.name}{', large' if c.large else ''}: {statistics.median(runs[c][-1]['rates']):,.0f} examples/s")
    show_speed(runs)


def show_speed(runs: dict[Contender, list[dict[str, Any]]]) -> None:
    """Prints the table of speeds; `runs` has the reports of each contender's processes."""
    rates = {c: [statistics.median(result["rates"]) for result in results] for c, results in runs.items()}
    medians = {c: statistics.median(values) for c, values in rates.items()}
    small = {(c.system, c.variant): medians[c] for c in runs if not c.large}
    ours = small.get(("fieldpool", "lazy_adam"))
    table = Table("system", "ids", "examples/s", "min–max", "best", "× LazyAdam", "× own 162k", "logloss")
    for c, results in runs.items():
        numbers = [f"{medians[c]:,.0f}", f"{min(rates[c]):,.0f}–{max(rates[c]):,.0f}"]
        numbers.append(f"{max(max(result['rates']) for result in results):,.0f}")
        numbers.append(f"{medians[c] / ours:.2f}" if ours and not c.large else "")
        numbers.append(f"{medians[c] / small[c.system, c.variant]:.2f}" if c.large else "")
        ids = f"{IDS * (STRETCH if c.large else 1) / 1e6:.3g} M"
        table.add_row(c.name, ids, *numbers, f"{results[-1]['logloss']:.3f}")
    CONSOLE.print(table)


def compare_records(workers: Workers, arguments: argparse.Namespace) -> None:
    """Prints fieldpool's examples per second from a run's TFRecords, and from the same examples in memory."""
    run = click_run(arguments.folder, arguments.rows)
    rates: dict[str, list[float]] = {"memory": [], "records": []}
    for _ in range(arguments.repeat):
        for source, values in rates.items():
            values.append(statistics.median(workers.records(str(run), "--source", source)["rates"]))
            note(f"{source}: {values[-1]:,.0f} examples/s")
    medians = {source: statistics.median(values) for source, values in rates.items()}
    table = Table(f"fieldpool, LazyAdam, a run of {arguments.rows:,} rows", "examples/s", "min–max", "× memory")
    for source, values in rates.items():
        share = f"{medians[source] / medians['memory']:.2f}"
        table.add_row(source, f"{medians[source]:,.0f}", f"{min(values):,.0f}–{max(values):,.0f}", share)
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
            workers.system(system, "quality", str(path), *options)
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
