"""Works out what a spec leaves open, before the features' widths must be known: time boundaries, then lengths.

Each is one pass over the data, made only if the spec asks for it.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from ...transforms.errors import SourceError
from ...transforms.spec import MultivaluedField, Spec, TimeSplit
from ..jobs.job import running
from ..rows.checks import check_rows
from ..rows.rejected import RejectedLimit
from ..rows.splits import times_of
from ..runs.preprocess import read_counts, write_counts
from ..sources.batches import SourceBatch
from .counters import Counts, SumCounts, count_rows


def resolve(spec: Spec, rows: Callable[[], beam.PTransform], options: PipelineOptions, work: str) -> Spec:
    """Returns the spec with every `max_len` a number and a time split's boundaries given.

    Args:
        rows: returns a PTransform that makes SourceBatches out of a pipeline; called for each pass.
        options: of the Beam passes.
        work: a folder for what the passes find; what one has found there is not looked for again.

    Raises:
        SourceError: no row has a time that can be read.
    """
    split = spec.split
    if isinstance(split, TimeSplit) and split.eval_from is None:
        times = _count(rows, _Times(split.time), options, FileSystems.join(work, "times.json"))
        eval_from, test_from = _boundaries(times, split)
        spec = spec.model_copy(
            update={"split": split.model_copy(update={"eval_from": eval_from, "test_from": test_from})}
        )
    if open_lengths(spec):
        lengths = _count(rows, _Lengths(spec), options, FileSystems.join(work, "lengths.json"))
        spec = with_lengths(spec, lengths)
    return spec


def passes(spec: Spec) -> list[str]:
    """Returns what `resolve` makes a pass over the data for; each is a job of its own, of this name."""
    split = spec.split
    has_open_times = isinstance(split, TimeSplit) and split.eval_from is None
    return [*(["times"] if has_open_times else []), *(["lengths"] if open_lengths(spec) else [])]


def open_lengths(spec: Spec) -> list[str]:
    """Returns the fields whose `max_len` is `auto` or a percentile."""
    return [
        name
        for name, field in spec.fields.items()
        if isinstance(field, MultivaluedField) and not isinstance(field.max_len, int)
    ]


def with_lengths(spec: Spec, counts: Counts) -> Spec:
    """Returns the spec with `auto` and percentile lengths taken from the train rows in `counts`."""
    fields = dict(spec.fields)
    for name in open_lengths(spec):
        field = fields[name]
        assert isinstance(field, MultivaluedField)
        percent = 100.0 if field.max_len == "auto" else float(str(field.max_len)[1:])
        rows = {key[3]: times for key, times in counts.items() if key[:3] == ("length", name, "train")}
        fields[name] = field.model_copy(update={"max_len": max(1, percentile(rows, percent))})
    return spec.model_copy(update={"fields": fields})


def percentile(rows_by_length: dict[int, int], percent: float) -> int:
    """Returns the smallest length that at least `percent` of the rows do not exceed; 0 without rows."""
    wanted = math.ceil(sum(rows_by_length.values()) * percent / 100 - 1e-9)
    seen = 0
    for length in sorted(rows_by_length):
        seen += rows_by_length[length]
        if seen >= wanted:
            return length
    return 0


class _Times:
    """SourceBatch → rows for each distinct time."""

    def __init__(self, column: str) -> None:
        self._column = column

    def __call__(self, batch: SourceBatch) -> Counts:
        if not batch.data.num_rows:
            return Counter()
        times = times_of(batch.data[self._column], self._column)
        values, rows = np.unique(times[~np.isnan(times)], return_counts=True)
        return Counter({(value,): number for value, number in zip(values.tolist(), rows.tolist(), strict=True)})


class _Lengths:
    """SourceBatch → rows for each list length of each field and split, among others."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._limit = RejectedLimit(spec.max_rejected)

    def __call__(self, batch: SourceBatch) -> Counts:
        rows, splits, rejected = check_rows(batch, self._spec)
        self._limit.add(batch.data.num_rows + len(batch.rejected), rejected)
        return count_rows(rows, splits, self._spec) if rows.num_rows else Counter()


def _count(
    rows: Callable[[], beam.PTransform],
    count: Callable[[SourceBatch], Counts],
    options: PipelineOptions,
    path: str,
) -> Counts:
    if FileSystems.exists(path):
        return read_counts(path)
    part, _ = os.path.splitext(os.path.basename(path))
    with running(options, part) as pipeline:
        _ = (
            pipeline
            | "Read" >> rows()
            | "Count" >> beam.Map(count)
            | "Sum" >> beam.CombineGlobally(SumCounts())
            | "Write" >> beam.Map(write_counts, path)
        )
    return read_counts(path)


def _boundaries(rows_by_time: Counts, split: TimeSplit) -> tuple[float, float]:
    """Returns the first times of eval and test that come nearest to the fractions."""
    if not rows_by_time:
        raise SourceError(f"split.time: no row has a time that can be read in column {split.time!r}")
    times = np.array(sorted(time for (time,) in rows_by_time))
    before = np.cumsum([0, *(rows_by_time[time,] for time in times.tolist())])
    starts = np.append(times, np.inf)

    def start_of(share: float) -> float:
        return float(starts[np.abs(before - share * before[-1]).argmin()])

    return start_of(split.train), start_of(split.train + split.eval)
