"""Commands that write pages to look at: profile, before training, and report, after it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ...transforms.errors import UserError
from ..reports.profile_files import new_profile_paths, write_profile
from ..terminal import console, startup
from ..terminal.progress import working
from .arguments import AsJson, Data, ModelPath, RunPath

REPORT_NAME = "report.html"


def profile(
    data: Data,
    out: Annotated[str, typer.Option(help="The folder for spec.yaml and profile.html.")],
    rows: Annotated[int, typer.Option(min=1, help="About so many rows are looked at, evenly spread.")] = 200_000,
    label: Annotated[str | None, typer.Option(help="The label's column, where it cannot be guessed.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of CSV files: a character, or `tab`.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Names of the columns, separated by commas, of CSV files without a header.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Looks at new data: proposes a spec, with reasons, and draws what is in the fields.

    Example: `fieldpool profile 'logs/*.parquet' --out look`
    """
    paths = new_profile_paths(out)
    with startup.importing():
        from ..reports.data_profile import profile_data, profile_page, spec_text
        from ..terminal import profile_table
    with working("Looking"):
        found = profile_data(data, rows=rows, label=label, source=_source(delimiter, columns))
        texts = (spec_text(found), profile_page(found, f"Data profile: {', '.join(data)}"))
        write_profile(paths, texts)
    profile_table.show_profile(found, paths, as_json=as_json)


def report(
    run: RunPath,
    model: ModelPath,
    out: Annotated[str, typer.Option(help="The page to write.")] = REPORT_NAME,
    data: Annotated[list[str] | None, typer.Option(help="Source files, to name in how to make it again.")] = None,
    as_json: AsJson = False,
) -> None:
    """A model card in one HTML file: data, learning curves, quality, slices, formula, how to make it again.

    Example: `fieldpool report runs/monday models/monday --out monday.html`
    """
    written = write_report(run, model, out, data)
    if as_json:
        print(json.dumps({"report": written}))
    else:
        console.say(f"Report: {written}")


def write_report(run: str, model: str, out: str, data: list[str] | None) -> str:
    """Writes the report of a training; returns its path."""
    with startup.importing():
        from ...model.run import Run
        from ..reports import model_report
    with working("Writing the report"):
        return model_report.write_report(Run(run), model, out, data=data)


def _source(delimiter: str | None, columns: str | None) -> Any:
    """Returns how the files are read, if options say it."""
    from ...transforms.spec import Source

    given: dict[str, Any] = {}
    if delimiter is not None:
        given["delimiter"] = "\t" if delimiter in ("tab", "\\t") else delimiter
    if columns is not None:
        given |= {"header": False, "columns": columns.split(",")}
    try:
        return Source.model_validate(given)
    except ValueError:
        raise UserError(f"--delimiter: expected one character, or `tab`; found {delimiter!r}") from None
