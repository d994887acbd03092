"""Options of a Beam run: where it runs and what it may not turn on."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions


def beam_options(runner: str | None = None, extra: Sequence[str] = ()) -> PipelineOptions:
    """Returns Beam's options: the in-process runner unless another is named, and `extra` as they stand.

    Beam's own default, DirectRunner, first tries to download another runner and may silently use that.
    """
    arguments = [f"--runner={runner or 'FnApiRunner'}", "--no_save_main_session", *extra]
    return PipelineOptions(arguments)
