"""Samples rows: the first ones of a file, or rows evenly from the beginning to the end of files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ...transforms.spec import Source
from .batches import SourceBatch
from .ranges import FileRange
from .readers import file_ranges, read_batches, read_range

# At most 16 ranges are read, and at most 200,000 rows of each, so that sampling takes seconds for data of any size.
_RANGES_OF_A_SAMPLE = 16
_ROWS_OF_A_RANGE = 200_000


def first_rows(path: str, source: Source, columns: Sequence[str], rows: int) -> Iterator[SourceBatch]:
    """Yields the first `rows` rows of a file, with at least the given columns."""
    for batch in read_batches(path, source, columns):
        yield replace(batch, numbers=batch.numbers[:rows], data=batch.data.slice(0, rows))
        rows -= len(batch.numbers)
        if rows <= 0:
            return


def sample_rows(files: Sequence[str], source: Source, columns: Sequence[str], rows: int) -> list[SourceBatch]:
    """Returns about `rows` rows, spread evenly over the files, in their order; the same rows every time.

    Returns all rows if the files have no more than `rows`, and fewer than `rows` if the 16 ranges that are read, up to
    200,000 rows of each, have fewer.

    Args:
        files: paths, without wildcards.
        source: their format.
        columns: the columns to read.
        rows: the number of rows to sample, more than 0.
    """
    ranges = [part for path in files for part in file_ranges(path, source)]
    chosen = np.unique(np.linspace(0, len(ranges) - 1, min(_RANGES_OF_A_SAMPLE, len(ranges))).round().astype(int))
    heads = [_head(ranges[index], source, columns) for index in chosen.tolist()]
    wanted = _rows_by_range(rows, [sum(len(batch.numbers) for batch in head) for head in heads])
    return [batch for head, number in zip(heads, wanted, strict=True) for batch in _every_nth(head, number)]


def _rows_by_range(rows: int, sizes: Sequence[int]) -> list[int]:
    """Returns the number of rows to take from each range: equal shares, but all rows of small ranges."""
    wanted = [0] * len(sizes)
    smallest_first = sorted(range(len(sizes)), key=lambda index: sizes[index])
    for left, index in zip(range(len(sizes), 0, -1), smallest_first, strict=True):
        wanted[index] = min(sizes[index], math.ceil(rows / left))
        rows -= wanted[index]
    return wanted


def _head(part: FileRange, source: Source, columns: Sequence[str]) -> list[SourceBatch]:
    batches: list[SourceBatch] = []
    for batch in read_range(part, source, columns):
        batches.append(batch)
        if sum(len(b.numbers) for b in batches) >= _ROWS_OF_A_RANGE:
            break
    return batches


def _every_nth(batches: Sequence[SourceBatch], wanted: int) -> Iterator[SourceBatch]:
    total = sum(len(batch.numbers) for batch in batches)
    positions = np.linspace(0, total, wanted, endpoint=False).astype(np.int64)
    start = 0
    for batch in batches:
        of_batch = positions[(positions >= start) & (positions < start + len(batch.numbers))] - start
        start += len(batch.numbers)
        data = batch.data.take(pa.array(of_batch)) if batch.data.num_rows else batch.data
        yield replace(batch, numbers=batch.numbers[of_batch], data=data)
