"""Partitions: rows that belong together, in parts that threads of this process read without Beam."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ...transforms.spec import Source
from ..rows.read_rows import read_part
from ..sources.batches import SourceBatch
from ..sources.files import FileStamp
from ..sources.readers import file_ranges

# Reads the given columns of a part of a partition.
Part = Callable[[Sequence[str]], Iterable[SourceBatch]]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Partition:
    """Some rows, such as those of a file.

    Attributes:
        name: The path of the file, for messages.
        parts: Finds the parts; may read the file.
    """

    name: str
    parts: Callable[[], Iterable[Part]]


def partitions_of(files: Sequence[FileStamp], source: Source, source_name: str | None = None) -> list[Partition]:
    """Returns one partition for each file; its parts are the ranges of the file.

    Args:
        files: The files; one that has changed by the time it is read is an error.
        source: Their format.
        source_name: See `ReadBatches`.
    """
    return [Partition(file.path, partial(_ranges, file, source, source_name)) for file in files]


def _ranges(file: FileStamp, source: Source, source_name: str | None) -> Iterator[Part]:
    for part in file_ranges(file.path, source):
        yield partial(read_part, file, part, source, name=source_name)


def for_each_part(
    partitions: Iterable[Partition], work: Callable[[Part], _Result], threads: int
) -> Iterator[tuple[Partition, _Result]]:
    """Yields each partition with the result of `work` for each of its parts, in their order.

    Several threads work on the parts. An error is that of the first part that has one, in any run. A few parts are
    worked on ahead of the one whose result is yielded, which limits memory.
    """
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[tuple[Partition, Future[_Result]]] = deque()
        try:
            for partition in partitions:
                for part in partition.parts():
                    pending.append((partition, pool.submit(work, part)))
                    if len(pending) > threads:
                        yield _finished(pending)
            while pending:
                yield _finished(pending)
        finally:
            pool.shutdown(cancel_futures=True)


def _finished(pending: deque[tuple[Partition, Future[_Result]]]) -> tuple[Partition, _Result]:
    partition, result = pending.popleft()
    return partition, result.result()
