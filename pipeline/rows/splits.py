"""Assigns rows to splits: by a column, by file, by the hash of a column, or by time."""

from __future__ import annotations

import fnmatch
import os
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.errors import SpecError
from ...transforms.spec import SPLITS, ColumnSplit, FileSplit, HashSplit, Spec, TimeSplit
from ..sources.batches import Reason, SourceBatch
from . import columns

# Index into SPLITS of a row that has no split.
NO_SPLIT = -1


def split_column(spec: Spec) -> str | None:
    """Returns the raw column that the split reads, or None."""
    split = spec.split
    if isinstance(split, ColumnSplit):
        return split.column
    if isinstance(split, HashSplit):
        return split.hash
    return split.time if isinstance(split, TimeSplit) else None


@dataclass(frozen=True)
class RowSplits:
    """The split of each row, int8 `[rows]`: an index into SPLITS, or NO_SPLIT; and the reason for NO_SPLIT."""

    codes: np.ndarray
    reason: str = ""


def assign_splits(batch: SourceBatch, spec: Spec) -> RowSplits:
    """Returns the split of each row.

    Raises:
        SpecError: the file matches no pattern of the spec.
    """
    split = spec.split
    if isinstance(split, FileSplit):
        return RowSplits(np.full(batch.data.num_rows, SPLITS.index(_split_of_file(batch.source, split)), np.int8))
    column_name = split_column(spec)
    assert column_name is not None
    column = batch.data[column_name]
    if isinstance(split, TimeSplit):
        if split.eval_from is None or split.test_from is None:
            raise ValueError("the time split has no boundaries; call counts.spec_resolution.resolve_spec first")
        times = times_of(column, column_name)
        test, evaluation = time_of(split.test_from), time_of(split.eval_from)
        codes = np.where(times >= test, 2, np.where(times >= evaluation, 1, 0))
        return RowSplits(np.where(np.isnan(times), NO_SPLIT, codes).astype(np.int8), Reason.NO_TIME)
    values = columns.tokens(column, column_name).values
    if isinstance(split, HashSplit):
        codes = _hash_codes(values, split)
        is_null = np.asarray(pc.is_null(values))
        return RowSplits(np.where(is_null, NO_SPLIT, codes).astype(np.int8), Reason.NOTHING_TO_HASH)
    codes = np.full(len(values), NO_SPLIT, np.int8)
    for index, name in enumerate(SPLITS):
        texts = pa.array([text.encode() for text in getattr(split, name)], columns.TEXT)
        codes[np.asarray(pc.is_in(values, value_set=texts))] = index
    expected = ", ".join(repr(text) for name in SPLITS for text in getattr(split, name))
    return RowSplits(codes, Reason.UNKNOWN_SPLIT.format(expected=expected))


def _split_of_file(path: str, split: FileSplit) -> str:
    for name in SPLITS:
        pattern = getattr(split.files, name)
        if pattern and fnmatch.fnmatch(os.path.basename(path), pattern):
            return name
    raise SpecError(f"{path}: matches no pattern of split.files; add one, or leave the file out")


def _hash_codes(values: pa.Array, split: HashSplit) -> np.ndarray:
    import tensorflow as tf  # Imported here because only this split needs it.

    # FarmHash Fingerprint64: the same on every machine and in every version.
    salted = pc.binary_join_element_wise(
        values.fill_null(b""), pa.scalar(split.salt.encode(), columns.TEXT), pa.scalar(b"\x1f", columns.TEXT)
    )
    text = tf.constant(salted.to_numpy(zero_copy_only=False), tf.string)
    share = tf.strings.to_hash_bucket_fast(text, 1 << 30).numpy() / (1 << 30)
    return np.searchsorted([split.train, split.train + split.eval], share, side="right").clip(max=2)


def times_of(column: pa.Array, name: str) -> np.ndarray:
    """Returns times as numbers, float64 `[rows]`: numbers unchanged, dates as seconds since 1970.

    NaN if the time is missing, or the text is neither a number nor an ISO 8601 time.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        micros = column.cast(pa.timestamp("us", getattr(kind, "tz", None))).cast(pa.int64())
        return np.asarray(pc.divide(micros.cast(pa.float64()), 1e6).fill_null(np.nan))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(column.cast(pa.float64()).fill_null(np.nan))
    values = columns.tokens(column, name).values
    return np.array([_time_or_nan(value) for value in values.to_pylist()], np.float64)


def _time_or_nan(value: bytes | None) -> float:
    try:
        return np.nan if value is None else time_of(value.decode())
    except (ValueError, UnicodeDecodeError):
        return np.nan


def time_of(value: float | str) -> float:
    """Returns a time from the spec or a text from the data as a number, in the units of `times_of`."""
    try:
        return float(value)
    except ValueError:
        text = str(value).strip().replace("Z", "+00:00")
        return float(np.datetime64(_in_utc(text), "us").astype(np.int64)) / 1e6


def _in_utc(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat()
