"""From the command line to the options of a Beam job, with its plan shown before it starts."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from ..jobs.job import prepare
from ..jobs.options import beam_options, runs_in_process
from ..sources.files import find_files
from ..terminal import console
from .arguments import Where
from .plan import plan


def beam_job(
    where: Where, job: str, data: Sequence[str], out: str, other: str | None = None, before: Sequence[str] = ()
) -> PipelineOptions:
    """Returns the options of a job that reads `data`, and `other`, a run or model, and writes to `out`.

    A job elsewhere is held against the rules of where it runs, its plan is shown, and then what is told of it.
    `before`: what jobs of their own find out first.

    Raises:
        UserError: as `beam_options`, `running.prepare` and `find_files` say.
    """
    mode, workers, runner, beam = where
    options = beam_options(runner, beam or [], mode=mode, workers=workers, job=job)
    paths, target = prepare(options, [*data, *([other] if other else [])], out)
    files = find_files(paths[: len(data)])
    size = sum(file.size for file in files)
    if runs_in_process(options):
        return beam_options(runner, beam or [], mode=mode, workers=workers, input_bytes=size, job=job)
    console.show_plan(plan(options, files, target, before))
    console.follow_job()
    return options
