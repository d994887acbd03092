"""The source of rows: files, on any file system that Beam knows, to a PCollection of batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam

from ...transforms.spec import Source
from ..jobs.versions import check_versions, versions
from ..sources.batches import SourceBatch
from ..sources.files import FileStamp, unchanged
from ..sources.ranges import FileRange
from ..sources.readers import file_ranges, read_range


class ReadBatches(beam.PTransform):
    """Reads files: `pipeline | ReadBatches(files, source, columns)` gives a PCollection of SourceBatch.

    Args:
        files: what `sources.files.find_files` returns; a file that is another when it is read is refused.
        source: their format.
        columns: those to read.
    """

    def __init__(self, files: Sequence[FileStamp], source: Source, columns: Sequence[str]) -> None:
        super().__init__()
        self._files, self._source, self._columns = list(files), source, list(columns)

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Returns the batches of all files."""
        # Grouped by what they are, so that files, and then ranges, go to all workers; with random keys, as a reshuffle
        # has them, two local runs would have their rows in another order. Not by beam.Create: the pipeline would hold
        # all files three times, and services limit its size.
        return (
            pipeline
            | "Start" >> beam.Impulse()
            | "Files" >> beam.ParDo(_Files(self._files))
            | "SpreadFiles" >> beam.GroupByKey()
            | "FindRanges" >> beam.ParDo(_FindRanges(self._source))
            | "SpreadRanges" >> beam.GroupByKey()
            | "ReadRange" >> beam.ParDo(_ReadRange(self._source, self._columns))
        )


class _OnAnyWorker(beam.DoFn):
    """Base of the reading DoFns: each worker checks that its package versions are those at submission."""

    def __init__(self) -> None:
        self._versions = versions()

    def setup(self) -> None:
        check_versions(self._versions)


class _Files(_OnAnyWorker):
    """Anything → (path, file)s."""

    def __init__(self, files: Sequence[FileStamp]) -> None:
        super().__init__()
        self._files = files

    def process(self, _: object) -> Iterator[tuple[str, FileStamp]]:
        yield from ((file.path, file) for file in self._files)


class _FindRanges(_OnAnyWorker):
    """(path, files) → (key, (file, range))."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def process(self, of_path: tuple[str, Iterable[FileStamp]]) -> Iterator[tuple[str, tuple[FileStamp, FileRange]]]:
        for file in of_path[1]:
            with unchanged(file):
                for part in file_ranges(file.path, self._source):
                    yield f"{part.path}:{part.start}", (file, part)


class _ReadRange(_OnAnyWorker):
    """(key, (file, range)s) → SourceBatch."""

    def __init__(self, source: Source, columns: Sequence[str]) -> None:
        super().__init__()
        self._source, self._columns = source, columns

    def process(self, of_key: tuple[str, Iterable[tuple[FileStamp, FileRange]]]) -> Iterator[SourceBatch]:
        for file, part in of_key[1]:
            with unchanged(file):
                yield from read_range(part, self._source, self._columns)
