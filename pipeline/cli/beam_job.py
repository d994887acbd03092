"""Prepares a Beam job from the options of a command, and shows the plan of a remote job before it starts."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import partial

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    StandardOptions,
    WorkerOptions,
)

from ..folders.work_folder import WORK_PREFIX
from ..jobs import dataflow, local_workers, portable
from ..jobs.options import FieldpoolOptions, beam_options, choose_mode, runs_in_process
from ..rows.prepared_job import PreparedJob, prepare_job
from ..terminal import console, startup
from .arguments import RunnerOptions


def prepared_job(
    where: RunnerOptions,
    name: str,
    data: Sequence[str],
    out: str = "",
    *,
    run: str | None = None,
    model: str | None = None,
    before: Sequence[str] = (),
) -> PreparedJob:
    """Returns the job that reads `data`, and optionally a run and a model, and writes to `out`.

    A remote job is checked against the rules of its runner; its plan is printed, and from then on its log messages.

    Args:
        where: The options that say where it runs.
        name: The command; part of the job's name.
        data: Patterns of files.
        out: The folder to create; "" for none.
        run: A run that the job reads.
        model: A model that the job reads.
        before: The purposes of the jobs that run before it (`spec_resolution.passes`).

    Raises:
        UserError: as `beam_options` and `prepare_job`.
    """
    _keep_interrupts_from_workers()
    options = beam_options(where.runner, where.beam or [], mode=where.mode, workers=where.workers, job=name)
    job = prepare_job(data, out, options, run=run, model=model)
    if not runs_in_process(options):
        console.show_plan(_plan(job, before))
        startup.until_exit(startup.following_job())
    elif where.mode == "auto" and where.workers is None and out:  # `verify` has no target; it may read only a sample.
        choose_mode(options, job.input_bytes)
    return job


def _keep_interrupts_from_workers() -> None:
    """Starts worker processes in other process groups: ^C reaches only this process, which ends them."""
    local_workers.start_process = partial(subprocess.Popen, process_group=0)


def _plan(job: PreparedJob, before: Sequence[str] = ()) -> dict[str, str]:
    """Returns the lines of the plan by title.

    Args:
        job: A job whose options have all defaults.
        before: The purposes of the jobs that run before it (`spec_resolution.passes`).
    """
    options, files = job.options, job.files
    runner = str(options.view_as(StandardOptions).runner)
    where = _of_dataflow(options) if dataflow.is_dataflow(runner) else _of_portable(options)
    limit = options.view_as(FieldpoolOptions).time_limit
    first = files[0].path + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    own_files = options.view_as(FieldpoolOptions).tft_temp_location or f"{job.target}/{WORK_PREFIX}*"
    output = {"Output": job.target, "Own temporary files": own_files} if job.target else {}
    return {
        "Runner": runner,
        **({"Jobs": f"{len(before) + 1}, one after another: {', '.join([*before, 'the run'])}"} if before else {}),
        **where,
        "Input": f"{first}, {job.input_bytes / 1e6:,.1f} MB",
        **output,
        "Cancelled after": "never (--time_limit)"
        if limit is None
        else f"{limit:g} minutes{', each job' if before else ''}",
    }


def _of_dataflow(options: PipelineOptions) -> dict[str, str]:
    from apache_beam.runners.dataflow.internal.apiclient import get_container_image_from_options

    cloud, workers, setup = (options.view_as(kind) for kind in (GoogleCloudOptions, WorkerOptions, SetupOptions))
    given = options.get_all_options()
    most = f"at most {workers.max_num_workers}" if workers.max_num_workers else "number chosen by Dataflow"
    first = f"{workers.num_workers} at first, " if workers.num_workers else ""
    packages = [setup.setup_file, *(setup.extra_packages or []), setup.requirements_file]
    return {
        "Job": f"{cloud.job_name}, batch, project {cloud.project}, {cloud.region}",
        "Labels": ", ".join(cloud.labels or []),
        "Workers": f"{workers.machine_type or 'machines of Dataflow Prime'}, {first}{most}; "
        f"{given['number_of_worker_harness_threads']} threads per process",
        "Resource hints": ", ".join(given["resource_hints"] or []) or "none",
        "Image": get_container_image_from_options(options),
        "Packages staged": ", ".join(filter(None, packages)) or "none: the image has them",
        "Staging": cloud.staging_location or cloud.temp_location,
        "Beam's temporary files": cloud.temp_location,
    }


def _of_portable(options: PipelineOptions) -> dict[str, str]:
    server = options.view_as(PortableOptions).job_endpoint or "the runner's own, started here"
    return {"Job server": server, "Workers": portable.workers_of(options)}
