"""Arrow lists and their lengths as NumPy arrays. Each function handles all rows in a few array operations."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def is_list(kind: pa.DataType) -> bool:
    """Returns whether an Arrow type is a list type."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def list_lengths(lists: pa.Array) -> np.ndarray:
    """Returns the number of elements of each list, int64; 0 for null."""
    return np.asarray(pc.list_value_length(lists).cast(pa.int64()).fill_null(0))


def lists_of(lengths: np.ndarray, values: pa.Array) -> pa.Array:
    """Returns lists of the given lengths, int64 `[rows]`, filled with consecutive values."""
    return pa.LargeListArray.from_arrays(pa.array(offsets(lengths)), values)


def offsets(lengths: np.ndarray) -> np.ndarray:
    """Returns the start of each of some consecutive parts, given their lengths, and the end of the last, int64."""
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return ends


def sum_by_row(flags: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the sum of each row's flags, int64 `[rows]`, given the number of flags in each row."""
    total = offsets(flags)
    ends = np.cumsum(lengths)
    return total[ends] - total[ends - lengths]
