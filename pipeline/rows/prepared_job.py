"""Prepares a job that reads rows: checks it against its runner's rules and finds its files, once."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from apache_beam.options.pipeline_options import PipelineOptions

from ...transforms.spec import Source
from ..jobs.job import prepare_paths
from ..jobs.options import beam_options
from ..sources.batches import SourceBatch
from ..sources.files import FileStamp, check_unchanged, find_files
from .read_rows import ReadBatches, read_files


@dataclass(frozen=True)
class PreparedJob:
    """A job that is ready to start. Its paths are valid on workers.

    Attributes:
        options: The options of the Beam pipeline.
        patterns: Patterns of the files to read.
        files: The files that the patterns match, with their current size and modification time.
        target: The folder to write; "" if the job writes none.
        run: A run that the job reads.
        model: A model that the job reads.
        source_name: The name that rows report as their source, instead of the path of their file.
    """

    options: PipelineOptions
    patterns: list[str]
    files: list[FileStamp]
    target: str = ""
    run: str | None = None
    model: str | None = None
    source_name: str | None = None

    @property
    def paths(self) -> list[str]:
        """The paths of the files."""
        return [file.path for file in self.files]

    @property
    def input_bytes(self) -> int:
        """The total size of the files."""
        return sum(file.size for file in self.files)

    def rows(self, source: Source, columns: Sequence[str]) -> ReadBatches:
        """Returns the PTransform that reads the given columns of the files."""
        return ReadBatches(self.files, source, columns, self.source_name)

    def batches(self, source: Source, columns: Sequence[str]) -> Generator[SourceBatch, None, None]:
        """Yields the same rows in this process."""
        return read_files(self.files, source, columns, self.source_name)

    def check_unchanged(self) -> None:
        """Raises SourceChanged if a file has changed since the job was prepared."""
        check_unchanged(self.files, self.patterns)


def prepare_job(
    patterns: Sequence[str],
    target: str = "",
    options: PipelineOptions | None = None,
    *,
    run: str | None = None,
    model: str | None = None,
    source_name: str | None = None,
) -> PreparedJob:
    """Returns the job that reads the files that match `patterns`, and optionally a run and a model.

    Raises:
        UserError: as `prepare_paths` and `find_files`.
    """
    options = options or beam_options()
    others = [path for path in (run, model) if path is not None]
    reads, target = prepare_paths(options, [*patterns, *others], target)
    data_patterns, other_paths = reads[: len(patterns)], iter(reads[len(patterns) :])
    return PreparedJob(
        options,
        data_patterns,
        find_files(data_patterns),
        target,
        run=None if run is None else next(other_paths),
        model=None if model is None else next(other_paths),
        source_name=source_name,
    )
