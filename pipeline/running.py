"""A Beam job from building to its end, on whatever runner: named, limited in time, and cancelled if nobody waits."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from ..transforms.errors import TimeLimitExceeded
from . import dataflow, portable
from .options import FieldpoolOptions, runs_in_process
from .worker_errors import errors_of_users

_LOGGER = logging.getLogger(__name__)


def prepare(options: PipelineOptions, reads: Sequence[str], target: str) -> tuple[list[str], str]:
    """Checks that a job with these options can begin; returns the paths as workers will find them.

    Elsewhere than in this process a relative path would be another, so paths on a shared directory become absolute.
    Beam's file systems are set up with the options, for they are used before there is a pipeline.

    Raises:
        UserError: Dataflow would refuse it or its workers could not read it; nobody answers at the job's endpoint.
    """
    FileSystems.set_options(options)
    if runs_in_process(options):
        return list(reads), target
    if dataflow.is_dataflow(str(options.view_as(StandardOptions).runner)):
        dataflow.check(options, reads, target)
        with errors_of_users(target):
            dataflow.check_buckets(options, target)
    else:
        portable.check_answers(options)
    return [_absolute(path) for path in reads], _absolute(target)


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


@contextlib.contextmanager
def running(options: PipelineOptions, part: str = "") -> Iterator[beam.Pipeline]:
    """Gives a pipeline to add steps to; runs it at the end, until it is done. See `run`."""
    pipeline = new_pipeline(options, part)
    yield pipeline
    run(pipeline)


def new_pipeline(options: PipelineOptions, part: str = "") -> beam.Pipeline:
    """Returns a pipeline with options of its own, for runners write into theirs; `part` goes to the job's name."""
    own = copy.deepcopy(options)
    cloud = own.view_as(GoogleCloudOptions)
    if part and cloud.job_name:
        cloud.job_name = f"{cloud.job_name}-{part}"
    return beam.Pipeline(options=own)


def run(pipeline: beam.Pipeline) -> PipelineResult:
    """Runs a pipeline until it is done.

    A job that nobody waits for makes nothing that counts, since a run is published from here: ^C and the time limit
    (`--time_limit`) cancel it.

    Raises:
        TimeLimitExceeded: it was cancelled.
    """
    minutes = pipeline.options.view_as(FieldpoolOptions).time_limit
    result = pipeline.run()
    if dataflow.is_dataflow(str(pipeline.options.view_as(StandardOptions).runner)):
        _LOGGER.info("%s", dataflow.page_of(result.job_id(), pipeline.options))
    try:
        state = result.wait_until_finish(duration=None if minutes is None else max(1, int(minutes * 60_000)))
    except KeyboardInterrupt:
        _cancel(result)
        raise
    if not PipelineState.is_terminal(state):
        _cancel(result)
        raise TimeLimitExceeded(
            f"the job was not done after {minutes:g} minutes and has been cancelled (state {state}); look at its log, "
            "give it more workers, or raise --time_limit"
        )
    return result


def _cancel(result: PipelineResult) -> None:
    with contextlib.suppress(Exception):  # What led here is what is told.
        result.cancel()
