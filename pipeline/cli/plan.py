"""What a job that runs elsewhere is going to do, for a person to read before it starts."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    StandardOptions,
    WorkerOptions,
)

from ..jobs import dataflow, portable
from ..jobs.options import FieldpoolOptions
from ..sources.files import FileStamp


def plan(
    options: PipelineOptions, files: Sequence[FileStamp], target: str, before: Sequence[str] = ()
) -> dict[str, str]:
    """Returns the lines of the plan by their titles.

    Args:
        options: of the job, with all defaults.
        files: that are read.
        target: the folder that is made.
        before: what jobs of their own find out first (`measure.passes`).
    """
    runner = str(options.view_as(StandardOptions).runner)
    places = _of_dataflow(options) if dataflow.is_dataflow(runner) else _of_portable(options)
    limit = options.view_as(FieldpoolOptions).time_limit
    first = files[0].path + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    return {
        "Runner": runner,
        **({"Jobs": f"{len(before) + 1}, one after another: {', '.join([*before, 'the run'])}"} if before else {}),
        **places,
        "Input": f"{first}, {sum(file.size for file in files) / 1e6:,.1f} MB",
        "Output": target,
        "Own temporary files": options.view_as(FieldpoolOptions).tft_temp_location or f"{target}/.work-*",
        "Cancelled after": "never (--time_limit)"
        if limit is None
        else f"{limit:g} minutes{', each job' if before else ''}",
    }


def _of_dataflow(options: PipelineOptions) -> dict[str, str]:
    from apache_beam.runners.dataflow.internal.apiclient import get_container_image_from_options

    cloud, workers, setup = (options.view_as(kind) for kind in (GoogleCloudOptions, WorkerOptions, SetupOptions))
    given = options.get_all_options()
    most = f"at most {workers.max_num_workers}" if workers.max_num_workers else "as many as Dataflow finds useful"
    first = f"{workers.num_workers} at first, " if workers.num_workers else ""
    packages = [setup.setup_file, *(setup.extra_packages or []), setup.requirements_file]
    return {
        "Job": f"{cloud.job_name}, batch, project {cloud.project}, {cloud.region}",
        "Labels": ", ".join(cloud.labels or []),
        "Workers": f"{workers.machine_type or 'machines of Dataflow Prime'}, {first}{most}; "
        f"{given['number_of_worker_harness_threads']} threads a process",
        "Resource hints": ", ".join(given["resource_hints"] or []) or "none",
        "Image": get_container_image_from_options(options),
        "Packages staged": ", ".join(filter(None, packages)) or "none: the image has them",
        "Staging": cloud.staging_location or cloud.temp_location,
        "Beam's temporary files": cloud.temp_location,
    }


def _of_portable(options: PipelineOptions) -> dict[str, str]:
    server = options.view_as(PortableOptions).job_endpoint or "the runner's own, started here"
    return {"Job server": server, "Workers": portable.workers_of(options)}
