"""Generates the rows that all benchmarks share: single- and multi-valued fields and numbers, Zipf-like tokens.

    python -m benchmarks.pipelines.rows --rows 1000000 --out bench-data/rows-1000000x18.parquet

By default there are 8 single-valued fields, 4 multi-valued ones with 22 values in total on average, and 6 numeric ones.
The number of distinct tokens does not depend on the number of rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SINGLE, MULTI, NUMERIC = 8, 4, 6
FIELDS = SINGLE + MULTI + NUMERIC
# Distinct tokens of the single-valued fields, and of the multi-valued ones with the mean length of their lists.
SINGLE_TOKENS = (100_000, 20_000, 5_000, 1_000, 200, 50, 10, 3)
MULTI_TOKENS = ((20_000, 12), (5_000, 5), (500, 3), (50, 2))
# The lengths that lists are padded or truncated to; about 1 % of the lists are longer.
MAX_LENS = {"multi0": 24, "multi1": 12, "multi2": 8, "multi3": 6}
ROW_GROUP = 100_000


def tokens(rng: np.random.Generator, distinct: int, number: int, prefix: str) -> pa.Array:
    """Returns tokens whose frequency is roughly proportional to 1 / rank."""
    ranks = np.floor(distinct ** rng.random(number)).astype(np.int64) - 1
    names = pa.array([f"{prefix}{i:06d}" for i in range(distinct)])
    return names.take(pa.array(ranks))


def batch(rng: np.random.Generator, rows: int, first: int, copies: int) -> pa.Table:
    """Returns `rows` rows, numbered from `first`, with `copies` copies of the eighteen columns."""
    columns: dict[str, pa.Array] = {"row_id": pa.array(np.arange(first, first + rows))}
    for copy in range(copies):
        end = f"_{copy}" if copy else ""
        for i, distinct in enumerate(SINGLE_TOKENS):
            columns[f"single{i}{end}"] = tokens(rng, distinct, rows, f"s{i}_")
        for i, (distinct, mean) in enumerate(MULTI_TOKENS):
            lengths = rng.poisson(mean, rows)
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
            values = tokens(rng, distinct, int(offsets[-1]), f"m{i}_")
            columns[f"multi{i}{end}"] = pa.ListArray.from_arrays(pa.array(offsets), values)
        for i in range(NUMERIC):
            numbers = rng.lognormal(1, 1, rows)
            columns[f"number{i}{end}"] = pa.array(numbers, mask=rng.random(rows) < 0.05)
    columns["label"] = pa.array((rng.random(rows) < 0.25).astype(np.int64))
    split = rng.choice(3, rows, p=[0.8, 0.1, 0.1])
    columns["split"] = pa.array(["train", "eval", "test"]).take(pa.array(split))
    return pa.table(columns)


def write(path: Path, rows: int, copies: int = 1, seed: int = 0) -> None:
    """Writes a Parquet file of `rows` rows, a row group at a time."""
    rng = np.random.default_rng(seed)
    writer = None
    for first in range(0, rows, ROW_GROUP):
        table = batch(rng, min(ROW_GROUP, rows - first), first, copies)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def rows_file(folder: Path, rows: int, fields: int = FIELDS) -> Path:
    """Returns a Parquet file of `rows` rows in `folder`; writes it if it does not exist. `fields`: a multiple of 18."""
    path = folder / f"rows-{rows}x{fields}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        write(unfinished, rows, fields // FIELDS)
        unfinished.replace(path)
    return path


def columns_of(path: str) -> list[str]:
    """Returns the names of a file's columns."""
    return list(pq.read_schema(path).names)


def spec(columns: list[str]) -> dict[str, object]:
    """Returns the fieldpool spec of the rows, as plain values."""
    fields: dict[str, object] = {}
    for name in columns:
        if name.startswith("single"):
            fields[name] = {"type": "categorical"}
        elif name.startswith("multi"):
            fields[name] = {"type": "multivalued", "max_len": MAX_LENS[name.split("_")[0]]}
        elif name.startswith("number"):
            fields[name] = {"type": "numeric"}
    return {"key": "row_id", "label": {"field": "label"}, "split": {"column": "split"}, "fields": fields}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write(arguments.out, arguments.rows)
