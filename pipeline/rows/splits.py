"""Assigns rows to splits: by a column, by file, by the hash of columns, or by time. Samples negative rows by a hash.

What is hashed depends on the row only, so the result is the same on every runner and number of workers.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.errors import SpecError
from ...transforms.spec import SPLITS, FileSplit, HashSplit, Sample, Spec, TimeSplit
from ...transforms.spec.inputs import split_columns
from ..arrow_lists import is_list
from ..kernels.fingerprints import fingerprint64
from ..sources.batches import Reason, SourceBatch
from . import columns
from .times import boundaries_of, expected_time, read_times, split_unit

# Hashes are compared with shares of this number.
_HASH_BUCKETS = 1 << 30

# Hashed with the rows of a sample, so that it is independent of a hash split by the same column.
_OF_SAMPLE = "sample"

# Index into SPLITS of a row that has no split.
NO_SPLIT = -1


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
    column_name, *others = split_columns(spec)
    column = batch.data[column_name]
    if isinstance(split, TimeSplit):
        if split.eval_from is None or split.test_from is None:
            raise ValueError("the time split has no boundaries; call runs.spec_resolution.resolve_spec first")
        unit = split_unit(split)
        times = read_times(column, column_name, split.time_format).seconds(unit)
        evaluation, test = boundaries_of(split, unit)
        codes = np.where(times >= test, 2, np.where(times >= evaluation, 1, 0))
        reason = Reason.NO_TIME.format(expected=expected_time(split, unit))
        return RowSplits(np.where(np.isnan(times), NO_SPLIT, codes).astype(np.int8), reason)
    if isinstance(split, HashSplit):
        parts = [texts_to_hash(batch.data[name], name) for name in (column_name, *others)]
        shares = hashed_shares(_joined(parts), split.salt)
        codes = np.searchsorted([split.train, split.train + split.eval], shares, side="right").clip(max=2)
        is_null = np.all([np.asarray(pc.is_null(part)) for part in parts], axis=0)
        return RowSplits(np.where(is_null, NO_SPLIT, codes).astype(np.int8), Reason.NOTHING_TO_HASH)
    values = columns.tokens(column, column_name).values
    codes = np.full(len(values), NO_SPLIT, np.int8)
    for index, name in enumerate(SPLITS):
        texts = pa.array([text.encode() for text in getattr(split, name)], columns.TEXT)
        codes[np.asarray(pc.is_in(values, value_set=texts))] = index
    expected = ", ".join(repr(text) for name in SPLITS for text in getattr(split, name))
    return RowSplits(codes, Reason.UNKNOWN_SPLIT.format(expected=expected))


def check_files(paths: Iterable[str], spec: Spec) -> None:
    """Raises SpecError if the spec splits by file, and a file matches no pattern or those of two splits."""
    if isinstance(spec.split, FileSplit):
        for path in paths:
            _split_of_file(path, spec.split)


def _split_of_file(path: str, split: FileSplit) -> str:
    patterns = {name: getattr(split.files, name) for name in SPLITS}
    found = [name for name, text in patterns.items() if text and fnmatch.fnmatch(os.path.basename(path), text)]
    if not found:
        raise SpecError(f"{path}: matches no pattern of split.files; add one, or leave the file out")
    if len(found) > 1:
        matched = " and ".join(f"{name} ({patterns[name]!r})" for name in found)
        raise SpecError(f"{path}: matches the patterns of {matched} in split.files; a file must match one only")
    return found[0]


def texts_to_hash(column: pa.Array, name: str) -> pa.Array:
    """Returns the text of each row that a hash split depends on, large_binary; null if it is missing.

    It is the token of a single value, and the joined tokens of a list.
    """
    if not is_list(column.type):
        return columns.tokens(column, name).values
    separator = pa.scalar(b"\x1f", columns.TEXT)
    joined = pc.binary_join(columns.bags(column, None, name).values, separator)
    return pc.if_else(pc.equal(joined, pa.scalar(b"", columns.TEXT)), pa.scalar(None, columns.TEXT), joined)


def _joined(parts: list[pa.Array]) -> pa.Array:
    """Returns the texts of several columns as one text a row; a missing value counts as an empty text."""
    separator = pa.scalar(b"\x1e", columns.TEXT)
    return pc.binary_join_element_wise(*(part.fill_null(b"") for part in parts), separator)


def hashed_shares(texts: pa.Array, *salts: str) -> np.ndarray:
    """Returns a number from 0 to below 1 for each text, float64 `[texts]`: a hash of the text and the salts."""
    salted = pc.binary_join_element_wise(
        texts, *(pa.scalar(salt.encode(), columns.TEXT) for salt in salts), pa.scalar(b"\x1f", columns.TEXT)
    )
    share: np.ndarray = (fingerprint64(salted) % _HASH_BUCKETS).astype(np.float64) / _HASH_BUCKETS
    return share


def negatives_left_out(batch: SourceBatch, spec: Spec, sample: Sample) -> np.ndarray:
    """Returns which rows the sample leaves out if they are negative, bool `[rows]`.

    The hash is that of the value of `by`; of rows without a value, and without `by`, it is that of the row: its key, or
    its place in the source.

    Args:
        batch: Raw rows.
        spec: Their spec.
        sample: Its section `sample`.
    """
    texts = _rows(batch, spec)
    if sample.by is not None:
        groups = texts_to_hash(batch.data[sample.by], sample.by)
        texts = pc.coalesce(groups, texts)
    left_out: np.ndarray = hashed_shares(texts, sample.salt, _OF_SAMPLE) >= sample.negatives
    return left_out


def _rows(batch: SourceBatch, spec: Spec) -> pa.Array:
    """Returns a text that identifies each row, large_binary."""
    if spec.key_columns:
        return _joined([texts_to_hash(batch.data[name], name) for name in spec.key_columns.values()])
    numbers = pa.array(batch.numbers).cast(pa.large_string()).cast(columns.TEXT)
    separator = pa.scalar(b"\x1e", columns.TEXT)
    return pc.binary_join_element_wise(pa.scalar(_place(batch.source).encode(), columns.TEXT), numbers, separator)


def _place(path: str) -> str:
    """Returns the name of a file with the folders above it that hold values, `day=1/a.csv`.

    Not the whole path: the sample is the same wherever the files are.
    """
    *folders, name = path.split("/")
    while folders and "=" in folders[-1]:
        name = f"{folders.pop()}/{name}"
    return name
