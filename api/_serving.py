"""The functions that export a trained model, verify it and predict with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.dataset
from apache_beam.io.filesystems import FileSystems
from rich.console import RenderableType

from ._inputs import Data, Path, as_files
from ._rows import choose_workers
from ._run import as_run
from ._tables import Tables
from .model import export as exports
from .model.serving.warmup import replay_warmup
from .pipeline.jobs import options as jobs
from .pipeline.rows.prepared_job import prepare_job
from .pipeline.serving import comparison, parity
from .pipeline.serving.batch_prediction import Format, predict_job
from .pipeline.terminal.serving_tables import parity_tables
from .pipeline.terminal.tables import counts_table
from .transforms.run_files import PREDICTIONS_FOLDER, find_export
from .transforms.runs.run import Run as RunDirectory


def export(run: RunDirectory | Path, model: Path, out: Path | None = None, *, overwrite: bool = False) -> str:
    """Exports a model as one SavedModel from raw rows to probabilities, for plain TensorFlow; returns its folder.

    Args:
        run: The run that the model was trained on, or its path.
        model: The result of `train`, the folder of a trained model, or its `model.keras`.
        out: The folder to create. Default: `serving/` in the folder of the trained model.
        overwrite: Replace an existing exported model once the new one is complete.

    Raises:
        UserError: There is no such model, it does not fit the run, or `out` exists and may not be replaced.
    """
    return exports.export_model(
        as_run(run), os.fspath(model), None if out is None else os.fspath(out), overwrite=overwrite
    )


def load_export(model: Path, *, warm_up: bool = True) -> Any:
    """Loads an exported model in this process; returns the object of `tf.saved_model.load`, with its signatures.

    Args:
        model: An exported model, or the folder of a trained model that has been exported.
        warm_up: Replay the requests of `assets.extra/tf_serving_warmup_requests` first, as TensorFlow Serving does, so
            that the first request takes no longer than later ones.

    Raises:
        UserError: There is no exported model, or it is damaged.
    """
    path = find_export(os.fspath(model))
    served = exports.load_export(path)
    if warm_up:
        replay_warmup(served, path)
    return served


class Parity(comparison.Parity, Tables):
    """The comparison of batch pipeline and exported model.

    Attributes:
        holds: Whether rows were compared and none differs.
        rows: The number of rows compared.
        rejected: The number of rows that both rejected.
        differing_ids: The number of rows with another id, weight or number in any field.
        differing_scores: The number of rows whose probabilities differ by more than 1e-6, or for `rank` in any bit.
        largest_score_difference: The largest difference of two probabilities of a row.
        differences: The first differences, at most 20, with `source`, `row`, `key`, `field`, `batch` and `served`.
        first_rejected: A rejected row, with `source`, `row`, `field`, `reason` and `raw`; None if none was rejected.
    """

    def _tables(self) -> Sequence[RenderableType]:
        return parity_tables(self)


def verify(run: RunDirectory | Path, model: Path, data: Data, *, rows: int | None = None) -> Parity:
    """Checks for training-serving skew: sends rows through the batch pipeline and through the exported model.

    Args:
        run: The run that the model was trained on, or its path.
        model: An exported model, or the folder of a trained model that has been exported.
        data: File names or patterns, or a table such as a pandas DataFrame.
        rows: The approximate number of rows to compare, evenly spread over the files. Default: all.

    Raises:
        UserError: There is no exported model, it was exported from another run, a file cannot be read, or all rows are
            rejected.
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
        rejected: Rejected rows; they are in `path`/rejected.
        format: parquet or jsonl.
        source_rows: With `source.explode`, the number of rows in the files; the other counts are of exploded rows.
    """

    path: str
    read: int
    predicted: int
    rejected: int
    format: Format
    source_rows: int | None = None

    def table(self) -> pa.Table:
        """Returns the predictions: `probability` (float32) and `key` (string), or `source` and `row` without a key.

        With `source.explode`, they have all of these columns; `row` is a text such as `12.3`, the third part of row 12.
        Only with one file and one worker are the rows in the order of the input; otherwise join them by the key.
        """
        folder = FileSystems.join(self.path, PREDICTIONS_FOLDER)
        return pyarrow.dataset.dataset(folder, format="json" if self.format == "jsonl" else "parquet").to_table()

    def _tables(self) -> Sequence[RenderableType]:
        exploded = {} if self.source_rows is None else {"source_rows": self.source_rows}
        counts = {"read": self.read, "predicted": self.predicted, "rejected": self.rejected}
        return [counts_table(exploded | counts)]


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
    """Writes a probability for each row that is not rejected; rows need no label.

    Args:
        model: An exported model, or the folder of a trained model that has been exported.
        data: File names or patterns, or a table such as a pandas DataFrame.
        out: The folder to create.
        format: The file format of the predictions: `parquet` or `jsonl`.
        overwrite: Replace existing predictions once the new ones are complete.
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
