"""Commands that write pages to look at: profile, before training, and report, after it."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

import typer

from ...transforms.errors import UserError
from ..terminal import console, startup
from ..terminal.progress import working
from .arguments import AsJson, Data, ModelPath, RunPath

SPEC_NAME, PAGE_NAME, REPORT_NAME = "spec.yaml", "profile.html", "report.html"


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
    paths = [os.path.join(out, name) for name in (SPEC_NAME, PAGE_NAME)]
    for path in paths:
        if os.path.exists(path):
            raise UserError(f"{path}: exists already; choose another folder with --out, or remove it first")
    with startup.importing():
        from ..reports.data_profile import profile_data, profile_page, spec_text
        from ..terminal import profile_table
    with working("Looking"):
        found = profile_data(data, rows=rows, label=label, source=_source(delimiter, columns))
        os.makedirs(out, exist_ok=True)
        texts = (spec_text(found), profile_page(found, f"Data profile: {', '.join(data)}"))
        for path, text in zip(paths, texts, strict=True):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
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
    folder = os.path.dirname(model) if model.endswith(".keras") else model
    with working("Writing the report"):
        return model_report.write_report(Run(run), folder, out, data=data)


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
