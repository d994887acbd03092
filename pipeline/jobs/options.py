"""Options of a Beam job: the runner, the number of workers, and checks that reject unsupported options."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
from collections.abc import Sequence
from typing import Literal

from apache_beam.options.pipeline_options import DebugOptions, DirectOptions, PipelineOptions, StandardOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.runner import create_runner

from ...transforms.errors import UserError
from ...transforms.process.cores import cores
from . import dataflow, portable

# How a job runs on this machine: in this process, in a number of threads of it, or in several processes.
Mode = Literal["auto", "memory", "threads", "processes"]

# Reading and writing already run in parallel to the transform, so one worker keeps two cores busy: with two cores, all
# modes took the same time on 3M rows. Only processes can use more cores, and they take ten seconds to start.
_CORES_OF_A_WORKER = 2
_BYTES_FOR_PROCESSES = 512 << 20

# Beam's DirectRunner tries to download another runner and may silently use it; here it means the in-process runner.
_IN_PROCESS = ("directrunner", "direct", "fnapirunner", "fnapi")
_REFUSED = {
    "streaming": "TensorFlow Transform needs bounded data",
    "save_main_session": "fieldpool does not need the main session, and pickling it breaks TensorFlow's modules",
    "runtime_type_check": "Beam's checks around each function break TensorFlow Transform",
    "performance_runtime_type_check": "Beam's checks around each function break TensorFlow Transform",
    "template_location": "a template does not start a job, so there would be no run",
    "output_executable_path": "an executable does not start a job, so there would be no run",
    "dry_run": "it does not start a job; `fieldpool explain` is a dry run",
    "update": "only streaming jobs can be updated",
}
_REFUSED_EXPERIMENTS = {
    "disable_portable_runner",
    "disable_prime_runner_v2",
    "disable_runner_v2",
    "disable_runner_v2_until_2023",
    "disable_runner_v2_until_v2.50",
    "enable_streaming_engine",
    "enable_streaming_java_runner",
    "enable_windmill_service",
}


class FieldpoolOptions(PipelineOptions):
    """Beam options that fieldpool defines."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--tft_temp_location",
            help="Folder for TensorFlow Transform's temporary files, used while the pipeline is built and on workers. "
            "TensorFlow must be able to write to it. Default: inside --out, not in Beam's --temp_location.",
        )
        parser.add_argument(
            "--time_limit",
            type=float,
            help="Minutes after which a job is cancelled. Default: no limit. Ignored by the in-process runner.",
        )


def beam_options(
    runner: str | None = None,
    extra: Sequence[str] = (),
    *,
    mode: Mode = "auto",
    workers: int | None = None,
    job: str = "transform",
) -> PipelineOptions:
    """Returns Beam's options: those of the in-process runner, unless `runner` names another one, and `extra`.

    Args:
        runner: The name of a Beam runner; DirectRunner is the in-process one.
        extra: Arguments for Beam, passed on unchanged. For Dataflow, options that are not among them get fieldpool's
            defaults (`dataflow.defaults`).
        mode: The mode of the in-process runner; `auto` is `memory`, or `processes` for several workers; see
            `choose_mode`.
        workers: The number of threads or processes; by default one for every two cores.
        job: The command, for the job's name.

    Raises:
        UserError: the runner does not exist, a value is invalid, an option breaks TensorFlow Transform, or `mode` or
            `workers` is given for another runner than the in-process one.
    """
    in_process = runner is None or runner.lower() in _IN_PROCESS
    if not in_process and (mode != "auto" or workers is not None):
        raise UserError(f"--mode and --workers are for the in-process runner; use the options of {runner} instead")
    _check_values(extra)
    if "runner" in PipelineOptions([*extra]).get_all_options(drop_default=True):
        raise UserError("--beam=--runner=…: use --runner instead, so that the defaults fit the runner")
    arguments = [f"--runner={'FnApiRunner' if in_process else runner}", "--no_save_main_session"]
    if in_process:
        arguments += _in_process(mode, workers)
    elif dataflow.is_dataflow(str(runner)):
        arguments += dataflow.defaults(extra, job)
    options = PipelineOptions([*arguments, *extra])
    _check_options(options)
    return options


