"""The passes of an analysis over the rows: of times, then of everything else. In threads, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...transforms.spec import Spec, TimeSplit
from ..rows.checks import check_rows, raw_columns
from ..rows.rejected import RejectedLimit
from .boundaries import TimeCounts, sum_times, times_of
from .partitions import Part, Partition, for_each_part
from .row_sums import RowSums, RunningSums, sums_of


def times_of_all(partitions: Sequence[Partition], split: TimeSplit, threads: int) -> TimeCounts:
    """Returns the times of all rows; reads only their column."""

    def times_of_part(part: Part) -> TimeCounts:
        return sum_times([times_of(batch, split) for batch in part([split.time])])

    total = sum_times([])
    for _, times in for_each_part(partitions, times_of_part, threads):
        total = sum_times([total, times])
    return total


@dataclass(frozen=True)
class _OfPart:
    """The sums of the train rows of a part, and its numbers of rows read and rejected."""

    sums: RowSums
    limit: RejectedLimit


def sums_of_all(partitions: Sequence[Partition], spec: Spec, threads: int) -> RowSums:
    """Returns the sums of all train rows.

    Args:
        partitions: The rows.
        spec: Their spec, with the boundaries of a time split.
        threads: The number of threads.

    Raises:
        TooManyRejected: more rows are rejected than `max_rejected`, if that is a count.
    """
    columns = raw_columns(spec)

    def sums_of_part(part: Part) -> _OfPart:
        running, limit = RunningSums(spec), RejectedLimit(spec)
        for batch in part(columns):
            checked = check_rows(batch, spec)
            limit.add(checked.read, checked.rejected)
            running.add(sums_of(checked.of_split("train").rows, spec))
        return _OfPart(running.total(), limit)

    running, limit = RunningSums(spec), RejectedLimit(spec)
    for _, found in for_each_part(partitions, sums_of_part, threads):
        limit.add_worker(found.limit)
        running.add(found.sums)
    return running.total()
