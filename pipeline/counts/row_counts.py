"""Counts of rows and values: of checked rows before the transform, of ids and scaled numbers after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from ...transforms.spec import LABEL_FEATURE, LABEL_WEIGHT_FEATURE, SPLITS, MultivaluedField, NumericField, Spec
from ...transforms.sums.exact_sums import moments_of
from ..rows import columns
from ..rows.checks import Checked
from ..tfrecords.sink import Examples
from .counters import Counted, Counts

# Minimum and maximum by numeric field.
Ranges = Mapping[str, tuple[float, float]]

# The weights of rows count as the numbers of a field of this name, which no field can have.
LABEL_WEIGHT = "(label.weight)"

# The parts of `exact_sums.Moments` that are summed by exponent.
MOMENTS = ("sums", "high_squares", "low_squares")


def count_rows(checked: Checked, spec: Spec, ranges: Ranges | None = None) -> Counts:
    """Returns the counts of checked rows.

    These are the rows read and rejected; by split, rows, positives and the moments of weights; by split and field,
    missing and present values, list lengths, truncation, and the moments of numbers.

    Args:
        checked: Rows with their splits.
        spec: The spec of the rows.
        ranges: Minimum and maximum by numeric field; numbers outside are counted.
    """
    counts = count_read(checked)
    rows, splits = columns.with_values(checked.rows, spec, texts=False), checked.splits
    if not rows.num_rows:
        return counts

    def add(what: str, field: str, by_row: np.ndarray) -> None:
        _add_by_split(counts, what, field, by_row, splits)

    add("rows", "", np.ones(len(splits)))
    add("positives", "", np.asarray(rows[LABEL_FEATURE]))
    if spec.label.weight is not None:
        _count_numbers(counts, LABEL_WEIGHT, np.asarray(rows[LABEL_WEIGHT_FEATURE]), splits)
    for name, field in spec.fields.items():
        if isinstance(field, MultivaluedField):
            lengths = columns.bag_lengths(rows[name])
            _count_lengths(counts, name, lengths, splits)
            if isinstance(field.max_len, int):  # Not yet resolved while list lengths are counted.
                add("values_truncated", name, np.maximum(lengths - field.max_len, 0))
                add("rows_truncated", name, lengths > field.max_len)
            continue
        present = np.asarray(rows[name].is_valid())
        add("missing", name, ~present)
        add("values", name, present)
        if field.raw == "number":
            numbers = rows[name].fill_null(np.nan).to_numpy(zero_copy_only=False)
            _count_numbers(counts, name, numbers[present], splits[present])
            if ranges and name in ranges:
                low, high = ranges[name]
                add("outside", name, (numbers < low) | (numbers > high))
    return counts


def count_read(checked: Checked) -> Counts:
    """Returns the numbers of rows read, rejected and sampled out, and of those that exploded rows were made from."""
    sums = {Counted("read"): checked.read, Counted("rejected"): len(checked.rejected)}
    if checked.sampled_out:
        sums[Counted("sampled_out")] = checked.sampled_out
    if checked.source_rows is not None:
        sums[Counted("source_rows")] = checked.source_rows
    return Counts(Counter(sums))


def count_missing(checked: Checked, spec: Spec) -> Counts:
    """Returns the number of accepted rows without a value, by field; for rows without a split."""
    counts, rows = Counts(), columns.with_values(checked.rows, spec, texts=False)
    for name, field in spec.fields.items():
        values = rows[name]
        missing = (columns.bag_lengths(values) == 0).sum() if field.is_list else values.null_count
        counts.sums[Counted("missing", name)] = int(missing)
    return counts


def count_ids(examples: Examples, spec: Spec) -> Counts:
    """Returns by field and split the number of ids that the model sees, and of OOV ids among them."""
    counts = Counts()
    vocabularies = spec.resolved_vocabularies()
    rows_of = {split: np.flatnonzero(examples.splits == code) for code, split in enumerate(SPLITS)}
    for name, field in spec.fields.items():
        if not field.has_vocabulary or not len(examples.splits):
            continue
        ids = np.asarray(examples.rows[name].flatten()).reshape(len(examples.splits), -1)
        is_seen, is_oov = ids != 0, vocabularies[spec.vocabulary_of(name)].is_oov(ids)
        for split, of_split in rows_of.items():
            counts.sums[Counted("values_seen", name, split)] += int(np.count_nonzero(is_seen[of_split]))
            counts.sums[Counted("oov", name, split)] += int(np.count_nonzero(is_oov[of_split]))
    return counts


def count_clipped(examples: Examples, spec: Spec) -> Counts:
    """Returns by field and split the number of scaled numbers at the field's limit, for the fields that have one."""
    counts = Counts()
    for name, field in spec.fields_of(NumericField).items():
        if field.limit is not None and len(examples.splits):
            numbers = np.asarray(examples.rows[name].flatten())
            _add_by_split(counts, "clipped", name, np.abs(numbers) == np.float32(field.limit), examples.splits)
    return counts


def _add_by_split(counts: Counts, what: str, field: str, by_row: np.ndarray, splits: np.ndarray) -> None:
    sums = np.bincount(splits, weights=by_row, minlength=len(SPLITS))
    for split, number in zip(SPLITS, sums.astype(np.int64).tolist(), strict=True):
        counts.sums[Counted(what, field, split)] += number


def _count_lengths(counts: Counts, name: str, lengths: np.ndarray, splits: np.ndarray) -> None:
    """Adds empty lists, values, and rows by list length."""
    _add_by_split(counts, "missing", name, lengths == 0, splits)
    _add_by_split(counts, "values", name, lengths, splits)
    times = np.bincount(lengths * len(SPLITS) + splits)
    for pair in np.flatnonzero(times).tolist():
        length, split = divmod(pair, len(SPLITS))
        counts.sums[Counted("length", name, SPLITS[split], length)] += int(times[pair])


def _count_numbers(counts: Counts, name: str, numbers: np.ndarray, splits: np.ndarray) -> None:
    """Adds exact sums of a field's numbers and of their squares by exponent, its range, and its zeros."""
    for code in np.flatnonzero(np.bincount(splits)).tolist():
        split, of_split = SPLITS[code], numbers[splits == code]
        found = moments_of(of_split)
        for part in MOMENTS:
            sums = getattr(found, part)
            for exponent in np.flatnonzero(sums).tolist():
                counts.sums[Counted(part, name, split, exponent)] += int(sums[exponent])
        counts.lowest[Counted("number", name, split)] = float(found.min)
        counts.highest[Counted("number", name, split)] = float(found.max)
        counts.sums[Counted("zeros", name, split)] += int((of_split == 0).sum())
