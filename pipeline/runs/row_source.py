"""`RowSource`: where the rows of a run come from."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

from ..analysis.cache import CountsCache
from ..analysis.partitions import Partition
from ..folders.work_folder import Fingerprint
from ..rows.read_rows import ReadRows
from ..sources.batches import SourceBatch


@dataclass(frozen=True)
class RowSource:
    """The source of a run's rows.

    Attributes:
        read_rows: Returns a PTransform that reads SourceBatches; called once for each time that the rows are read.
        fingerprint: Identifies the inputs of the run; without it, the run cannot be resumed.
        check_unchanged: Raises SourceChanged if the rows have changed since the job was prepared.
        first_rows: Returns the first rows: the analysis looks there for the unit of times.
        partitions: Returns the rows in parts that this process can read. Default None: only Beam can read them.
        counts_cache: Counts of partitions from earlier analyses, and for later ones.
        batches: Yields the rows in this process, in order. Default None: only Beam can read them.
    """

    read_rows: ReadRows
    fingerprint: Fingerprint | None = None
    check_unchanged: Callable[[], None] = lambda: None
    first_rows: Callable[[], Iterable[SourceBatch]] = tuple
    partitions: Callable[[], Sequence[Partition]] | None = None
    counts_cache: CountsCache | None = None
    batches: Callable[[], Generator[SourceBatch, None, None]] | None = None
