"""Partitions: files that are counted together, in parts that threads of this process read without Beam."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import TypeVar

from ...transforms.spec import Source
from ..jobs.in_order import in_order
from ..rows.read_rows import ranges_of, read_part
from ..sources.batches import SourceBatch
from ..sources.files import FileStamp

# Reads the given columns of a part of a partition.
Part = Callable[[Sequence[str]], Iterable[SourceBatch]]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Partition:
    """Some rows.

    Attributes:
        name: The path of a folder such as `logs/dt=2026-11-01`, or of a file; for messages.
        parts: Finds the parts; may read the files.
        files: The files, sorted by path; none if the rows are not in files, and their counts cannot be kept.
    """

    name: str
    parts: Callable[[], Iterable[Part]]
    files: tuple[FileStamp, ...] = ()


def partitions_of(files: Iterable[FileStamp], source: Source, source_name: str | None = None) -> list[Partition]:
    """Returns the partitions of the files, sorted by name.

    The files in a folder that is named `key=value`, as Hive and Spark do, are a partition. Any other file is one.

    Args:
        files: The files; one that has changed by the time it is read is an error.
        source: Their format.
        source_name: See `ReadBatches`.

    >>> stamps = [FileStamp(path, 0, 0.0) for path in ("logs/dt=1/a.csv", "logs/dt=1/b.csv", "logs/c.csv")]
    >>> [partition.name for partition in partitions_of(stamps, Source())]
    ['logs/c.csv', 'logs/dt=1']
    """
    by_name: dict[str, list[FileStamp]] = {}
    for file in sorted(files):
        folder = os.path.dirname(file.path)
        by_name.setdefault(folder if "=" in os.path.basename(folder) else file.path, []).append(file)
    return [
        Partition(name, partial(_ranges, of_name, source, source_name), tuple(of_name))
        for name, of_name in sorted(by_name.items())
    ]


def _ranges(files: Sequence[FileStamp], source: Source, source_name: str | None) -> Iterator[Part]:
    for file in files:
        for part in ranges_of(file, source):
            yield partial(read_part, file, part, source, name=source_name)


def for_each_part(
    partitions: Iterable[Partition], work: Callable[[Part], _Result], threads: int
) -> Iterator[tuple[Partition, Iterator[_Result]]]:
    """Yields each partition with the results of `work` for its parts, in their order; none for one without rows.

    Several threads work on the parts, also on some of the next partition, which limits memory. An error is that of the
    first part that has one, in any run. The results of a partition must be used before those of the next one.
    """

    def parts() -> Generator[tuple[Partition, Part | None], None, None]:
        for partition in partitions:
            yield partition, None
            yield from ((partition, part) for part in partition.parts())

    def done(pair: tuple[Partition, Part | None]) -> tuple[Partition, list[_Result]]:
        partition, part = pair
        return partition, [] if part is None else [work(part)]

    with closing(in_order(done, parts(), threads)) as results:
        for partition, pairs in itertools.groupby(results, key=itemgetter(0)):
            yield partition, (result for _, found in pairs for result in found)
