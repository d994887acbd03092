"""Commands that write HTML pages: profile, before training, and report, after it."""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Any

import typer

from ...transforms.errors import UserError
from ..reports.profile_files import check_profile_folder, profile_folder
from ..terminal import console, preflight, startup
from ..terminal.progress import working
from .arguments import AsJson, Data, ModelPath, Overwrite, RunPath

REPORT_NAME = "report.html"


def profile(
    data: Data,
    out: Annotated[str, typer.Option(help="The folder for spec.yaml and profile.html.")],
    rows: Annotated[int, typer.Option(min=1, help="Approximate number of rows to read, evenly spread.")] = 200_000,
    label: Annotated[str | None, typer.Option(help="The column of the label: 0 and 1, words or numbers.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="The delimiter of CSV files, or `tab`.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="The columns of CSV files without a header, separated by commas.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Proposes a spec for new data, with reasons, and writes an HTML page about each field.

    Example: `fieldpool profile 'logs/*.parquet' --out look`
    """
    check_profile_folder(out, overwrite=overwrite)  # Before the imports, which take seconds.
    preflight.check_data(data)
    with startup.importing():
        from ..reports.data_profile import profile_data, profile_page
        from ..reports.profile_files import spec_text
        from ..terminal import profile_table
    with profile_folder(out, overwrite=overwrite) as write, working("Reading"):
        found = profile_data(data, rows=rows, label=label, source=_source(delimiter, columns))
        paths = write((spec_text(found.proposal), profile_page(found, f"Data profile: {', '.join(data)}")))
    profile_table.show_profile(found, paths, as_json=as_json)
    if not as_json and found.spec is not None:
        console.say_next("explain", paths[0], *console.shortened(data))


def report(
    run: RunPath,
    model: ModelPath,
    out: Annotated[str, typer.Option(help="The HTML file to write.")] = REPORT_NAME,
    data: Annotated[list[str] | None, typer.Option(help="The source files, for the commands in the report.")] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Writes a model card, one HTML file: quality, slices, learning curves, data, formula, commands.

    Example: `fieldpool report runs/monday models/monday --out monday.html`
    """
    written = write_report(run, model, out, data, overwrite=overwrite)
    if as_json:
        print(json.dumps({"report": written}))
    else:
        console.say(f"Report: {written}\nNext: open {shlex.quote(written)} in a browser")


def write_report(run: str, model: str, out: str, data: list[str] | None, *, overwrite: bool = False) -> str:
    """Writes the report of a trained model; returns its path."""
    preflight.check_run(run)
    with startup.importing():
        from ...transforms.runs.run import Run
        from ..reports import model_report
    with working("Writing the report"):
        return model_report.write_report(Run(run), model, out, data=data, overwrite=overwrite)


def _source(delimiter: str | None, columns: str | None) -> Any:
    """Returns the `source:` section with these options.

    Raises:
        UserError: an option is not valid.
    """
    from pydantic import ValidationError

    from ...transforms.spec import Source

    given: dict[str, Any] = {}
    if delimiter is not None:
        given["delimiter"] = "\t" if delimiter in ("tab", "\\t") else delimiter
    if columns is not None:
        given |= {"header": False, "columns": columns.split(",")}
    try:
        return Source.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("delimiter",):
            raise UserError(f"--delimiter: expected 1 to 8 characters, or `tab`; found {delimiter!r}") from None
        raise UserError(f"--delimiter, --columns: {first['msg'].removeprefix('Value error, ')}") from None
