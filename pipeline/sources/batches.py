"""What readers give: rows of one file as they stand there, and the rows that they could not read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

BATCH_ROWS = 16_384


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used. `row` counts the data rows of `source` from 1."""

    source: str
    row: int
    field: str
    reason: str
    raw: dict[str, Any]


@dataclass(frozen=True)
class SourceBatch:
    """Rows of one file as they stand there; `rows` holds the number of each, int64, from 1."""

    source: str
    rows: np.ndarray
    data: pa.RecordBatch
    rejected: list[Rejected] = field(default_factory=list)


def no_rows() -> pa.RecordBatch:
    """Returns a batch of nothing, to go with rejected rows."""
    return pa.RecordBatch.from_pylist([])


def selected(batch: pa.RecordBatch | pa.Table, columns: list[str]) -> Any:
    """Returns the columns of a batch; one that no row of the batch has is full of missing values."""
    names = set(batch.schema.names)
    return type(batch).from_arrays(
        [batch[column] if column in names else pa.nulls(batch.num_rows) for column in columns], columns
    )


def raw_row(batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    """Returns a row as plain values; texts that are not valid UTF-8 as bytes, times that Python has not as text."""
    return {name: _plain(column[row]) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _plain(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        if pa.types.is_string(value.type) or pa.types.is_large_string(value.type):
            return value.cast(pa.large_binary()).as_py()
        if isinstance(value, pa.ListScalar):
            return [_plain(item) for item in value.values]
        return str(value.cast(pa.string()))
