"""Options of a Beam run: where it runs, with how many workers, and what it may not turn on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from apache_beam.options.pipeline_options import PipelineOptions

from ..transforms.errors import UserError

# How the in-process runner works: in one thread of this process, in several, or in processes of their own.
Mode = Literal["auto", "memory", "threads", "processes"]

# Reading and writing already run beside the transform, so one worker keeps two cores busy: with two, the modes came out
# equal on 3M rows. More cores are only of use to processes, which take ten seconds to start.
_CORES_OF_A_WORKER = 2
_BYTES_FOR_PROCESSES = 512 << 20


def beam_options(
    runner: str | None = None,
    extra: Sequence[str] = (),
    *,
    mode: Mode = "auto",
    workers: int | None = None,
    input_bytes: int = 0,
) -> PipelineOptions:
    """Returns Beam's options: the in-process runner unless another is named, and `extra` as they stand.

    Beam's own default, DirectRunner, first tries to download another runner and may silently use that.

    Args:
        runner: a Beam runner's name.
        extra: options in Beam's own words.
        mode: of the in-process runner; `auto` is `memory`, or `processes` where input and cores are many.
        workers: threads or processes; by default one for two cores.
        input_bytes: the size of the source files, for `auto`.

    Raises:
        UserError: a mode or workers for a runner that has none.
    """
    if runner is not None and (mode != "auto" or workers is not None):
        raise UserError(f"--mode and --workers are the in-process runner's; {runner} has options of its own (--beam)")
    arguments = [f"--runner={runner or 'FnApiRunner'}", "--no_save_main_session"]
    if runner is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if mode == "auto":
            is_large = input_bytes >= _BYTES_FOR_PROCESSES and cores >= 2 * _CORES_OF_A_WORKER
            mode = "processes" if is_large or (workers or 1) > 1 else "memory"
        if mode != "memory":
            running = {"threads": "multi_threading", "processes": "multi_processing"}[mode]
            number = workers or max(2, cores // _CORES_OF_A_WORKER)
            arguments += [f"--direct_running_mode={running}", f"--direct_num_workers={number}"]
        elif (workers or 1) > 1:
            raise UserError(f"--mode memory has one worker; leave --workers {workers} out, or choose another mode")
    return PipelineOptions([*arguments, *extra])
