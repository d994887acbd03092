"""Counts of a run: rows by split, and for each field missing values, OOV, list lengths and values cut.

Counts travel as `collections.Counter`s with tuple keys, so that batches, bundles and workers add up in any
order; `as_json` lays the sum out as `stats.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa

from ...transforms.numeric_statistics import EXPONENTS, Moments, moments_of, statistics_of
from ...transforms.spec import SPLITS, CategoricalField, MultivaluedField, NumericField, Quantiles, Spec
from ..rows import columns

Counts = Counter[tuple[Any, ...]]

# Lowest and highest number of each field.
Ranges = Mapping[str, tuple[float, float]]

_MOMENTS = ("sums", "high_squares", "low_squares")


class Examples(NamedTuple):
    """Rows after the transform, in the Arrow form of tf.Examples, and the split of each: int8, indices into SPLITS."""

    rows: pa.RecordBatch
    splits: np.ndarray


# Counts that are no sums: of equal keys the least or the greatest stays.
_EXTREMES: dict[str, Callable[[float, float], float]] = {"low": min, "high": max}


def add_counts(total: Counter[Any], counts: Mapping[Any, Any]) -> None:
    """Adds `counts` to the total."""
    for key, number in counts.items():
        choose = _EXTREMES.get(key[0])
        found: Any = choose(total.get(key, number), number) if choose else total[key] + number
        total[key] = found


class SumCounts(beam.CombineFn):
    """Adds up Counters."""

    def create_accumulator(self) -> Counts:
        """Returns no counts."""
        return Counter()

    def add_input(self, total: Counts, counts: Counts) -> Counts:
        """Returns the total with `counts` added."""
        add_counts(total, counts)
        return total

    def merge_accumulators(self, totals: Iterable[Counts]) -> Counts:
        """Returns the sum of the totals."""
        merged: Counts = Counter()
        for total in totals:
            add_counts(merged, total)
        return merged

    def extract_output(self, total: Counts) -> Counts:
        """Returns the total."""
        return total


def count_rows(rows: pa.RecordBatch, splits: np.ndarray, spec: Spec, ranges: Ranges | None = None) -> Counts:
    """Returns the counts of checked rows, before the transform: rows, missing, lengths, values, cut, numbers.

    Args:
        rows: see `quarantine.check_rows`.
        splits: of the rows.
        spec: of the rows.
        ranges: of numeric fields; the numbers outside are counted.
    """
    counts: Counts = Counter()

    def add(what: str, field: str | None, by_row: np.ndarray) -> None:
        sums = np.bincount(splits, weights=by_row, minlength=len(SPLITS))
        for split, number in zip(SPLITS, sums.astype(np.int64).tolist(), strict=True):
            counts[(what, split) if field is None else (what, field, split)] += number

    add("rows", None, np.ones(len(splits)))
    add("positives", None, np.asarray(rows["label"]))
    for name, field in spec.fields.items():
        if not isinstance(field, MultivaluedField):
            present = np.asarray(rows[name].is_valid())
            add("missing", name, ~present)
            add("values", name, present)
            if isinstance(field, NumericField):
                numbers = rows[name].fill_null(np.nan).to_numpy(zero_copy_only=False)
                counts.update(_count_numbers(name, numbers[present], splits[present]))
                if ranges and name in ranges:
                    low, high = ranges[name]
                    add("outside", name, (numbers < low) | (numbers > high))
            continue
        lengths = columns.bag_lengths(rows[name])
        add("missing", name, lengths == 0)
        add("values", name, lengths)
        if isinstance(field.max_len, int):
            add("cut", name, np.maximum(lengths - field.max_len, 0))
            add("rows_cut", name, lengths > field.max_len)
        times = np.bincount(lengths * len(SPLITS) + splits)
        for pair in np.flatnonzero(times).tolist():
            length, split = divmod(pair, len(SPLITS))
            counts["length", name, SPLITS[split], length] += int(times[pair])
    return counts


def _count_numbers(name: str, numbers: np.ndarray, splits: np.ndarray) -> Counts:
    """Returns exact sums of a field's numbers and of their squares by exponent, its range, and its zeros."""
    counts: Counts = Counter()
    for code in np.unique(splits).tolist():
        split, of_split = SPLITS[code], numbers[splits == code]
        found = moments_of(of_split)
        for part in _MOMENTS:
            sums = getattr(found, part)
            counts.update({(part, name, split, place): int(sums[place]) for place in np.flatnonzero(sums).tolist()})
        extremes: dict[Any, Any] = {("low", name, split): float(found.low), ("high", name, split): float(found.high)}
        counts.update(extremes)
        counts["zeros", name, split] += int((of_split == 0).sum())
    return counts


