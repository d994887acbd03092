"""Converts the Counts of all rows to a run's `stats.json`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...transforms.runs.run_stats import BySplit, FieldStats, NumberStats, RunStats, VocabularyStats
from ...transforms.spec import SPLITS, MultivaluedField, NumericField, Spec, VectorField
from ...transforms.sums.exact_sums import EXPONENTS, Moments, statistics_of
from .counters import Counted, Counts
from .row_counts import LABEL_WEIGHT, MOMENTS

_Details = Mapping[tuple[str, str, str], Mapping[float, int]]


def run_stats(
    counts: Counts, spec: Spec, vocabularies: Mapping[str, VocabularyStats], columns: list[str] | None = None
) -> RunStats:
    """Returns the contents of `stats.json`.

    Args:
        counts: Summed over all rows.
        spec: The resolved spec.
        vocabularies: Their statistics, by name.
        columns: The columns of the source files, if known.
    """
    details = counts.by_detail()
    return RunStats(
        source_rows=None if spec.source.explode is None else counts.of("source_rows"),
        read=counts.of("read"),
        **{split: counts.of("rows", split=split) for split in SPLITS},
        rejected=counts.of("rejected"),
        sampled_out=None if spec.sample is None else counts.of("sampled_out"),
        positives=_by_split(counts, "positives"),
        label_weights=None if spec.label.weight is None else _label_weights(counts, details),
        duplicate_keys=None if spec.key is None else counts.of("duplicate_keys"),
        vocabularies=dict(vocabularies),
        fields={name: _field_stats(counts, details, spec, name) for name in spec.fields},
        columns=columns,
    )


def _by_split(counts: Counts, what: str, name: str = "") -> BySplit:
    return {split: counts.of(what, name, split) for split in SPLITS}


def _label_weights(counts: Counts, details: _Details) -> dict[str, NumberStats]:
    rows = _by_split(counts, "rows")
    return {split: _numbers(counts, details, LABEL_WEIGHT, split, rows[split]) for split in SPLITS if rows[split]}


def _field_stats(counts: Counts, details: _Details, spec: Spec, name: str) -> FieldStats:
    field = spec.fields[name]
    absent = _by_split(counts, "missing", name)
    stats = FieldStats(
        type=field.type,
        vocabulary=spec.vocabulary_of(name) if field.has_vocabulary else None,
        missing=None if field.is_list else absent,
        empty=absent if field.is_list else None,
        values=_by_split(counts, "values", name),
        values_seen=_by_split(counts, "values_seen", name) if field.has_vocabulary else None,
        oov=_by_split(counts, "oov", name) if field.has_vocabulary else None,
        buckets=field.buckets,
    )
    if isinstance(field, MultivaluedField):
        return stats.model_copy(
            update={
                "max_len": field.shape[0],
                "values_truncated": _by_split(counts, "values_truncated", name),
                "rows_truncated": _by_split(counts, "rows_truncated", name),
                "lengths": {split: _lengths(details, name, split) for split in SPLITS},
            }
        )
    if isinstance(field, VectorField):
        return stats.model_copy(update={"length": field.shape[0]})
    if isinstance(field, NumericField):
        numbers = {
            split: _numbers(counts, details, name, split, stats.values[split])
            for split in SPLITS
            if stats.values[split]
        }
        clipped = None if field.limit is None else _by_split(counts, "clipped", name)
        return stats.model_copy(update={"numbers": numbers, "clipped": clipped})
    return stats


def _lengths(details: _Details, name: str, split: str) -> dict[int, int]:
    """Returns the number of rows for each list length."""
    return {int(length): rows for length, rows in details.get(("length", name, split), {}).items()}


def _numbers(counts: Counts, details: _Details, name: str, split: str, number: int) -> NumberStats:
    """Returns mean, standard deviation, range and zeros of a field's numbers, rounded to float64.

    Args:
        counts: Summed over all rows.
        details: `counts.by_detail()`.
        name: The field.
        split: The split.
        number: How many numbers the split has.
    """
    sums = {part: np.zeros((1, EXPONENTS), np.int64) for part in MOMENTS}
    for part in MOMENTS:
        for exponent, of_exponent in details.get((part, name, split), {}).items():
            sums[part][0, int(exponent)] = of_exponent
    key = Counted("number", name, split)
    moments = Moments(
        np.array([number]),
        **sums,
        min=np.array([counts.lowest[key]]),
        max=np.array([counts.highest[key]]),
    )
    mean, std, least, greatest = statistics_of(moments, 0)
    zeros = counts.of("zeros", name, split)
    return NumberStats(mean=mean, std=std, min=least, max=greatest, zeros=zeros)
