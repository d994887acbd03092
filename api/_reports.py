"""HTML pages: a profile before training, a report after it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from rich.console import RenderableType

from ._inputs import Data, Path, as_files
from ._run import as_run
from ._tables import Tables
from .pipeline.reports import data_profile, model_report
from .pipeline.reports.profile_files import profile_folder, spec_text
from .pipeline.terminal.profile_table import profile_table, sections_table
from .transforms.errors import UserError
from .transforms.runs.run import Run as RunDirectory
from .transforms.spec import Source


class Profile(data_profile.DataProfile, Tables):
    """The profile of a sample of the data, and the spec proposed for it.

    Attributes:
        spec: The proposed spec; None without a label, which a person must add.
        fields: The profile of each field: distinct values, lengths, missing and OOV rates.
        rows: The number of sampled rows by split, and of `rejected` ones.
    """

    @property
    def yaml(self) -> str:
        """The proposed spec as YAML, with the reasons as comments."""
        return spec_text(self.proposal)

    def _tables(self) -> Sequence[RenderableType]:
        return [sections_table(self), profile_table(self)]


def profile(
    data: Data,
    out: Path | None = None,
    *,
    rows: int = data_profile.SAMPLE_ROWS,
    label: str | None = None,
    source: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Profile:
    """Profiles new data and proposes a spec, with reasons.

    Args:
        data: File names or patterns, or a table such as a pandas DataFrame.
        out: The folder for spec.yaml and profile.html. Default: nothing is written.
        rows: The approximate number of rows to read, evenly spread over the files.
        label: The label's column, with 0 and 1, words or numbers. Default: a column with only 0 and 1, if there is one.
        source: How to read the files, if this does not follow from their names: the `source` section of a spec, such
            as `{"delimiter": ";"}`.
        overwrite: Replace these two files if they exist.

    Raises:
        UserError: A file cannot be read, `label` cannot be the label, or `out` already contains one of the two files.
    """
    try:
        given = Source.model_validate(source or {})
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(["source", *map(str, first["loc"])])
        raise UserError(f"{entry}: {first['msg'].removeprefix('Value error, ')}") from None
    folder = contextlib.nullcontext() if out is None else profile_folder(os.fspath(out), overwrite=overwrite)
    with folder as write, as_files(data) as files:
        found = Profile(**vars(data_profile.profile_data(files.patterns, rows=rows, label=label, source=given)))
        title = f"Data profile: {files.name or ', '.join(files.patterns)}"
        if write:
            write([found.yaml, data_profile.profile_page(found, title)])
    return found


def report(
    run: RunDirectory | Path,
    model: Path,
    out: Path = "report.html",
    *,
    data: Sequence[str] | None = None,
    overwrite: bool = False,
) -> str:
    """Writes a model card as one HTML file; returns its path.

    Args:
        run: The run that the model was trained on, or its path.
        model: The result of `train`, or the folder of a trained model.
        out: The HTML file to write.
        data: Source files to name in the commands that reproduce the model.
        overwrite: Replace an existing report once the new one is complete.

    Raises:
        UserError: The folder has no trained model, or `out` exists and may not be replaced.
    """
    return model_report.write_report(as_run(run), os.fspath(model), os.fspath(out), data=data, overwrite=overwrite)
