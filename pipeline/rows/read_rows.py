"""The source of rows: files, on any file system that Beam knows, to a PCollection of batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import apache_beam as beam
import numpy as np
import pyarrow as pa

from ...transforms.spec import Source
from ..jobs.versions import check_versions, versions
from ..sources.files import FileStamp, unchanged
from ..sources.ranges import FileRange
from ..sources.readers import SourceBatch, read_range, readable_ranges

# A sample is taken from so many ranges at most, and so many rows of each: seconds, however large the data.
_RANGES_OF_A_SAMPLE = 16
_ROWS_OF_A_RANGE = 200_000


class ReadBatches(beam.PTransform):
    """Reads files: `pipeline | ReadBatches(files, source, columns)` gives a PCollection of SourceBatch.

    Args:
        files: what `source_files.find_files` returns; a file that is another when it is read is refused.
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
    """Where rows come in, whoever reads them first makes sure that the pipeline is its own."""

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
                for part in readable_ranges(file.path, self._source):
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


def sample_rows(files: Sequence[str], source: Source, columns: Sequence[str], rows: int) -> list[SourceBatch]:
    """Returns about `rows` rows, evenly from beginning to end of the files: always the same ones, in their order.

    All rows if there are no more; fewer where sixteen ranges, of which at most 200,000 rows are read, hold fewer.

    Args:
        files: paths, without wildcards.
        source: their format.
        columns: those to read.
        rows: more than 0.
    """
    ranges = [part for path in files for part in readable_ranges(path, source)]
    chosen = np.unique(np.linspace(0, len(ranges) - 1, min(_RANGES_OF_A_SAMPLE, len(ranges))).round().astype(int))
    heads = [_head(ranges[index], source, columns) for index in chosen.tolist()]
    wanted = _shared_out(rows, [sum(len(batch.rows) for batch in head) for head in heads])
    return [batch for head, number in zip(heads, wanted, strict=True) for batch in _every_nth(head, number)]


def _shared_out(rows: int, sizes: Sequence[int]) -> list[int]:
    """Returns how many rows to take of each range: equally many, but of small ones all, and so more of the others."""
    wanted = [0] * len(sizes)
    smallest_first = sorted(range(len(sizes)), key=lambda index: sizes[index])
    for left, index in zip(range(len(sizes), 0, -1), smallest_first, strict=True):
        wanted[index] = min(sizes[index], math.ceil(rows / left))
        rows -= wanted[index]
    return wanted


def _head(part: FileRange, source: Source, columns: Sequence[str]) -> list[SourceBatch]:
    batches: list[SourceBatch] = []
    for batch in read_range(part, source, columns):
        batches.append(batch)
        if sum(len(b.rows) for b in batches) >= _ROWS_OF_A_RANGE:
            break
    return batches


def _every_nth(batches: Sequence[SourceBatch], wanted: int) -> Iterator[SourceBatch]:
    total = sum(len(batch.rows) for batch in batches)
    places = np.linspace(0, total, wanted, endpoint=False).astype(np.int64)
    start = 0
    for batch in batches:
        of_batch = places[(places >= start) & (places < start + len(batch.rows))] - start
        start += len(batch.rows)
        data = batch.data.take(pa.array(of_batch)) if batch.data.num_rows else batch.data
        yield replace(batch, rows=batch.rows[of_batch], data=data)