def count_oov(examples: Examples, spec: Spec) -> Counts:
    """Returns how many values of each field have an OOV id."""
    counts: Counts = Counter()
    vocabularies = spec.resolved_vocabularies()
    for name, field in spec.fields.items():
        if isinstance(field, NumericField):
            continue
        ids = np.asarray(examples.rows[name].flatten())
        num_oov = vocabularies[spec.vocabulary_of(name)].num_oov
        is_oov = (ids > 0) & (ids <= num_oov)
        if len(ids):
            by_row = np.add.reduceat(is_oov, np.arange(0, len(ids), len(ids) // len(examples.splits)), dtype=np.int64)
            sums = np.bincount(examples.splits, weights=by_row, minlength=len(SPLITS))
            counts.update({("oov", name, split): int(number) for split, number in zip(SPLITS, sums, strict=True)})
    return counts


def as_json(
    counts: Mapping[tuple[Any, ...], int], spec: Spec, vocabularies: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """Returns the contents of `stats.json`.

    Args:
        counts: the sum over all rows.
        vocabularies: tokens and distinct tokens of each vocabulary.
    """

    def get(*key: object) -> int:
        return counts.get(key, 0)

    def by_split(what: str, name: str) -> dict[str, int]:
        return {split: get(what, name, split) for split in SPLITS}

    rows = {split: get("rows", split) for split in SPLITS}
    fields: dict[str, Any] = {}
    for name, field in spec.fields.items():
        entry: dict[str, Any] = {"type": field.type}
        if not isinstance(field, NumericField):
            entry["vocabulary"] = spec.vocabulary_of(name)
        entry["missing" if not isinstance(field, MultivaluedField) else "empty"] = by_split("missing", name)
        entry["values"] = by_split("values", name)
        if isinstance(field, CategoricalField | MultivaluedField):
            entry["oov"] = by_split("oov", name)
        if isinstance(field, MultivaluedField):
            entry["max_len"] = field.max_len
            entry["values_cut"] = by_split("cut", name)
            entry["rows_cut"] = by_split("rows_cut", name)
            entry["lengths"] = {split: _histogram(counts, name, split) for split in SPLITS}
        if isinstance(field, NumericField):
            entry["numbers"] = {split: _numbers(counts, name, split) for split in SPLITS if get("values", name, split)}
            if isinstance(field.scale, Quantiles):
                entry["buckets"] = field.scale.quantiles
        fields[name] = entry
    return {
        "read": get("read"),
        **rows,
        "rejected": get("rejected"),
        "positives": {split: get("positives", split) for split in SPLITS},
        "vocabularies": {name: dict(sizes) for name, sizes in vocabularies.items()},
        "fields": fields,
    }


def _numbers(counts: Mapping[tuple[Any, ...], Any], name: str, split: str) -> dict[str, float]:
    """Returns mean, deviation, range and zeros of a field's numbers, rounded as float64 is."""
    sums = {part: np.zeros((1, EXPONENTS), np.int64) for part in _MOMENTS}
    for key, number in counts.items():
        if key[0] in sums and key[1:3] == (name, split):
            sums[key[0]][0, key[3]] = number
    low, high = counts["low", name, split], counts["high", name, split]
    total = np.array([counts["values", name, split]])
    mean, deviation, low, high = statistics_of(Moments(total, **sums, low=np.array([low]), high=np.array([high])), 0)
    return {"mean": mean, "deviation": deviation, "low": low, "high": high, "zeros": counts["zeros", name, split]}


def _histogram(counts: Mapping[tuple[Any, ...], int], name: str, split: str) -> dict[str, int]:
    """Returns the number of rows for each list length of a field."""
    lengths = {key[3]: times for key, times in counts.items() if key[:3] == ("length", name, split)}
    return {str(length): lengths[length] for length in sorted(lengths)}
