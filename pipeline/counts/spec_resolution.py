"""Resolves a spec: computes the time boundaries and list lengths that it leaves open.

This comes before the main job, because TensorFlow Transform needs the width of each feature to build its graph. Each
kind takes one pass over the data, which is skipped if the spec gives the values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from ...transforms.errors import SourceError
from ...transforms.spec import MultivaluedField, Spec, TimeSplit
from ..jobs.job import running_pipeline
from ..rows.checks import CheckRows
from ..rows.columns import tokens
from ..rows.times import Times, expected_time, read_times
from ..sources.batches import SourceBatch, as_json, raw_row
from .counters import Counted, Counts, WriteCounts, read_counts
from .row_counts import count_rows
from .time_units import first_times, resolve_unit, with_boundaries

# An error shows this number of characters of a value.
_SHOWN = 100

# Returns a PTransform that reads SourceBatches; called once for each time that the rows are read.
ReadRows = Callable[[], beam.PTransform]


def resolve_spec(
    spec: Spec, read_rows: ReadRows, options: PipelineOptions, work: str, first_rows: Iterable[SourceBatch] = ()
) -> Spec:
    """Returns the spec with a number for each `max_len`, and with the unit and the boundaries of a time split.

    Args:
        spec: The spec to resolve.
        read_rows: Returns a PTransform that reads the rows.
        options: Beam options of the passes.
        work: Folder for the results of the passes. A pass whose result already exists is skipped.
        first_rows: The first rows, which show the unit of times if the spec gives the boundaries but no unit. They are
            read until one has a time.

    Raises:
        SourceError: no row has a time.
        SpecError: the unit of times is ambiguous, or the boundaries are in another unit.
    """
    split = spec.split
    if isinstance(split, TimeSplit) and split.eval_from is None:
        count_times = beam.Map(_count_times, split.time, split.time_format)
        times = _run_pass(read_rows, count_times, options, FileSystems.join(work, "times.json"))
        spec = spec.model_copy(update={"split": _with_found_boundaries(times, split, first_rows)})
    elif isinstance(split, TimeSplit):
        unit = resolve_unit(split, first_times(first_rows, split))
        spec = spec.model_copy(update={"split": split.model_copy(update={"time_unit": unit})})
    if open_lengths(spec):
        lengths = _run_pass(read_rows, _CountLengths(spec), options, FileSystems.join(work, "lengths.json"))
        spec = with_lengths(spec, lengths)
    return spec


def passes(spec: Spec) -> list[str]:
    """Returns the names of the passes that `resolve_spec` needs, `times` and `lengths`; each is a separate job."""
    split = spec.split
    has_open_times = isinstance(split, TimeSplit) and split.eval_from is None
    return [*(["times"] if has_open_times else []), *(["lengths"] if open_lengths(spec) else [])]


def open_lengths(spec: Spec) -> dict[str, MultivaluedField]:
    """Returns the fields whose `max_len` is `auto` or a percentile."""
    lists = spec.fields_of(MultivaluedField)
    return {name: field for name, field in lists.items() if not isinstance(field.max_len, int)}


def with_lengths(spec: Spec, counts: Counts) -> Spec:
    """Returns the spec with `auto` and percentile lengths computed from the train rows in `counts`."""
    details = counts.by_detail()
    fields = dict(spec.fields)
    for name, field in open_lengths(spec).items():
        percent = 100.0 if field.max_len == "auto" else float(str(field.max_len)[1:])
        rows = details.get(("length", name, "train"), {})
        fields[name] = field.model_copy(update={"max_len": max(1, percentile(rows, percent))})
    return spec.model_copy(update={"fields": fields})


def percentile(rows_by_length: Mapping[float, int], percent: float) -> int:
    """Returns the smallest length that at least `percent` % of the rows do not exceed; 0 without rows."""
    if not rows_by_length:
        return 0
    lengths, rows = list(rows_by_length), list(rows_by_length.values())
    share = float(Decimal(str(percent)) / 100)  # In floating point, 99.9 / 100 is greater than 0.999.
    return int(np.quantile(lengths, share, weights=rows, method="inverted_cdf"))


class _CountLengths(beam.PTransform):
    """SourceBatches → Counts, including the number of rows by list length for each field and split."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._spec = spec

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        checked = batches | "CheckRows" >> beam.ParDo(CheckRows(self._spec))
        return checked | "CountRows" >> beam.Map(count_rows, self._spec)


