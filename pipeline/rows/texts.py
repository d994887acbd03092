"""Converts typed values to the texts of tokens: equal values have equal texts in every type and file format.

| value | text |
|---|---|
| text, bytes | unchanged, byte for byte |
| boolean | `true`, `false` |
| integer, decimal | its digits |
| float | the fewest digits that give the same number in its own precision; whole numbers as integers: `3.0` is `3` |
| timestamp | ISO 8601 in UTC without trailing zeros: `2024-01-31T10:00:00.5Z`; without a time zone, taken as UTC |
| date | `2024-01-31` |
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.errors import SourceError

TEXT = pa.large_binary()

# Every float64 below this number that has no fraction fits in int64.
_INT64 = 2.0**63

# Seconds since 1970 of the first days of the years -32767 and 32767.
_YEARS = (-1_096_193_779_200, 971_859_427_200)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6}


def texts_of(values: pa.Array, name: str) -> pa.Array:
    """Returns the texts of scalars of any type, large_binary; NaN becomes null.

    Raises:
        SourceError: the values are structs, maps or lists; `name` is that of their column.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return texts_of(values.dictionary_decode(), name)
    if pa.types.is_nested(kind):
        raise SourceError(f"column {name!r}: expected text or numbers, found {kind}; flatten it first")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return values.cast(TEXT)
    if pa.types.is_floating(kind):
        return _of_floats(values)
    if pa.types.is_timestamp(kind):
        return _of_times(values)
    return values.cast(pa.large_string()).cast(TEXT)


def _of_floats(values: pa.Array) -> pa.Array:
    if pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    dense = values.cast(pa.float64()).fill_null(0.5).to_numpy(zero_copy_only=False)
    whole = (np.floor(dense) == dense) & np.isfinite(dense)
    small = whole & (np.abs(dense) < _INT64)
    integers = pa.array(np.where(small, dense, 0).astype(np.int64)).cast(pa.large_string())
    texts = pc.if_else(pa.array(small), integers, values.cast(pa.large_string()))
    large = whole & ~small
    if large.any():
        digits = pa.array([f"{number:.0f}" for number in dense[large]], pa.large_string())
        texts = pc.replace_with_mask(texts, pa.array(large), digits)
    return pc.if_else(pc.is_nan(values), None, texts).cast(TEXT)


def _of_times(values: pa.Array) -> pa.Array:
    in_utc = values.cast(pa.timestamp(values.type.unit))  # Arrow stores the time in UTC.
    texts = pc.strftime(in_utc, "%Y-%m-%dT%H:%M:%S").cast(pa.large_string())
    without_zeros = pc.replace_substring_regex(texts, r"\.?0*$", "") if values.type.unit != "s" else texts
    zone, nothing = (pa.scalar(text, pa.large_string()) for text in ("Z", ""))
    return _with_far_times(in_utc, pc.binary_join_element_wise(without_zeros, zone, nothing)).cast(TEXT)


def _with_far_times(times: pa.Array, texts: pa.Array) -> pa.Array:
    """Returns the texts with those of times beyond the year 32767, where strftime overflows, replaced.

    They become for example `<value out of range: 1000000000000>`, as dates do.
    """
    if times.type.unit == "ns":  # These end in 2262.
        return texts
    first, last = (year * _PER_SECOND[times.type.unit] for year in _YEARS)
    numbers = times.cast(pa.int64())
    is_far = pc.or_(pc.less(numbers, first), pc.greater(numbers, last))
    return pc.if_else(is_far, times.cast(pa.large_string()), texts) if pc.any(is_far).as_py() else texts
