"""Transforms the rows of `rows.py` to ids, padded lists and z-scores, with a script written for these rows only.

    python -m benchmarks.pipelines.with_polars rows.parquet out/

It has no checks, no counts and no serving graph, and writes Parquet.
"""

from __future__ import annotations

import os
import sys

import polars as pl

from .measured import report
from .rows import MAX_LENS, columns_of


def main(path: str, out: str) -> None:
    """Counts tokens of the train rows, and writes the encoded rows of each split."""
    rows = pl.read_parquet(path)
    train = rows.filter(pl.col("split") == "train")
    encoded = [pl.col("row_id"), pl.col("label"), pl.col("split")]
    for name in columns_of(path):
        column = pl.col(name)
        if name.startswith("number"):
            mean, std = train[name].mean(), train[name].std(ddof=0)
            encoded.append(((column.fill_null(mean) - mean) / std).cast(pl.Float32))
        elif name.startswith("single") or name.startswith("multi"):
            values = train[name].explode() if name.startswith("multi") else train[name]
            counts = values.drop_nulls().value_counts(name="count").sort(["count", name], descending=[True, False])
            tokens = counts[name]
            ids = pl.Series(range(2, len(tokens) + 2), dtype=pl.Int64)
            if name.startswith("single"):
                encoded.append(column.replace_strict(tokens, ids, default=1, return_dtype=pl.Int64).fill_null(0))
            else:
                width = MAX_LENS[name.split("_")[0]]
                known = column.list.head(width).list.eval(
                    pl.element().replace_strict(tokens, ids, default=1, return_dtype=pl.Int64)
                )
                padding = pl.lit([0] * width, dtype=pl.List(pl.Int64))
                encoded.append(pl.concat_list(known, padding).list.head(width))
    os.makedirs(out)
    result = rows.lazy().select(encoded).collect()
    for split in ("train", "eval", "test"):
        result.filter(pl.col("split") == split).drop("split").write_parquet(os.path.join(out, f"{split}.parquet"))


if __name__ == "__main__":
    report(lambda: main(sys.argv[1], sys.argv[2]))