def _count_times(batch: SourceBatch, column: str, time_format: str | None = None) -> Counts:
    """Returns the number of rows at each distinct time, separately for numbers, whose unit is not yet known."""
    counts = Counts()
    if batch.data.num_rows:
        times = read_times(batch.data[column], column, time_format)
        for kind, is_kind in (("number", times.is_number), ("time", ~times.is_number)):
            values, rows = np.unique(times.values[is_kind & ~np.isnan(times.values)], return_counts=True)
            pairs = zip(values.tolist(), rows.tolist(), strict=True)
            counts.sums.update({Counted("time", kind, detail=value): number for value, number in pairs})
    return counts


def _run_pass(read_rows: ReadRows, count: beam.PTransform, options: PipelineOptions, path: str) -> Counts:
    if FileSystems.exists(path):
        return read_counts(path)
    part, _ = os.path.splitext(os.path.basename(path))
    with running_pipeline(options, part) as pipeline:
        _ = pipeline | "Read" >> read_rows() | "Count" >> count | "WriteCounts" >> WriteCounts(path)
    return read_counts(path)


def _with_found_boundaries(counts: Counts, split: TimeSplit, first_rows: Iterable[SourceBatch]) -> TimeSplit:
    """Returns the split with its unit, and the boundaries that bring its shares closest to those of the spec.

    Raises:
        SourceError: there is no time; the message has a value from `first_rows`.
        SpecError: the unit of times is ambiguous.
    """
    keys, rows = list(counts.sums), np.array(list(counts.sums.values()))
    times = Times(np.array([key.detail for key in keys]), np.array([key.field == "number" for key in keys], bool))
    unit = resolve_unit(split, times, rows)
    seconds = times.seconds(unit)
    if np.isnan(seconds).all():
        raise _no_times(split, first_rows)
    return with_boundaries(split, *_boundaries(seconds, rows, split), unit)


def _no_times(split: TimeSplit, first_rows: Iterable[SourceBatch]) -> SourceError:
    """Returns the error that no row has a time, with the first value of the column, its file and its row."""
    batches = [batch for batch in first_rows if batch.data.num_rows]
    for batch in batches:
        present = np.flatnonzero(tokens(batch.data[split.time], split.time).values.is_valid())
        if len(present):
            value = as_json(raw_row(batch.data.select([split.time]), int(present[0]))[split.time])
            return SourceError(
                f"{batch.source}: row {batch.numbers[present[0]]}: no row has a time that can be read in column "
                f"{split.time!r} (split.time), this one has {_short(value)}; expected "
                f"{expected_time(split, split.time_unit)}. Convert the column, state its `time_format`, or split by "
                "another one"
            )
    fault = f"all values of column {split.time!r} are missing" if batches else "there are no rows"
    return SourceError(f"split.time: {fault}, so there is no time to split by; correct the files or the column")


def _short(value: object) -> str:
    text = repr(str(value)) if not isinstance(value, int | float) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _boundaries(times: np.ndarray, rows: np.ndarray, split: TimeSplit) -> tuple[float, float]:
    """Returns the first times of eval and test for which the splits' sizes are closest to the requested shares.

    Args:
        times: In any order, NaN for values that are not times, at least one time, float64 `[times]`.
        rows: The number of rows at each time, `[times]`.
        split: The split with the shares.
    """
    is_time = ~np.isnan(times)
    # Values of several units may be the same time.
    distinct, position = np.unique(times[is_time], return_inverse=True)
    before = np.concatenate([[0], np.cumsum(np.bincount(position, weights=rows[is_time]))])
    starts = np.append(distinct, np.inf)

    def start_of(share: float) -> float:
        return float(starts[np.abs(before - share * before[-1]).argmin()])

    return start_of(split.train), start_of(split.train + split.eval)
