"""From files and a spec to a finished run directory: `transform` is `fieldpool transform`.

The work goes to a folder inside the target and is moved into place when it is whole; `DONE` comes last.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult
from tensorflow_transform.tf_metadata import metadata_io

from ..model.run import (
    DONE_FILE,
    EXAMPLES_FOLDER,
    REJECTED_FOLDER,
    SPEC_FILE,
    STATS_FILE,
    TRANSFORM_FOLDER,
)
from ..transforms.errors import UserError
from ..transforms.spec import SPLITS, Spec
from ..transforms.vocabulary import METRICS_NAMESPACE
from .build import COUNTS_FILE, raw_metadata, read_counts, write_run
from .measure import resolve
from .options import beam_options
from .quarantine import raw_columns
from .readers import read_batches
from .source_files import find_files
from .sources import ReadBatches
from .spec_file import dump_spec
from .statistics import as_json

# The folder inside the target where the work goes until it is whole.
WORK_PREFIX = ".work-"

_SHOWN_REJECTED = 5


@dataclass(frozen=True)
class TransformResult:
    """A finished run: its path, the resolved spec, and the contents of stats.json."""

    path: str
    spec: Spec
    stats: dict[str, Any]


def transform(
    spec: Spec, patterns: Sequence[str], target: str, options: PipelineOptions | None = None
) -> TransformResult:
    """Builds the run directory `target` from the files that `patterns` match.

    Raises:
        UserError: the target exists and is not empty, an input cannot be read, more rows than
            `max_rejected` were rejected, or the train split is empty.
    """
    files = find_files(patterns)
    columns = raw_columns(spec)
    next(read_batches(files[0], spec.source, columns), None)  # Fails here, in words, before anything starts.
    return transform_rows(spec, lambda: ReadBatches(files, spec.source, columns), target, options)


def transform_rows(
    spec: Spec, rows: Callable[[], beam.PTransform], target: str, options: PipelineOptions | None = None
) -> TransformResult:
    """Builds a run as `transform` does, from any source of rows.

    Args:
        rows: returns a PTransform that makes SourceBatches out of a pipeline; called for each reading.
    """
    options = options or beam_options()
    if FileSystems.exists(target) and children(target):
        raise UserError(f"{target}: exists already; choose another folder, or remove it first")
    work = FileSystems.join(target, f"{WORK_PREFIX}{uuid.uuid4().hex[:8]}")
    FileSystems.mkdirs(FileSystems.join(work, EXAMPLES_FOLDER))
    try:
        with errors_of_users():
            resolved = resolve(spec, rows, options, work)
            pipeline = beam.Pipeline(options=options)
            readings = {
                "analyze": pipeline | "ReadForAnalysis" >> rows(),
                "transform": pipeline | "ReadForTransform" >> rows(),
            }
            write_run(readings, resolved, work)
            result = pipeline.run()
            result.wait_until_finish()
        stats = _statistics(resolved, work, result)
        _check(stats, spec, work, target)
        _finish(resolved, stats, work, target)
    except BaseException:
        # Leaves the target as it was found.
        FileSystems.delete([work])
        if not children(target):
            FileSystems.delete([target])
        raise
    return TransformResult(target, resolved, stats)


# How Beam tells an error: with the step that it happened in, and, from another process, as the text of a traceback.
_WHILE_RUNNING = re.compile(r" \[while running .*", re.DOTALL)
_TOLD = re.compile(rf"{re.escape(UserError.__module__)}\.UserError: (.*?) \[while running ", re.DOTALL)


@contextlib.contextmanager
def errors_of_users() -> Iterator[None]:
    """Gives back a UserError or ^C from inside a worker without what Beam wrapped around it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError | KeyboardInterrupt):
            cause = cause.__cause__ or cause.__context__
        if isinstance(cause, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if cause is not None:
            raise UserError(_WHILE_RUNNING.sub("", str(cause))) from None
        told = _TOLD.search(str(error))
        if told:
            raise UserError(told[1]) from None
        raise


def children(folder: str) -> list[str]:
    """Returns the paths of what is in a folder."""
    pattern = FileSystems.join(folder, "*")
    return [match.path for match in FileSystems.match([pattern])[0].metadata_list]


def _statistics(spec: Spec, work: str, result: PipelineResult) -> dict[str, Any]:
    names = spec.vocabulary_fields()
    distinct = dict.fromkeys(names, 0)
    query = beam.metrics.MetricsFilter().with_namespace(METRICS_NAMESPACE)
    for counter in result.metrics().query(query)["counters"]:
        kind, _, vocabulary = counter.key.metric.name.partition("/")
        if kind == "distinct" and vocabulary in distinct:
            distinct[vocabulary] += counter.result
    assets = FileSystems.join(work, TRANSFORM_FOLDER, "transform_fn", "assets")
    sizes = {
        name: {"distinct": distinct[name], "tokens": _count_lines(FileSystems.join(assets, name))} for name in names
    }
    return as_json(read_counts(FileSystems.join(work, COUNTS_FILE)), spec, sizes)


def _count_lines(path: str) -> int:
    with FileSystems.open(path) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _check(stats: dict[str, Any], spec: Spec, work: str, target: str) -> None:
    rejected, read = stats["rejected"], stats["read"]
    written = sum(stats[split] for split in SPLITS)
    if read != written + rejected:
        raise RuntimeError(f"{target}: read {read} rows, but wrote {written} and rejected {rejected}")
    check_rejected(rejected, read, spec, work)
    if not stats["train"]:
        raise UserError(
            f"{target}: no row is in the train split (eval {stats['eval']}, test {stats['test']}); "
            f"check `split` in the spec against the data"
        )


def check_rejected(rejected: int, read: int, spec: Spec, work: str) -> None:
    """Checks rejected rows, written down in the folder `work`, against the spec's `max_rejected`.

    Raises:
        UserError: they are too many; it tells the first of them.
    """
    allowed = spec.max_rejected * read if 0 < spec.max_rejected < 1 else spec.max_rejected
    if rejected > allowed:
        raise UserError(_too_many_rejected(rejected, read, spec, work))


def _too_many_rejected(rejected: int, read: int, spec: Spec, work: str) -> str:
    lines = [f"{rejected} of {read} rows cannot be used, and max_rejected is {spec.max_rejected:g}:"]
    for row in itertools.islice(read_rejected(work), _SHOWN_REJECTED):
        lines.append(f"  {row['source']}, row {row['row']}, {row['field']}: {row['reason']}")
    if rejected > _SHOWN_REJECTED:
        lines.append("  …")
    lines.append("Mend the data or the spec, or let such rows be set aside: `max_rejected: 100`, or a share as 0.01")
    return "\n".join(lines)


def read_rejected(run: str) -> Iterator[dict[str, Any]]:
    """Yields the rejected rows of a run as dicts: source, row, field, reason, raw."""
    pattern = FileSystems.join(run, REJECTED_FOLDER, "*.jsonl")
    for path in sorted(match.path for match in FileSystems.match([pattern])[0].metadata_list):
        with FileSystems.open(path) as file:
            for line in file.read().decode().splitlines():
                yield json.loads(line)


def _finish(spec: Spec, stats: dict[str, Any], work: str, target: str) -> None:
    """Moves the whole work into place and marks the run as done."""
    transform_folder = FileSystems.join(work, TRANSFORM_FOLDER)
    metadata_io.write_metadata(raw_metadata(spec), FileSystems.join(transform_folder, "metadata"))
    write_text(FileSystems.join(target, SPEC_FILE), dump_spec(spec))
    write_text(FileSystems.join(target, STATS_FILE), json.dumps(stats, indent=2) + "\n")
    for folder in (EXAMPLES_FOLDER, TRANSFORM_FOLDER, REJECTED_FOLDER):
        if FileSystems.exists(FileSystems.join(work, folder)):
            FileSystems.rename([FileSystems.join(work, folder)], [FileSystems.join(target, folder)])
    FileSystems.delete([work])
    write_text(FileSystems.join(target, DONE_FILE), "")


def write_text(path: str, text: str) -> None:
    """Writes a file of UTF-8."""
    with FileSystems.create(path) as file:
        file.write(text.encode())
