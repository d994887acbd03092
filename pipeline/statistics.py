"""Counts of a run: rows by split, and for each field missing values, OOV, list lengths and values cut.

Counts travel as `collections.Counter`s with tuple keys, so that batches, bundles and workers add up in any
order; `as_json` lays the sum out as `stats.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..transforms.spec import (
    SPLITS,
    CategoricalField,
    MultivaluedField,
    NumericField,
    Quantiles,
    Spec,
)
from . import columns

Counts = Counter[tuple[Any, ...]]


class SumCounts(beam.CombineFn):
    """Adds up Counters."""

    def create_accumulator(self) -> Counts:
        """Returns no counts."""
        return Counter()

    def add_input(self, total: Counts, counts: Counts) -> Counts:
        """Returns the total with `counts` added."""
        total.update(counts)
        return total

    def merge_accumulators(self, totals: Iterable[Counts]) -> Counts:
        """Returns the sum of the totals."""
        merged: Counts = Counter()
        for total in totals:
            merged.update(total)
        return merged

    def extract_output(self, total: Counts) -> Counts:
        """Returns the total."""
        return total


def count_rows(rows: pa.RecordBatch, splits: np.ndarray, spec: Spec) -> Counts:
    """Returns the counts of checked rows, before the transform: rows, missing, lengths, values, cut."""
    counts: Counts = Counter()
    for code in np.unique(splits):
        split = SPLITS[code]
        part = rows.filter(pa.array(splits == code))
        counts["rows", split] += part.num_rows
        counts["positives", split] += int(pc.sum(part["label"]).as_py() or 0)
        for name, field in spec.fields.items():
            if not isinstance(field, MultivaluedField):
                counts["missing", name, split] += part[name].null_count
                counts["values", name, split] += part.num_rows - part[name].null_count
                continue
            lengths = columns.bag_lengths(part[name])
            counts["missing", name, split] += int((lengths == 0).sum())
            counts["values", name, split] += int(lengths.sum())
            if isinstance(field.max_len, int):
                over = lengths - field.max_len
                counts["cut", name, split] += int(over[over > 0].sum())
                counts["rows_cut", name, split] += int((over > 0).sum())
            for length, times in zip(*np.unique(lengths, return_counts=True), strict=True):
                counts["length", name, split, int(length)] += int(times)
    return counts


def count_oov(element: tuple[str, pa.RecordBatch], spec: Spec) -> Counts:
    """Returns how many values of each field of (split, examples) have an OOV id."""
    split, examples = element
    counts: Counts = Counter()
    vocabularies = spec.resolved_vocabularies()
    for name, field in spec.fields.items():
        if isinstance(field, NumericField):
            continue
        ids = pc.list_flatten(examples[name])
        num_oov = vocabularies[spec.vocabulary_of(name)].num_oov
        is_oov = pc.and_(pc.greater(ids, 0), pc.less_equal(ids, num_oov))
        counts["oov", name, split] += pc.sum(is_oov).as_py() or 0
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
        elif isinstance(field, NumericField) and isinstance(field.scale, Quantiles):
            entry["buckets"] = field.scale.quantiles
        fields[name] = entry
    return {
        "read": sum(rows.values()) + get("rejected"),
        **rows,
        "rejected": get("rejected"),
        "positives": {split: get("positives", split) for split in SPLITS},
        "vocabularies": {name: dict(sizes) for name, sizes in vocabularies.items()},
        "fields": fields,
    }


def _histogram(counts: Mapping[tuple[Any, ...], int], name: str, split: str) -> dict[str, int]:
    """Returns the number of rows for each list length of a field."""
    lengths = {key[3]: times for key, times in counts.items() if key[:3] == ("length", name, split)}
    return {str(length): lengths[length] for length in sorted(lengths)}
