"""Options of a Beam run: where it runs, with how many workers, and what it may not turn on."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
from collections.abc import Sequence
from typing import Literal

from apache_beam.options.pipeline_options import DebugOptions, DirectOptions, PipelineOptions, StandardOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.runner import create_runner

from ...transforms.errors import UserError
from . import dataflow, portable

# How the in-process runner works: in one thread of this process, in several, or in processes of their own.
Mode = Literal["auto", "memory", "threads", "processes"]

# Reading and writing already run beside the transform, so one worker keeps two cores busy: with two, the modes came out
# equal on 3M rows. More cores are only of use to processes, which take ten seconds to start.
_CORES_OF_A_WORKER = 2
_BYTES_FOR_PROCESSES = 512 << 20

# DirectRunner first tries to download another runner and may silently use that: here it is the in-process one.
_IN_PROCESS = ("directrunner", "direct", "fnapirunner", "fnapi")
_REFUSED = {
    "streaming": "TensorFlow Transform analyzes data that end",
    "save_main_session": "nothing here is defined in a main session, and pickling one breaks TensorFlow's modules",
    "runtime_type_check": "Beam wraps each function in a check that TensorFlow Transform's do not survive",
    "performance_runtime_type_check": "Beam wraps each function in a check that TensorFlow Transform's do not survive",
    "template_location": "a template is no job: there would be nothing to wait for, and no run",
    "output_executable_path": "an executable is no job: there would be nothing to wait for, and no run",
    "dry_run": "it makes no job to wait for; `fieldpool explain` is a dry run",
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
    """Options of ours among Beam's."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--tft_temp_location",
            help="Where TensorFlow Transform keeps what it needs on the way, while the pipeline is built and on "
            "workers: a folder that TensorFlow can write to. Default: beside the run that is made, apart from Beam's "
            "own --temp_location.",
        )
        parser.add_argument(
            "--time_limit", type=float, help="Minutes after which a job is cancelled. Default: none. Not in process."
        )


def beam_options(
    runner: str | None = None,
    extra: Sequence[str] = (),
    *,
    mode: Mode = "auto",
    workers: int | None = None,
    job: str = "transform",
) -> PipelineOptions:
    """Returns Beam's options: the in-process runner unless another is named, and `extra` as they stand.

    Args:
        runner: a Beam runner's name; DirectRunner is the in-process one.
        extra: options in Beam's own words. For Dataflow, those that are not among them have the project's defaults
            (`dataflow.defaults`).
        mode: of the in-process runner; `auto` is `memory`, or `processes` for several workers; see `choose_mode`.
        workers: threads or processes; by default one for two cores.
        job: what the job does, for its name.

    Raises:
        UserError: there is no such runner, an option has no such value or breaks TensorFlow Transform, or a mode or
            workers are for a runner that has none.
    """
    in_process = runner is None or runner.lower() in _IN_PROCESS
    if not in_process and (mode != "auto" or workers is not None):
        raise UserError(f"--mode and --workers are the in-process runner's; {runner} has options of its own")
    _check_values(extra)
    if "runner" in PipelineOptions([*extra]).get_all_options(drop_default=True):
        raise UserError("--beam=--runner=…: give it as --runner, or the defaults of another runner would be taken")
    arguments = [f"--runner={'FnApiRunner' if in_process else runner}", "--no_save_main_session"]
    if in_process:
        arguments += _in_process(mode, workers)
    elif dataflow.is_dataflow(str(runner)):
        arguments += dataflow.defaults(extra, job)
    options = PipelineOptions([*arguments, *extra])
    _check_options(options)
    return options


def _check_values(extra: Sequence[str]) -> None:
    """Raises UserError for a value that an option cannot have; argparse would print all that Beam knows, and exit."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            PipelineOptions([*extra]).get_all_options()
    except SystemExit:
        raise UserError(said.getvalue().strip().splitlines()[-1].partition("error: argument ")[2]) from None


def runs_in_process(options: PipelineOptions) -> bool:
    """Returns whether all work is done by this process and those it starts."""
    return str(options.view_as(StandardOptions).runner).lower() in _IN_PROCESS


def choose_mode(options: PipelineOptions, input_bytes: int) -> None:
    """Turns to processes where there is much to read and there are cores for it: the mode `auto`.

    Args:
        options: Of `beam_options` with `auto` and no number of workers; changed in place, but for what Beam's own
            options say.
        input_bytes: The size of the source files.
    """
    given = options.get_all_options(drop_default=True)
    if "direct_running_mode" in given or "direct_num_workers" in given:
        return
    if input_bytes >= _BYTES_FOR_PROCESSES and _cores() >= 2 * _CORES_OF_A_WORKER:
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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _workers() -> int:
    return max(2, _cores() // _CORES_OF_A_WORKER)


def _check_options(options: PipelineOptions) -> None:
    """Raises UserError for a runner that is not there and options that no pipeline of ours survives."""
    runner = str(options.view_as(StandardOptions).runner)
    try:
        made = create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UserError(f"--runner {runner}: {str(error).splitlines()[0]}") from None
    given = options.get_all_options(drop_default=True)
    limit = given.get("time_limit")
    if limit is not None and not 0 < limit < math.inf:
        raise UserError(f"--time_limit {limit:g}: expected minutes, more than 0")
    faults = [f"--{name}: {why}; leave it out" for name, why in _REFUSED.items() if given.get(name)]
    experiments = options.view_as(DebugOptions).experiments or []
    faults += [
        f"--experiments={name}: fieldpool needs the portable runner and batches; leave it out"
        for name in experiments
        if name.partition("=")[0] in _REFUSED_EXPERIMENTS
    ]
    if dataflow.is_dataflow(runner):  # Beam looks at Dataflow's in the cloud: not before ours are checked.
        faults += dataflow.missing(options) if faults else []
    else:
        elsewhere = [] if runs_in_process(options) else portable.faults(options)
        faults += elsewhere or PipelineOptionsValidator(options, made).validate()
    if faults:
        raise UserError("\n".join(faults))
