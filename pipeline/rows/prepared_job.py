"""A job that reads rows, prepared once: checked against its runner's rules, its files found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apache_beam.options.pipeline_options import PipelineOptions

from ...transforms.spec import Source
from ..jobs.job import prepare_paths
from ..jobs.options import beam_options
from ..sources.files import FileStamp, check_unchanged, find_files
from .read_rows import ReadBatches


@dataclass(frozen=True)
class PreparedJob:
    """A job that may begin. Paths are as workers will find them.

    Attributes:
        options: Of the Beam pipeline.
        patterns: Of the files to read.
        files: Those that the patterns match, as they are now.
        target: The folder to write; "" where the job writes none.
        run: A run that the job reads.
        model: A model that the job reads.
    """

    options: PipelineOptions
    patterns: list[str]
    files: list[FileStamp]
    target: str = ""
    run: str | None = None
    model: str | None = None

    @property
    def paths(self) -> list[str]:
        """The paths of the files."""
        return [file.path for file in self.files]

    @property
    def input_bytes(self) -> int:
        """The size of the files."""
        return sum(file.size for file in self.files)

    def rows(self, source: Source, columns: Sequence[str]) -> ReadBatches:
        """Returns the PTransform that reads columns of the files."""
        return ReadBatches(self.files, source, columns)

    def check_unchanged(self) -> None:
        """Raises SourceChanged if a file is another than when the job was prepared."""
        check_unchanged(self.files, self.patterns)


def prepare_job(
    patterns: Sequence[str],
    target: str = "",
    options: PipelineOptions | None = None,
    *,
    run: str | None = None,
    model: str | None = None,
) -> PreparedJob:
    """Returns the job that reads the files which `patterns` match, and perhaps a run and a model.

    Raises:
        UserError: as `prepare_paths` and `find_files`.
    """
    options = options or beam_options()
    others = [path for path in (run, model) if path is not None]
    reads, target = prepare_paths(options, [*patterns, *others], target)
    found, left = reads[: len(patterns)], iter(reads[len(patterns) :])
    return PreparedJob(
        options,
        found,
        find_files(found),
        target,
        run=None if run is None else next(left),
        model=None if model is None else next(left),
    )
