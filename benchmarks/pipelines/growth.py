"""Thirty days of rows whose tokens come and go, in a chain of runs that grow; fails if an id moves.

    python -m benchmarks.pipelines.growth --days 30 --rows 20000

Each day has its own items: some are new, some are gone, and some come back after a pause. The spec retires items that
train has not had for a few days. The chain is made twice, the second time on one core: the bytes must be the same.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import fieldpool
from fieldpool.transforms.spec import Spec

SPEC = Spec.model_validate(
    {
        "label": {"field": "click"},
        "key": "row_id",
        "split": {"hash": "row_id", "train": 0.8, "eval": 0.1, "test": 0.1},
        "fields": {
            "item": {"type": "categorical", "min_count": 2, "retire_after": "5d", "num_oov_buckets": 4},
            "tags": {"type": "multivalued", "max_len": 8, "vocabulary": "tag"},
            "price": {"type": "numeric"},
        },
    }
)
# Items are born at a steady rate; each is on sale for some days, then again after a pause.
BORN, ON_SALE, PAUSE = 400, 6, 9


def day_of_rows(day: int, rows: int) -> pa.Table:
    """Returns the rows of a day. An item that is born on day b is on sale on days b to b + 5, and b + 15 to b + 20."""
    rng = np.random.default_rng(day)
    ages = np.concatenate([np.arange(ON_SALE), np.arange(ON_SALE + PAUSE, 2 * ON_SALE + PAUSE)])
    born = day - rng.choice(ages, rows)
    item = np.floor(BORN ** rng.random(rows)).astype(np.int64) - 1
    lengths = rng.poisson(4, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    tags = [f"t{tag}" for tag in day * 10 + rng.integers(0, 300, offsets[-1])]
    return pa.table(
        {
            "row_id": [f"{day}-{row}" for row in range(rows)],
            "item": [f"i{b}-{i}" for b, i in zip(born, item, strict=True)],
            "tags": pa.ListArray.from_arrays(pa.array(offsets), pa.array(tags)),
            "price": rng.lognormal(1, 1, rows),
            "click": rng.integers(0, 2, rows),
        }
    )


def write_days(folder: Path, days: int, rows: int) -> None:
    """Writes a file for each day, in folders of Hive."""
    for day in range(1, days + 1):
        path = folder / f"dt={np.datetime64('2026-10-31') + day}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(day_of_rows(day, rows), path)


def grow(logs: Path, runs: Path) -> None:
    """Makes a run of each day, which extends that of the day before."""
    older: fieldpool.Run | None = None
    runs.mkdir()
    os.chdir(runs)  # Runs name the older one by its path.
    for path in sorted(logs.glob("dt=*")):
        started = time.perf_counter()
        older = fieldpool.transform(SPEC, str(path / "rows.parquet"), path.name, grow=older, mode="memory")
        vocabulary = older.stats.vocabularies["item"]
        numbers = f"{vocabulary.tokens:,} lines, {vocabulary.retired:,} retired, {vocabulary.distinct:,} today"
        print(f"{path.name}: {numbers}, {time.perf_counter() - started:.1f} s", flush=True)


def digest(run: Path) -> str:
    """Returns the SHA-256 of vocabularies, counts, ledgers, statistics and examples."""
    found = hashlib.sha256()
    for part in ("transform/transform_fn/assets/*", "vocabulary_*/*", "examples/*", "stats.json"):
        for path in sorted(run.glob(part)):
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def check(runs: Path) -> None:
    """Compares the ledgers of each run with those of the run before, and prints what has happened.

    Raises:
        SystemExit: an id has moved, or a token that came back has another id.
    """
    appended = retired = back = 0
    ids: dict[str, dict[bytes, int]] = {}
    was_retired: dict[str, set[bytes]] = {}
    for path in sorted(runs.glob("dt=*")):
        run = fieldpool.Run(path)
        for name in run.spec.resolved_vocabularies():
            ledger = run.ledger(name).to_pydict()
            now = dict(zip(ledger["token"], ledger["id"], strict=True))
            gone = {t for t, is_retired in zip(ledger["token"], ledger["retired"], strict=True) if is_retired}
            before = ids.get(name, {})
            moved = [token for token, of_token in before.items() if now.get(token) != of_token]
            if moved:
                raise SystemExit(f"{path}: {len(moved)} ids of {name} moved, such as that of {moved[0]!r}")
            appended += len(now) - len(before)
            retired += len(gone - was_retired.get(name, set()))
            back += len(was_retired.get(name, set()) - gone)
            ids[name], was_retired[name] = now, gone
    print(f"0 ids moved; {appended:,} tokens appended, {retired:,} times retired, {back:,} times back, to their ids")


def main() -> None:
    """Makes the chain twice, and compares the bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of a day")
    parser.add_argument("--folder", type=Path, default=Path("bench-data"))
    parser.add_argument("--runs", type=Path, help=argparse.SUPPRESS)  # Of a process of its own.
    arguments = parser.parse_args()
    folder = arguments.folder.resolve() / "growth"
    if arguments.runs:
        grow(folder / "logs", arguments.runs)
        return
    shutil.rmtree(folder, ignore_errors=True)
    write_days(folder / "logs", arguments.days, arguments.rows)
    cores = sorted(os.sched_getaffinity(0))
    for name, used in (("first", cores), ("again", cores[:1])):
        print(f"The chain on {len(used)} cores", flush=True)
        command = [sys.executable, "-m", "benchmarks.pipelines.growth", "--folder", str(arguments.folder.resolve())]
        process = subprocess.Popen([*command, "--runs", str(folder / name)])
        os.sched_setaffinity(process.pid, used)
        if process.wait():
            raise SystemExit(process.returncode)
    check(folder / "first")
    different = [
        p.name for p in sorted((folder / "first").glob("dt=*")) if digest(p) != digest(folder / "again" / p.name)
    ]
    if different:
        raise SystemExit(f"other bytes the second time: {', '.join(different)}")
    print("The second chain has the same bytes")


if __name__ == "__main__":
    main()
