"""Runs a Beam job on any runner and waits for its end: sets its name, enforces the time limit, cancels it on errors.

Every pipeline is run by `run_pipeline`, so `--time_limit` and ^C work for all of them.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import os
import time
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from ...transforms.errors import TimeLimitExceeded
from ...transforms.kinds import check_cloud_access
from ...transforms.process.stopping import undone
from . import dataflow, portable
from .errors import translate_worker_errors
from .local_workers import quiet_workers
from .options import FieldpoolOptions, runs_in_process

# Logs the address of a job's page; the command line shows it.
LOGGER = logging.getLogger(__name__)

# Always wait with a timeout: without one, Beam takes a failed status poll for the end of the job.
_SECONDS_AT_ONCE = 24 * 3600.0
_SECONDS_BETWEEN = 1.0
_SECONDS_TO_STOP = 20.0


def prepare_paths(options: PipelineOptions, reads: Sequence[str], target: str) -> tuple[list[str], str]:
    """Checks that a job with these options can start; returns `reads` and `target` as paths that workers can use.

    Workers may have another working directory, so relative paths become absolute. Beam's file systems get the options
    here, because they are used before a pipeline exists.

    Args:
        options: The options of the job.
        reads: Paths or patterns of the files that workers read.
        target: The folder that workers write to; "" for none.

    Raises:
        UserError: Dataflow would reject the job, its workers could not read a path, nothing answers at the job
            endpoint, or a path is on gs:// and Google Cloud cannot be used.
    """
    FileSystems.set_options(options)
    if runs_in_process(options):
        check_cloud_access(*reads, target)
        return list(reads), target
    if dataflow.is_dataflow(str(options.view_as(StandardOptions).runner)):
        dataflow.check_job(options, reads, target)
        check_cloud_access(*reads, target)
        with translate_worker_errors(target):
            dataflow.check_buckets(options, target)
    else:
        portable.check_answers(options)
        ours = options.view_as(FieldpoolOptions)
        ours.tft_temp_location = ours.tft_temp_location and _absolute(ours.tft_temp_location)
    return [_absolute(path) for path in reads], target and _absolute(target)


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


@contextlib.contextmanager
def running_pipeline(options: PipelineOptions, part: str = "") -> Iterator[beam.Pipeline]:
    """Yields a pipeline to add steps to; on exit, runs it and waits for its end. See `run_pipeline`."""
    pipeline = new_pipeline(options, part)
    yield pipeline
    run_pipeline(pipeline)


def new_pipeline(options: PipelineOptions, part: str = "") -> beam.Pipeline:
    """Returns a pipeline with a copy of the options, which runners change; `part` is appended to the job's name."""
    own = copy.deepcopy(options)
    cloud = own.view_as(GoogleCloudOptions)
    if part and cloud.job_name:
        cloud.job_name = f"{cloud.job_name}-{part}"
    return beam.Pipeline(options=own)


@quiet_workers()
def run_pipeline(pipeline: beam.Pipeline) -> PipelineResult:
    """Runs a pipeline and waits for its end.

    This process publishes the run after the job, so ^C, the time limit (`--time_limit`) and any other error here cancel
    the job.

    Raises:
        TimeLimitExceeded: the job did not finish within the time limit.
    """
    minutes = pipeline.options.view_as(FieldpoolOptions).time_limit
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    result = pipeline.run()
    page = ""
    if dataflow.is_dataflow(str(pipeline.options.view_as(StandardOptions).runner)):
        page = dataflow.page_of(result.job_id(), pipeline.options)
        LOGGER.info("%s", page)
    with undone(lambda: _cancel(result, page)):
        state = _wait(result, end)
    if not PipelineState.is_terminal(state):
        cancelled = "has been cancelled" if _cancel(result, page) else "could not be cancelled"
        raise TimeLimitExceeded(
            f"the job did not finish within {minutes:g} minutes and {cancelled} (state {state}); look at its log, use "
            "more workers, or raise --time_limit"
        )
    return result


def _wait(result: PipelineResult, end: float) -> str:
    """Waits until a job has ended or until the time `end`; returns the job's state.

    If one status poll fails, Dataflow's result stops waiting; the state is polled again then.
    """
    while True:
        left = min(max(end - time.monotonic(), 0.001), _SECONDS_AT_ONCE)
        state = result.wait_until_finish(duration=int(1000 * left) or 1)
        if PipelineState.is_terminal(state) or time.monotonic() >= end:
            return state
        time.sleep(_SECONDS_BETWEEN)


def _cancel(result: PipelineResult, page: str) -> bool:
    """Cancels a running job and waits up to 20 s for workers to stop; returns whether cancelling succeeded."""
    try:
        if not PipelineState.is_terminal(result.state):
            result.cancel()
    except Exception as error:  # The original error is the one to report.
        LOGGER.warning("The job could not be cancelled and may still be running: %s %s", error, page)
        return False
    end = time.monotonic() + _SECONDS_TO_STOP
    with contextlib.suppress(Exception):
        while not PipelineState.is_terminal(result.state) and time.monotonic() < end:
            time.sleep(_SECONDS_BETWEEN)
    return True