def _check_values(extra: Sequence[str]) -> None:
    """Raises UserError for an invalid value; argparse itself would print all of Beam's options and exit."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            PipelineOptions([*extra]).get_all_options()
    except SystemExit:
        raise UserError(printed.getvalue().strip().splitlines()[-1].partition("error: argument ")[2]) from None


def runs_in_process(options: PipelineOptions) -> bool:
    """Returns whether all work is done by this process and its child processes."""
    return str(options.view_as(StandardOptions).runner).lower() in _IN_PROCESS


def local_threads(options: PipelineOptions) -> int | None:
    """Returns the number of threads with which this process transforms rows by itself; None if Beam's workers do it.

    It is one for each core, or the number of `--workers` with `--mode threads`.
    """
    direct = options.view_as(DirectOptions)
    if not runs_in_process(options) or direct.direct_running_mode == "multi_processing":
        return None
    is_given = direct.direct_running_mode == "multi_threading" and direct.direct_num_workers
    return direct.direct_num_workers if is_given else cores()


def choose_mode(options: PipelineOptions, input_bytes: int) -> None:
    """Implements the mode `auto`: switches to several processes for a large input on a machine with enough cores.

    Args:
        options: From `beam_options`, with the mode `auto` and no number of workers. Changed in place, unless Beam's
            own options already set the mode or the number of workers.
        input_bytes: The total size of the source files.
    """
    given = options.get_all_options(drop_default=True)
    if "direct_running_mode" in given or "direct_num_workers" in given:
        return
    if input_bytes >= _BYTES_FOR_PROCESSES and cores() >= 2 * _CORES_OF_A_WORKER:
        direct = options.view_as(DirectOptions)
        direct.direct_running_mode, direct.direct_num_workers = "multi_processing", _workers()


def _in_process(mode: Mode, workers: int | None) -> list[str]:
    if mode == "auto":
        mode = "processes" if (workers or 1) > 1 else "memory"
    if mode != "memory":
        running = {"threads": "multi_threading", "processes": "multi_processing"}[mode]
        return [f"--direct_running_mode={running}", f"--direct_num_workers={workers or _workers()}"]
    if (workers or 1) > 1:
        raise UserError(f"--mode memory has one worker; leave --workers {workers} out, or choose another mode")
    return []


def _workers() -> int:
    return max(2, cores() // _CORES_OF_A_WORKER)


def _check_options(options: PipelineOptions) -> None:
    """Raises UserError for an unknown runner and for options that fieldpool's pipelines do not support."""
    runner = str(options.view_as(StandardOptions).runner)
    try:
        made = create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UserError(f"--runner {runner}: {str(error).splitlines()[0]}") from None
    given = options.get_all_options(drop_default=True)
    limit = given.get("time_limit")
    if limit is not None and not 0 < limit < math.inf:
        raise UserError(f"--time_limit {limit:g}: expected a number of minutes greater than 0")
    faults = [f"--{name}: {why}; leave it out" for name, why in _REFUSED.items() if given.get(name)]
    experiments = options.view_as(DebugOptions).experiments or []
    faults += [
        f"--experiments={name}: fieldpool needs a portable batch job; leave it out"
        for name in experiments
        if name.partition("=")[0] in _REFUSED_EXPERIMENTS
    ]
    if dataflow.is_dataflow(runner):  # Beam's own validation of these queries the cloud; `check_job` does it later.
        faults += dataflow.missing(options) if faults else []
    else:
        found = [] if runs_in_process(options) else portable.faults(options)
        faults += found or PipelineOptionsValidator(options, made).validate()
    if faults:
        raise UserError("\n".join(faults))
