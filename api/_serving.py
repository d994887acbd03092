"""From a trained model to its use: export, verify, predict."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.dataset
from apache_beam.io.filesystems import FileSystems
from rich.console import RenderableType

from ._inputs import Data, Path, as_files
from ._rows import choose_workers
from ._run import as_run
from ._tables import Tables
from .model.export import export_model
from .model.run import PREDICTIONS_FOLDER
from .model.run import Run as RunDirectory
from .pipeline.jobs import options as jobs
from .pipeline.rows.prepared_job import prepare_job
from .pipeline.serving import comparison, parity
from .pipeline.serving.batch_prediction import Format, predict_job
from .pipeline.terminal.serving_tables import parity_tables
from .pipeline.terminal.tables import counts_table


def export(run: RunDirectory | Path, model: Path, out: Path | None = None) -> str:
    """Writes one SavedModel from raw rows to probabilities; plain TensorFlow loads it. Returns its folder.

    Args:
        run: The run that the model was trained on, or its path.
        model: What `train` returned, the folder of a training, or its `model.keras`.
        out: The folder to make. Default: `serving/` in the folder of the training.

    Raises:
        UserError: There is no such model, or it does not fit the run.
    """
    return export_model(as_run(run), os.fspath(model), None if out is None else os.fspath(out))


class Parity(comparison.Parity, Tables):
    """What a comparison of batch pipeline and exported model found; `holds` if nothing differs."""

    def _tables(self) -> Sequence[RenderableType]:
        return parity_tables(self)


def verify(run: RunDirectory | Path, model: Path, data: Data, *, rows: int | None = None) -> Parity:
    """Checks for training-serving skew: sends rows through the batch pipeline and through the exported model.

    Args:
        run: The run that the model was trained on, or its path.
        model: An exported model, or the training whose folder has one.
        data: File names or patterns, or a table such as a pandas DataFrame.
        rows: The approximate number of rows, evenly spread. Default: all.

    Raises:
        UserError: There is no exported model, it is of another run, or a file cannot be read.
    """
    opened = as_run(run)
    with as_files(data) as files:
        job = prepare_job(files.patterns, run=opened.path, model=os.fspath(model), source_name=files.name)
        found = parity.verify_job(job, rows)
    differences = [replace(row, source=files.shown(row.source)) for row in found.differences]
    return Parity(**vars(replace(found, differences=differences)))


@dataclass(frozen=True)
class Predictions(Tables):
    """Predictions in a folder.

    Attributes:
        path: The folder.
        read: Rows read.
        predicted: Rows with a probability.
        rejected: Rows that could not be used; see `path`/rejected.
        format: parquet or jsonl.
    """

    path: str
    read: int
    predicted: int
    rejected: int
    format: Format

    def table(self) -> pa.Table:
        """Returns the predictions: `probability` (float32) and `key` (string), or `source` and `row` without a key.

        The order of the rows is that of the input only for one file and one worker: join by the key.
        """
        folder = FileSystems.join(self.path, PREDICTIONS_FOLDER)
        return pyarrow.dataset.dataset(folder, format="json" if self.format == "jsonl" else "parquet").to_table()

    def _tables(self) -> Sequence[RenderableType]:
        return [counts_table({"read": self.read, "predicted": self.predicted, "rejected": self.rejected})]


def predict(
    model: Path,
    data: Data,
    out: Path,
    *,
    format: Format = "parquet",
    overwrite: bool = False,
    mode: jobs.Mode = "auto",
    workers: int | None = None,
    runner: str | None = None,
    beam_options: Sequence[str] = (),
) -> Predictions:
    """Writes a probability for every row that can be used; the rows need no label.

    Args:
        model: An exported model, or the training whose folder has one.
        data: File names or patterns, or a table such as a pandas DataFrame.
        out: The folder to make.
        format: Of the predictions.
        overwrite: Replace predictions that are there, once the new ones are complete.
        mode: See `transform`.
        workers: See `transform`.
        runner: See `transform`.
        beam_options: See `transform`.

    Raises:
        UserError: There is no exported model, a file cannot be read, or more rows are rejected than the spec allows.
    """
    options = jobs.beam_options(runner, beam_options, mode=mode, workers=workers, job="predict")
    with as_files(data) as files:
        job = prepare_job(files.patterns, os.fspath(out), options, model=os.fspath(model), source_name=files.name)
        choose_workers(job, mode, workers)
        counts = predict_job(job, output=format, overwrite=overwrite)
    return Predictions(job.target, **counts, format=format)
