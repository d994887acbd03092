"""Windows of days: the analysis of a further day with kept counts, against that of one day alone and of all days.

    python -m benchmarks.pipelines.windows --days 30 --rows 1000000

The days are in folders `dt=…`, in rows of a key, two single-valued fields, a list and a number. Three figures are
printed: the analysis of a window that moved by a day, divided by that of the new day alone, in processes of their own;
the size of the kept counts, divided by that of the Parquet files; and whether the vocabularies of the window are those
of one analysis of all its rows, byte by byte, also when it has moved back. It fails if they are not.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fieldpool.pipeline.analysis.analysis import analyze
from fieldpool.pipeline.analysis.cache import CountsCache
from fieldpool.pipeline.analysis.partitions import partitions_of
from fieldpool.pipeline.sources.files import find_files
from fieldpool.transforms.process.cores import cores
from fieldpool.transforms.spec import Spec

from .measured import report
from .rows import ROW_GROUP, tokens

SPEC = Spec.model_validate(
    {
        "key": "row_id",
        "label": {"field": "label"},
        "split": {"hash": "row_id"},
        "fields": {
            "user": {"type": "categorical"},
            "device": {"type": "categorical"},
            "seen": {"type": "multivalued", "max_len": 12},
            "price": {"type": "numeric"},
        },
    }
)


def write_day(folder: Path, day: int, rows: int) -> None:
    """Writes the Parquet file of a day, unless it exists."""
    path = folder / f"dt=2026-{1 + day // 28:02}-{1 + day % 28:02}" / "rows.parquet"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    rng, unfinished, writer = np.random.default_rng(day), path.with_suffix(".unfinished"), None
    for first in range(0, rows, ROW_GROUP):
        number = min(ROW_GROUP, rows - first)
        offsets = np.concatenate([[0], np.cumsum(rng.poisson(5, number))]).astype(np.int32)
        table = pa.table(
            {
                "row_id": pa.array(np.arange(first, first + number) + day * rows),
                "label": pa.array((rng.random(number) < 0.25).astype(np.int64)),
                "user": tokens(rng, 20_000, number, "u"),
                "device": tokens(rng, 200, number, "d"),
                "seen": pa.ListArray.from_arrays(pa.array(offsets), tokens(rng, 5_000, int(offsets[-1]), "s")),
                "price": pa.array(rng.lognormal(1, 1, number)),
            }
        )
        writer = writer or pq.ParquetWriter(unfinished, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()
    unfinished.replace(path)


def analysis(folder: Path, first: int, last: int, out: Path, cache: Path | None) -> None:
    """Analyzes the days from `first` to `last`, both included."""
    names = sorted(folder.glob("dt=*"))[first : last + 1]
    partitions = partitions_of(find_files([str(name) for name in names]), SPEC.source)
    kept = None if cache is None else CountsCache(str(cache))
    shutil.rmtree(out, ignore_errors=True)
    analyze(SPEC, partitions, str(out), cores(), cache=kept)


def measured(folder: Path, days: tuple[int, int], out: Path, cache: Path | None = None) -> tuple[float, float, float]:
    """Runs an analysis in a process of its own; returns its seconds, CPU seconds and megabytes."""
    given = [str(folder), *map(str, days), str(out), *([str(cache)] if cache else [])]
    command = [sys.executable, "-m", "benchmarks.pipelines.windows", "--child", *given]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, cpu, memory = map(float, done.stdout.split()[-3:])
    return seconds, cpu, memory


def vocabularies(out: Path) -> dict[str, bytes]:
    """Returns the files that an analysis wrote."""
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def main() -> None:
    """Measures, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("bench-data"))
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        folder, first, last, out, *cache = arguments.child
        given = Path(cache[0]) if cache else None
        report(lambda: analysis(Path(folder), int(first), int(last), Path(out), given))
        return
    log, days = arguments.folder / f"windows-{arguments.rows}", arguments.days
    for day in range(days + 1):
        write_day(log, day, arguments.rows)
    work = arguments.folder / "windows-out"
    shutil.rmtree(work, ignore_errors=True)
    plain, moved, back, cache = (work / name for name in ("plain", "moved", "back", "counts"))

    first = measured(log, (0, days - 1), work / "first", cache)
    print(f"days 1 to {days}, counted for the first time: {first[0]:.1f} s, CPU {first[1]:.1f} s, {first[2]:.0f} MB")
    parquet, kept = (sum(p.stat().st_size for p in top.rglob("*.parquet")) for top in (log, cache))
    print(f"kept counts: {kept / 1e6:.1f} MB, {100 * kept / (parquet * days / (days + 1)):.2f} % of the Parquet files")
    alone, further = [], []
    for _ in range(arguments.repeat):
        shutil.copytree(cache, work / "cache", dirs_exist_ok=True)
        alone.append(measured(log, (days, days), work / "alone"))
        further.append(measured(log, (1, days), moved, work / "cache"))
        shutil.rmtree(work / "cache")
    medians = [[statistics.median(figures) for figures in zip(*runs, strict=True)] for runs in (alone, further)]
    for name, (seconds, cpu, memory) in zip(("alone", "with the window's other days kept"), medians, strict=True):
        print(f"day {days + 1} {name}: {seconds:.2f} s, CPU {cpu:.1f} s, {memory:.0f} MB")
    print(f"ratio: {medians[1][0] / medians[0][0]:.2f} in seconds, {medians[1][1] / medians[0][1]:.2f} in CPU seconds")

    measured(log, (1, days), moved, cache)
    whole = measured(log, (1, days), plain)
    print(f"days 2 to {days + 1} in one analysis: {whole[0]:.1f} s, CPU {whole[1]:.1f} s, {whole[2]:.0f} MB")
    measured(log, (0, days - 1), back, cache)
    if vocabularies(moved) != vocabularies(plain) or vocabularies(back) != vocabularies(work / "first"):
        sys.exit("the window has other vocabularies than one analysis of its rows")
    print("bytes: those of one analysis of all rows, forward and back")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
