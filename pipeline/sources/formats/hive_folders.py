"""Partition folders as Hive names them: `logs/dt=2026-11-01/hour=03/part-0.parquet` has the columns `dt` and `hour`.

Their values are texts. pyarrow.dataset, which decodes names and values in the same way, reads only some of the formats,
and takes its columns for those of all files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote_to_bytes

import numpy as np
import pyarrow as pa

from ..batches import SourceBatch

# How Hive and Spark write a missing value, and an empty text.
_NULL = b"__HIVE_DEFAULT_PARTITION__"


def folder_columns(path: str) -> dict[str, bytes | None]:
    """Returns the columns that the folders of a path add to its rows, each with its value; None if it is missing.

    A relative path has those of the current folder, too: a file has the same columns wherever a command runs.
    """
    found: dict[str, bytes | None] = {}
    path = path if "://" in path else os.path.abspath(path)
    if "=" not in path:
        return found
    for folder in path.replace(os.sep, "/").split("/")[:-1]:
        name, _, value = (unquote_to_bytes(os.fsencode(part)) for part in folder.partition("="))
        if name and "=" in folder:
            found.setdefault(name.decode(errors="replace"), None if value in (b"", _NULL) else value)
    return found


def with_columns(batch: SourceBatch, values: Mapping[str, bytes | None]) -> Iterator[SourceBatch]:
    """Yields the rows of a batch with columns of one value each.

    Where a row has a value of its own, it stays. Rows with and without one are separate batches, as their types differ.
    """
    batches = [batch]
    for name, value in values.items():
        batches = [filled for some in batches for filled in _filled(some, name, value)]
    yield from batches


def _filled(batch: SourceBatch, name: str, value: bytes | None) -> Iterator[SourceBatch]:
    data, index = batch.data, batch.data.schema.get_field_index(name)
    if not data.num_rows:
        yield batch
        return
    is_missing = data.column(index).is_null() if index >= 0 else pa.repeat(True, data.num_rows)
    own, others = (_filtered(batch, mask) for mask in (~np.asarray(is_missing), np.asarray(is_missing)))
    if own.data.num_rows:
        yield own
    if others.data.num_rows:
        column = pa.repeat(pa.scalar(value, pa.binary()), others.data.num_rows)
        data = others.data
        data = data.append_column(name, column) if index < 0 else data.set_column(index, name, column)
        yield replace(others, data=data, rejected=[] if own.data.num_rows else batch.rejected)


def _filtered(batch: SourceBatch, mask: np.ndarray) -> SourceBatch:
    if mask.all():
        return batch
    return replace(batch, numbers=batch.numbers[mask], data=batch.data.filter(pa.array(mask)))
