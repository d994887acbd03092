"""Compares fieldpool, TFT's recipe and a polars script on the same rows.

    python -m benchmarks.pipelines.compare --rows 10000,100000,1000000 --repeat 3

Each system runs in its own process, in turn, so that a slow period of the machine affects all of them. The table has
medians: wall time of the process, and of its work without imports; CPU time; peak memory.
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
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from .rows import FIELDS, rows_file

ROOT = Path(__file__).parents[2]
SYSTEMS = ("fieldpool", "polars", "tft")


class Measured(NamedTuple):
    """Measurements of one process, in seconds and megabytes."""

    wall: float
    work: float
    cpu: float
    memory: float


def measure(system: str, data: Path, out: Path) -> Measured:
    """Runs `with_<system>.py`, which prints its own measurements (`measured.report`)."""
    shutil.rmtree(out, ignore_errors=True)
    module = f"{__package__}.with_{system}"
    command = [sys.executable, "-m", module, str(data.resolve()), str(out.resolve())]
    started = time.perf_counter()
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{process.stderr[-3000:]}")
    shutil.rmtree(out, ignore_errors=True)
    work, cpu, memory = map(float, process.stdout.split()[-3:])
    return Measured(wall, work, cpu, memory)


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="10000,100000,1000000", help="numbers of rows, separated by commas")
    parser.add_argument("--fields", type=int, default=FIELDS, help=f"a multiple of {FIELDS}")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("bench-data"))
    arguments = parser.parse_args()
    if arguments.fields < FIELDS or arguments.fields % FIELDS:
        parser.error(f"--fields: expected a multiple of {FIELDS}, found {arguments.fields}")
    systems, sizes = arguments.systems.split(","), [int(rows) for rows in arguments.rows.split(",")]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    medians: dict[tuple[int, str], Measured] = {}
    for rows in sizes:
        data = rows_file(arguments.folder, rows, arguments.fields)
        runs: dict[str, list[Measured]] = {system: [] for system in systems}
        for _ in range(arguments.repeat):
            for system in systems:
                runs[system].append(measure(system, data, arguments.folder / "out"))
        for system, measured in runs.items():
            medians[rows, system] = Measured(*map(statistics.median, zip(*measured, strict=True)))
            print(f"{rows} rows, {system}: " + ", ".join(f"{run.wall:.1f} s" for run in measured), file=sys.stderr)
    show(medians, sizes, systems)


def show(medians: dict[tuple[int, str], Measured], sizes: list[int], systems: list[str]) -> None:
    """Prints the medians; with two or more sizes also the start-up time and the time for a million rows."""
    console = Console(width=120)
    table = Table(
        "rows", "system", "wall s", "work s", "CPU s", "memory MB", "rows/s", "wall / fieldpool's", "work / …"
    )
    for rows in sizes:
        ours = medians.get((rows, "fieldpool"))
        for system in systems:
            m = medians[rows, system]
            ratios = [f"{m.wall / ours.wall:.2f}", f"{m.work / ours.work:.2f}"] if ours else ["", ""]
            numbers = [f"{m.wall:.1f}", f"{m.work:.1f}", f"{m.cpu:.1f}", f"{m.memory:.0f}", f"{rows / m.wall:,.0f}"]
            table.add_row(f"{rows:,}", system, *numbers, *ratios)
        table.add_section()
    console.print(table)
    if len(sizes) > 1:
        for system in systems:
            slope, start = np.polyfit(sizes, [medians[rows, system].wall for rows in sizes], 1)
            console.print(f"{system}: start-up {start:.1f} s, and {slope * 1e6:.1f} s for a million rows")


if __name__ == "__main__":
    main()
