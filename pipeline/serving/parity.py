"""`fieldpool verify`: checks an exported model for training-serving skew, on raw rows.

The reference is the path of training: the run's transform as `fieldpool transform` applies it, its rows encoded and
parsed as tf.Examples, and the trained Keras model. Each row carries its serving request in a column that TFT passes
through, so the two results need not be joined.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict

import apache_beam as beam
import pyarrow as pa
import tensorflow_transform.beam as tft_beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from ...model.export import check_export
from ...transforms.errors import UserError
from ...transforms.run_files import find_export
from ...transforms.runs.run import Run
from ...transforms.spec import Spec
from ...transforms.spec.inputs import feature_columns
from ...transforms.writing import TEMPORARY, temporary_folder
from ..jobs.errors import translate_worker_errors
from ..jobs.job import running_pipeline
from ..jobs.options import beam_options
from ..rows import columns
from ..rows.checks import Checked
from ..rows.prepared_job import PreparedJob
from ..rows.read_rows import CheckRows, ReadRows
from ..rows.rejected import name_first
from ..rows.tft_rows import adapter_config, as_tft_rows, without_labels
from ..sources.batches import Rejected
from ..sources.readers import check_input
from ..sources.sample import sample_rows
from ..tfrecords.encoding import encode_examples
from .comparison import REQUEST, ROW, SOURCE, Compare, Difference, Parity, sum_parity
from .exported_model import read_spec


def verify(run: Run, model: str, read_rows: ReadRows, options: PipelineOptions | None = None) -> Parity:
    """Compares a run and its trained model with an exported model, on rows.

    Ids, weights and numbers must be equal bit by bit. Probabilities, at each entry point of the exported model, must be
    within 1e-6 of those of the Keras model that it was exported from. Those of `rank` must be equal bit by bit to those
    of `raw` with the user of the first row in a batch in all of its rows.

    Args:
        run: The run that the model was trained on.
        model: The exported model, or the folder of a trained model that has been exported.
        read_rows: Returns a PTransform that reads SourceBatches with at least the columns of `feature_columns`.
        options: Beam options; by default, the job runs in this process.

    Raises:
        DifferentRun: the exported model was made from a run whose ids or numbers have another meaning.
        UserError: there is no exported model, it has other fields than the run, or a source cannot be read.
        TimeLimitExceeded: the job took longer than `--time_limit`.
    """
    export, spec = find_export(model), run.spec
    check_export(export, run)
    _check_same_fields(read_spec(export), spec, export, run.path)
    passed_through = {REQUEST: columns.BAG, SOURCE: columns.BAG, ROW: columns.BAG}
    config = adapter_config(spec, passthrough=passed_through)
    with temporary_folder("verify") as folder:
        found = os.path.join(folder, "parity.json")
        with (
            translate_worker_errors(folder, TEMPORARY),
            tft_beam.Context(temp_dir=folder, passthrough_keys=set(passed_through), use_deep_copy_optimization=False),
            running_pipeline(options or beam_options()) as pipeline,
        ):
            transform_fn = pipeline | "ReadTransform" >> tft_beam.ReadTransformFn(run.transform_folder)
            checks = CheckRows(spec, label=False, split=False, limit_rejected=False)
            checked = pipeline | "Read" >> read_rows() | "CheckRows" >> beam.ParDo(checks)
            with_requests = checked | "WithRequests" >> beam.FlatMap(_with_requests, spec)
            (transformed, _) = ((with_requests, config), transform_fn) | "Transform" >> tft_beam.TransformDataset(
                output_record_batches=True
            )
            compared = transformed | "Compare" >> beam.ParDo(Compare(export, spec))
            rejected = checked | "CountRejected" >> beam.Map(_count_rejected)
            _ = (
                (rejected, compared)
                | "All" >> beam.Flatten()
                | "Sum" >> beam.CombineGlobally(sum_parity)
                | "Write" >> beam.Map(_write, found)
            )
        return _read(found)


def _check_same_fields(exported: Spec, spec: Spec, export: str, run: str) -> None:
    """Raises UserError with the first entries of the features that differ between an exported model and a run."""
    ours, theirs = (
        {
            f"fields.{name}.{entry}": value
            for name, field in of.fields.items()
            for entry, value in field.model_dump(exclude={"side"}).items()  # Only `rank` depends on it.
        }
        | {f"train_only.{name}": value for name, value in of.train_only.items()}
        | {"key": list(of.key_columns), "carry": sorted(of.carry)}
        for of in (spec, exported)
    )
    found = [
        f"{entry}: {theirs.get(entry)!r} in the exported model, {ours.get(entry)!r} in the run"
        for entry in ours | theirs
        if ours.get(entry) != theirs.get(entry)
    ]
    if found:
        raise UserError(
            f"{export}: was exported from a run with other features than {run} ({'; '.join(found[:3])}); pass the run "
            "that it was exported from"
        )


def verify_job(job: PreparedJob, rows: int | None = None) -> Parity:
    """Compares the run and the model of a job on all of its rows, or on about `rows`, spread evenly. See `verify`.

    Raises:
        UserError: also if all rows are rejected, so that none can be compared.
    """
    run, model = Run(job.run or ""), job.model or ""
    check_export(find_export(model), run)  # Before the columns of the run are looked for in the files.
    source, wanted = run.spec.source, feature_columns(run.spec)
    check_input(job.paths, source, wanted, is_optional=True)
    if rows is None:
        parity = verify(run, model, lambda: job.rows(source, wanted), job.options)
    else:
        sample = sample_rows(job.paths, source, wanted, rows)
        parity = verify(run, model, lambda: beam.Create(sample, reshuffle=False), job.options)
    if parity.first_rejected is not None and not parity.rows:
        first = name_first(parity.rejected, parity.rejected, vars(parity.first_rejected))
        raise UserError(f"nothing was compared: {first}; pass rows that fit the spec of the run")
    return parity


def _with_requests(checked: Checked, spec: Spec) -> Iterator[pa.RecordBatch]:
    """Yields checked rows in the form that TFT takes, each with its serving request."""
    rows = checked.rows
    if not rows.num_rows:
        return
    passed_through = {
        REQUEST: encode_examples(as_tft_rows(rows, spec, label=False)),
        SOURCE: pa.array([checked.source.encode()] * rows.num_rows, columns.TEXT),
        ROW: pa.array([str(number).encode() for number in checked.numbers.tolist()], columns.TEXT),
    }
    yield as_tft_rows(without_labels(rows, spec), spec, passthrough=passed_through)


def _count_rejected(checked: Checked) -> Parity:
    return Parity(rejected=len(checked.rejected), first_rejected=next(iter(checked.rejected), None))


def _write(parity: Parity, path: str) -> None:
    with FileSystems.create(path) as file:
        file.write(json.dumps(asdict(parity)).encode())


def _read(path: str) -> Parity:
    with FileSystems.open(path) as file:
        found = json.loads(file.read())
    first = found["first_rejected"]
    differences = [Difference(**difference) for difference in found["differences"]]
    return Parity(**found | {"differences": differences, "first_rejected": Rejected(**first) if first else None})
