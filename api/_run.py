"""`fieldpool.Run`: a run directory, displayed as its counts."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from ._tables import Tables
from .pipeline.terminal.rejected_rows import rejected_line
from .pipeline.terminal.tables import split_line, stats_tables
from .transforms.runs.run import Run as RunDirectory


class Run(RunDirectory, Tables):
    """A finished run directory, opened for reading.

    Args:
        path: The folder that `fieldpool.transform` or `fieldpool transform` wrote, or one on gs://.

    Raises:
        UserError: The folder is not a finished run.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(os.fspath(path))

    def __repr__(self) -> str:
        return f"Run({self.path!r})"

    def _tables(self) -> Sequence[RenderableType]:
        if not self.has_stats:
            return [Text(repr(self))]
        boundaries, rejected = split_line(self.spec), self.stats.rejected
        lines = [boundaries] if boundaries else []
        lines += [rejected_line(self.path, rejected)] if rejected else []
        return [*stats_tables(self.stats), *map(Text, lines)]


def as_run(run: RunDirectory | str | os.PathLike[str]) -> RunDirectory:
    """Returns `run`, opened if it is a path."""
    return run if isinstance(run, RunDirectory) else Run(run)
