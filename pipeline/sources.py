"""The source of rows: files, on any file system that Beam knows, to a PCollection of batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam

from ..transforms.spec import Source
from .file_ranges import FileRange
from .readers import SourceBatch, read_range, readable_ranges
from .source_files import FileStamp, unchanged


class ReadBatches(beam.PTransform):
    """Reads files: `pipeline | ReadBatches(files, source, columns)` gives a PCollection of SourceBatch.

    Args:
        files: paths, without wildcards (`source_files.find_files`).
        source: their format.
        columns: those to read.
        stamps: what the files were (`source_files.stamp_files`); a file that is another now is refused.
    """

    def __init__(
        self, files: Sequence[str], source: Source, columns: Sequence[str], stamps: Sequence[FileStamp] = ()
    ) -> None:
        super().__init__()
        self._files, self._source, self._columns = list(files), source, list(columns)
        self._stamps = {stamp.path: stamp for stamp in stamps}

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Returns the batches of all files."""
        # Grouped by what they are, so that ranges go to all workers; with random keys, as a reshuffle has them, two
        # local runs would have their rows in another order.
        return (
            pipeline
            | "Files" >> beam.Create(self._files, reshuffle=False)
            | "FindRanges" >> beam.FlatMap(_keyed_ranges, self._source, self._stamps)
            | "SpreadRanges" >> beam.GroupByKey()
            | "ReadRange" >> beam.FlatMap(_read, self._source, self._columns, self._stamps)
        )


def _keyed_ranges(path: str, source: Source, stamps: dict[str, FileStamp]) -> Iterator[tuple[str, FileRange]]:
    with unchanged(stamps.get(path)):
        for part in readable_ranges(path, source):
            yield f"{part.path}:{part.start}", part


def _read(
    ranges: tuple[str, Sequence[FileRange]], source: Source, columns: Sequence[str], stamps: dict[str, FileStamp]
) -> Iterator[SourceBatch]:
    for part in ranges[1]:
        with unchanged(stamps.get(part.path)):
            yield from read_range(part, source, columns)
