"""The command for unknown data, start: proposes a spec as `profile` does, then runs all steps of `run` with it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ...transforms.errors import CannotResume, TargetExists
from ...transforms.outputs import locked_folder
from ..reports.profile_files import check_profile_folder, write_profile
from ..terminal import console, startup
from ..terminal.progress import working
from .arguments import AsJson, Data, Epochs, Overwrite, ResumeWorkflow, RunnerOptions, Seed
from .workflow import RESUME_OR_REPLACE, Replacement, check_output, run_workflow


def start(
    data: Data,
    out: Annotated[str, typer.Option(help="The folder to create, with spec.yaml, profile.html, run and model.")],
    label: Annotated[str | None, typer.Option(help="The column of the label, if it cannot be guessed.")] = None,
    epochs: Epochs = None,
    seed: Seed = None,
    overwrite: Overwrite = False,
    resume: ResumeWorkflow = False,
    as_json: AsJson = False,
) -> None:
    """From unknown files to a first model: proposes a spec, then runs all steps of `run`. Edit the spec afterwards.

    Without a label it ends with the spec and the page. After ^C, --resume continues with the spec in --out.

    Example: `fieldpool start 'logs/*.csv' --label clicked --out first`
    """
    where, earlier = RunnerOptions(), Replacement(overwrite, resume)
    with locked_folder(out):
        check_output(out, where, earlier)
        spec, page = _check_profile(out, earlier)
        is_kept = resume and os.path.exists(spec)
        if is_kept:
            _check_label(spec, label)
        elif not _write_profile(data, [spec, page], label, as_json=as_json):
            if not as_json:
                again = ["--label", "COLUMN", "--out", out, "--overwrite"]
                console.say_next("start", *console.shortened(data), *again)
            return
        made = {"spec": spec, "page": page}
        run_workflow(spec, data, out, where, earlier, epochs=epochs, seed=seed, profile=made, as_json=as_json)
    if not as_json:
        files = console.shortened(data)
        console.say(f"The spec is a proposal: edit {spec}, see what it does to the rows, and run all steps again.")
        console.say_next("explain", spec, *files)
        console.say_next("run", spec, *files, "--out", out, "--overwrite")


def _check_profile(out: str, earlier: Replacement) -> list[str]:
    """Returns the paths of spec and page.

    Raises:
        TargetExists: they may not be replaced.
    """
    paths = check_profile_folder(out, overwrite=True)
    if os.path.lexists(paths[1]) and not earlier.is_allowed:
        raise TargetExists(f"{paths[0]}: {RESUME_OR_REPLACE}")
    return paths


def _check_label(spec: str, label: str | None) -> None:
    """Checks that the spec of an earlier `start` has this label.

    Raises:
        CannotResume: it has another one.
    """
    from ..spec_file import load_spec

    loaded = load_spec(spec)
    found, explode = loaded.label.field, loaded.source.explode
    if label not in (None, found, explode.column if explode else None):  # A label may be part of an exploded column.
        raise CannotResume(
            f"--label {label}: the label in {spec} is {found}; leave --label out, or start from scratch with "
            "--overwrite"
        )


def _write_profile(data: list[str], paths: list[str], label: str | None, *, as_json: bool) -> bool:
    """Writes spec and page, and prints the proposed fields; returns whether there is a label."""
    with startup.importing():
        from ..reports.data_profile import profile_data, profile_page
        from ..reports.profile_files import spec_text
        from ..terminal import profile_table
    with working("Reading"):
        found = profile_data(data, label=label)
        write_profile(paths, (spec_text(found.proposal), profile_page(found, f"Data profile: {', '.join(data)}")))
    has_label = found.spec is not None
    if not (as_json and has_label):
        profile_table.show_profile(found, paths, as_json=as_json)
    return has_label
