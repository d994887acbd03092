"""The passes of an analysis over the rows: of times, then of everything else. In threads, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...transforms.spec import SPLITS, Spec, TimeSplit
from ...transforms.spec.inputs import raw_columns
from ..rows.checks import check_rows
from ..rows.columns import with_values
from ..rows.rejected import RejectedLimit
from .boundaries import TimeCounts, sum_times, times_of
from .cache import CountsCache, Sides
from .partitions import Part, Partition, for_each_part
from .row_sums import RowSums, RunningSums, sums_of


def times_of_all(
    partitions: Sequence[Partition], spec: Spec, split: TimeSplit, threads: int, cache: CountsCache | None = None
) -> TimeCounts:
    """Returns the times of all rows; reads only their column, and only of partitions that are not in the cache."""

    def times_of_part(part: Part) -> TimeCounts:
        return sum_times([times_of(batch, split) for batch in part([split.time])])

    all_times, unknown = [], []
    for partition in partitions:
        known = cache.times(partition, split, spec) if cache else None
        if known is None:
            unknown.append(partition)
        else:
            all_times.append(known)
    for partition, found in for_each_part(unknown, times_of_part, threads):
        times = sum_times(list(found))
        if cache is not None:
            cache.keep_times(partition, split, spec, times)
        all_times.append(times)
    return sum_times(all_times)


@dataclass(frozen=True)
class _OfPart:
    """The sums of a part, and its numbers of rows read and rejected."""

    sums: Sides
    limit: RejectedLimit


def train_sums(partitions: Sequence[Partition], spec: Spec, threads: int, cache: CountsCache | None = None) -> RowSums:
    """Returns the sums of all train rows.

    Args:
        partitions: The rows.
        spec: Their spec, with the boundaries of a time split.
        threads: The number of threads.
        cache: Partitions that it knows are not read; the others are added to it. With a time split, it must know the
            times.

    Raises:
        TooManyRejected: more rows are rejected than `max_rejected`, if that is a count.
    """
    columns = raw_columns(spec)
    both = cache is not None and isinstance(spec.split, TimeSplit)

    def sums_of_part(part: Part) -> _OfPart:
        running, limit = _RunningSides(spec, both), RejectedLimit(spec)
        for batch in part(columns):
            # A moved boundary can make later rows those of train.
            checked = check_rows(batch, spec, sampled=SPLITS, constants=False)
            limit.count(checked.read, checked.rejected)
            if limit.is_exceeded:
                break  # The error counts the rows of the parts before this one, too: it is raised below.
            train = sums_of(with_values(checked.of_split("train").rows, spec), spec)
            later = checked.without_split("train").rows
            running.add(Sides(train, sums_of(with_values(later, spec), spec) if both else None))
        return _OfPart(running.total(), limit)

    all_rows, limit, unknown = RunningSums(spec), RejectedLimit(spec), []
    for partition in partitions:
        known = cache.train_sums(partition, spec) if cache else None
        if known is None:
            unknown.append(partition)
        else:
            all_rows.add(known)
    for partition, parts in for_each_part(unknown, sums_of_part, threads):
        of_partition = _RunningSides(spec, both)
        for part in parts:
            limit.add_worker(part.limit)
            if cache is None:
                all_rows.add(part.sums.train)
            else:
                of_partition.add(part.sums)
        if cache is not None:
            sums = of_partition.total()
            cache.keep_sums(partition, spec, sums)
            all_rows.add(sums.train)
    return all_rows.total()


class _RunningSides:
    """The sums of the train rows of a partition, and of its other rows if a cache keeps both."""

    def __init__(self, spec: Spec, both: bool) -> None:
        self._train, self._later = RunningSums(spec), RunningSums(spec) if both else None

    def add(self, sums: Sides) -> None:
        self._train.add(sums.train)
        if self._later is not None and sums.later is not None:
            self._later.add(sums.later)

    def total(self) -> Sides:
        return Sides(self._train.total(), None if self._later is None else self._later.total())
