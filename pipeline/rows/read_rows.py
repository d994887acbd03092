"""The steps of a Beam pipeline from files to checked rows, on any file system that Beam supports."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace

import apache_beam as beam
import numpy as np
import pyarrow as pa

from ...transforms.errors import SpecError
from ...transforms.spec import Source, Spec
from ...transforms.spec.inputs import raw_columns
from ..jobs.versions import check_versions, versions
from ..sources.batches import SourceBatch, at_paths
from ..sources.column_types import plain_rows
from ..sources.files import FileStamp, unchanged
from ..sources.ranges import FileRange
from ..sources.readers import file_ranges, read_range
from ..sources.source_file import check_is_found
from .checks import Checked, check_rows
from .rejected import RejectedLimit

# Returns a PTransform that reads SourceBatches; called once for each time that the rows are read.
ReadRows = Callable[[], beam.PTransform]


def read_files(
    files: Sequence[FileStamp], source: Source, columns: Sequence[str], name: str | None = None
) -> Generator[SourceBatch, None, None]:
    """Yields the batches of files in this process, in the order that ReadBatches gives them to a single worker."""
    check_is_found(source)
    for file in files:
        for part in ranges_of(file, source):
            yield from read_part(file, part, source, columns, name)


class ReadBatches(beam.PTransform):
    """Reads files: `pipeline | ReadBatches(files, source, columns)` gives a PCollection of SourceBatch.

    Args:
        files: from `sources.files.find_files`; a file that has changed by the time it is read is an error.
        source: their format; not `detect`.
        columns: the columns to read.
        name: the source that rows report instead of the path of their file; used for a temporary copy of a table.
    """

    def __init__(
        self, files: Sequence[FileStamp], source: Source, columns: Sequence[str], name: str | None = None
    ) -> None:
        super().__init__()
        check_is_found(source)
        self._files, self._source, self._columns, self._name = list(files), source, list(columns), name

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Returns the batches of all files."""
        # GroupByKey spreads files, and then ranges, over all workers. The keys are paths and positions, not random
        # numbers as in beam.Reshuffle, so that two local runs have their rows in the same order. beam.Create would
        # store all files three times in the pipeline, whose size services limit.
        return (
            pipeline
            | "Start" >> beam.Impulse()
            | "Files" >> beam.ParDo(_Files(self._files))
            | "SpreadFiles" >> beam.GroupByKey()
            | "FindRanges" >> beam.ParDo(_FindRanges(self._source))
            | "SpreadRanges" >> beam.GroupByKey()
            | "ReadRange" >> beam.ParDo(_ReadRange(self._source, self._columns, self._name))
        )


class _VersionedDoFn(beam.DoFn):
    """Base of the reading DoFns: each worker checks that its package versions equal those at submission."""

    def __init__(self) -> None:
        self._versions = versions()

    def setup(self) -> None:
        check_versions(self._versions)


class _Files(_VersionedDoFn):
    """Any single element → (path, file) for each file."""

    def __init__(self, files: Sequence[FileStamp]) -> None:
        super().__init__()
        self._files = files

    def process(self, _: object) -> Iterator[tuple[str, FileStamp]]:
        yield from ((file.path, file) for file in self._files)


class _FindRanges(_VersionedDoFn):
    """(path, files) → (key, (file, range))."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def process(self, of_path: tuple[str, Iterable[FileStamp]]) -> Iterator[tuple[str, tuple[FileStamp, FileRange]]]:
        for file in of_path[1]:
            for part in ranges_of(file, self._source):
                yield f"{part.path}:{part.start}", (file, part)


class _ReadRange(_VersionedDoFn):
    """(key, pairs of file and range) → SourceBatch."""

    def __init__(self, source: Source, columns: Sequence[str], name: str | None) -> None:
        super().__init__()
        self._source, self._columns, self._name = source, columns, name

    def process(self, of_key: tuple[str, Iterable[tuple[FileStamp, FileRange]]]) -> Iterator[SourceBatch]:
        for file, part in of_key[1]:
            yield from read_part(file, part, self._source, self._columns, self._name)


def ranges_of(file: FileStamp, source: Source) -> list[FileRange]:
    """Returns the ranges of a file, in order.

    Raises:
        SourceChanged: the file has changed.
    """
    with unchanged(file):
        return file_ranges(file.path, source)


def read_part(
    file: FileStamp, part: FileRange, source: Source, columns: Sequence[str], name: str | None = None
) -> Iterator[SourceBatch]:
    """Yields the rows of a range of a file; see ReadBatches.

    Raises:
        SourceChanged: the file has changed.
    """
    with unchanged(file):
        for batch in read_range(part, source, columns):
            yield batch if name is None else _renamed(batch, name)


def _renamed(batch: SourceBatch, name: str) -> SourceBatch:
    return replace(batch, source=name, rejected=[replace(row, source=name) for row in batch.rejected])


class CheckRows(beam.DoFn):
    """SourceBatch, or RecordBatch with the spec's raw columns, → Checked.

    Args:
        spec: The spec of the rows.
        label: See `check_rows`.
        split: See `check_rows`.
        limit_rejected: Whether to stop as soon as a single worker has rejected more rows than `max_rejected`, if that
            is a count.

    Raises:
        TooManyRejected: on a worker, with `limit_rejected`.
        SpecError: the rows have no place in a source, by which the spec's `sample` could be decided.
    """

    def __init__(self, spec: Spec, *, label: bool = True, split: bool = True, limit_rejected: bool = True) -> None:
        self._spec, self._label, self._split, self._limit_rejected = spec, label, split, limit_rejected

    def setup(self) -> None:
        """Starts counting the rows that this worker rejects."""
        self._limit = RejectedLimit(self._spec)
        self._columns = raw_columns(self._spec, label=self._label, split=self._split)

    def process(self, batch: SourceBatch | pa.RecordBatch) -> Iterator[Checked]:
        """Yields the checked rows of a batch."""
        if isinstance(batch, pa.RecordBatch):
            if self._spec.sample and not (self._spec.key or self._spec.sample.by):
                raise SpecError("sample: rows that are not read from files need a `key`, or `sample.by`; add one")
            read = at_paths(SourceBatch("(rows)", np.arange(1, batch.num_rows + 1), batch), self._columns)
            wanted = read.data.select([name for name in read.data.schema.names if name in self._columns])
            batch = replace(read, data=plain_rows(wanted, "(rows)"))
        checked = check_rows(batch, self._spec, label=self._label, split=self._split)
        if self._limit_rejected:
            self._limit.add(checked.read, checked.rejected)
        yield checked
