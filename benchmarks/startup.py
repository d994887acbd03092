"""Start-up: how long commands take on few rows, as ratios to the import of TensorFlow and Beam.

    python -m benchmarks.startup --repeat 5

Each command runs in a process of its own, in turn with the import, so that a slow period of the machine affects all of
them. The table has medians of wall and CPU seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fieldpool.pipeline.demo_log import write_click_log

FIELDPOOL = [sys.executable, "-m", "fieldpool"]
IMPORTS = "import of TensorFlow and Beam"


def commands(folder: Path) -> dict[str, list[str]]:
    """Returns the measured commands by name. They read a small run, spec and log in `folder`."""
    spec, data, run, out = (str(folder / name) for name in ("spec.yaml", "clicks.parquet", "run", "out"))
    wrong = str(folder / "typo.yaml")
    return {
        "--help": ["--help"],
        "a column of the spec that no file has": ["transform", wrong, data, "--out", out],
        "data that do not exist": ["transform", spec, f"{data}.gone", "--out", out],
        "--out that exists": ["transform", spec, data, "--out", run],
        "no run": ["train", str(folder / "gone"), "--out", out],
        "no exported model": ["predict", run, data, "--out", out],
        "inspect": ["inspect", run],
        "explain": ["explain", spec, data],
        "check": ["check", run, data],
        "transform of 1,000 rows": ["transform", spec, data, "--out", out],
    }


def seconds(command: list[str], out: Path) -> tuple[float, float]:
    """Runs a command; returns its wall and CPU seconds."""
    shutil.rmtree(out, ignore_errors=True)
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall, after = time.perf_counter() - started, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("bench-data"))
    arguments = parser.parse_args()
    folder = arguments.folder / "startup"
    shutil.rmtree(folder, ignore_errors=True)
    files = write_click_log(folder, rows=1000, seed=0)
    typo = files.spec.read_text(encoding="utf-8").replace("field: ", "field: no_", 1)
    (folder / "typo.yaml").write_text(typo, encoding="utf-8")
    made = [*FIELDPOOL, "transform", str(files.spec), str(files.clicks), "--out", str(folder / "run")]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
    measured = {IMPORTS: [sys.executable, "-c", "import tensorflow, apache_beam"]}
    measured |= {name: [*FIELDPOOL, *arguments_of] for name, arguments_of in commands(folder).items()}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in measured}
    for _ in range(arguments.repeat):
        for name, command in measured.items():
            runs[name].append(seconds(command, folder / "out"))
    medians = {name: [statistics.median(of) for of in zip(*found, strict=True)] for name, found in runs.items()}
    table = Table("command", "wall s", "CPU s", "wall / import's", "CPU / import's")
    for name, (wall, cpu) in medians.items():
        ratios = [f"{wall / medians[IMPORTS][0]:.2f}", f"{cpu / medians[IMPORTS][1]:.2f}"]
        table.add_row(name, f"{wall:.2f}", f"{cpu:.2f}", *ratios)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
