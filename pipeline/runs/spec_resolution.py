"""Resolves a spec with Beam: computes the time boundaries and list lengths that it leaves open.

This comes before the main job, because TensorFlow Transform needs the width of each feature to build its graph. Each
kind takes one pass over the data, which is skipped if the spec gives the values.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from ...transforms.spec import Spec, TimeSplit
from ..analysis.boundaries import TimeCounts, times_of, with_found_boundaries
from ..analysis.lengths import open_lengths, with_lengths
from ..analysis.time_units import first_times, resolve_unit
from ..counts.counters import Counted, Counts, WriteCounts, read_counts
from ..counts.row_counts import count_rows
from ..jobs.job import running_pipeline
from ..rows.read_rows import CheckRows, ReadRows
from ..rows.times import Times
from ..sources.batches import SourceBatch


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
        count_times = beam.Map(_count_times, split)
        times = _as_times(_run_pass(read_rows, count_times, options, FileSystems.join(work, "times.json")))
        spec = spec.model_copy(update={"split": with_found_boundaries(times, split, first_rows)})
    elif isinstance(split, TimeSplit):
        unit = resolve_unit(split, first_times(first_rows, split))
        spec = spec.model_copy(update={"split": split.model_copy(update={"time_unit": unit})})
    if open_lengths(spec):
        lengths = _run_pass(read_rows, _CountLengths(spec), options, FileSystems.join(work, "lengths.json"))
        details = lengths.by_detail()
        spec = with_lengths(spec, {name: details.get(("length", name, "train"), {}) for name in open_lengths(spec)})
    return spec


def passes(spec: Spec) -> list[str]:
    """Returns the names of the passes that `resolve_spec` needs, `times` and `lengths`; each is a separate job."""
    split = spec.split
    has_open_times = isinstance(split, TimeSplit) and split.eval_from is None
    return [*(["times"] if has_open_times else []), *(["lengths"] if open_lengths(spec) else [])]


class _CountLengths(beam.PTransform):
    """SourceBatches → Counts, including the number of rows by list length for each field and split."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._spec = spec

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        checked = batches | "CheckRows" >> beam.ParDo(CheckRows(self._spec))
        return checked | "CountRows" >> beam.Map(count_rows, self._spec)


def _count_times(batch: SourceBatch, split: TimeSplit) -> Counts:
    """Returns the number of rows at each distinct time, separately for numbers, whose unit is not yet known."""
    found = times_of(batch, split)
    keys = zip(found.times.values.tolist(), found.times.is_number.tolist(), strict=True)
    counted = [Counted("time", "number" if is_number else "time", detail=value) for value, is_number in keys]
    return Counts(Counter(dict(zip(counted, found.rows.tolist(), strict=True))))


def _as_times(counts: Counts) -> TimeCounts:
    keys = list(counts.sums)
    times = Times(np.array([key.detail for key in keys]), np.array([key.field == "number" for key in keys], bool))
    return TimeCounts(times, np.array(list(counts.sums.values()), np.int64))


def _run_pass(read_rows: ReadRows, count: beam.PTransform, options: PipelineOptions, path: str) -> Counts:
    if FileSystems.exists(path):
        return read_counts(path)
    part, _ = os.path.splitext(os.path.basename(path))
    with running_pipeline(options, part) as pipeline:
        _ = pipeline | "Read" >> read_rows() | "Count" >> count | "WriteCounts" >> WriteCounts(path)
    return read_counts(path)
