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
        others: What the job reads besides rows: a run, a model.
    """

    options: PipelineOptions
    patterns: list[str]
    files: list[FileStamp]
    target: str
    others: list[str]

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
    patterns: Sequence[str], target: str = "", options: PipelineOptions | None = None, *, others: Sequence[str] = ()
) -> PreparedJob:
    """Returns the job that reads the files which `patterns` match.

    Raises:
        UserError: as `prepare_paths` and `find_files`.
    """
    options = options or beam_options()
    reads, target = prepare_paths(options, [*patterns, *others], target)
    found = reads[: len(patterns)]
    return PreparedJob(options, found, find_files(found), target, reads[len(patterns) :])
