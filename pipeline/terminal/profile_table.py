"""The table of `fieldpool profile`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from .console import say, show

if TYPE_CHECKING:
    from ..reports.data_profile import DataProfile


def show_profile(found: DataProfile, paths: list[str], *, as_json: bool) -> None:
    """Prints the proposed fields, and the files that were written."""
    if as_json:
        proposal = found.proposal
        content = {"spec": proposal.spec, "reasons": proposal.reasons, "left_out": proposal.left_out}
        print(json.dumps(content | {"rows": found.rows, "files": paths}))
        return
    show([profile_table(found)])
    counts = ", ".join(f"{name} {number:,}" for name, number in found.rows.items())
    say(f"Of the sample: {counts}\nSpec: {paths[0]}\nPage: {paths[1]}")
    if found.spec is None:
        say(
            "No label: no column has only the values 0 and 1. Add `label: {field: COLUMN}` to the spec, or profile "
            "again with --label COLUMN."
        )


def profile_table(found: DataProfile) -> Table:
    """Returns a table of the proposed fields, and of the columns that were left out, with reasons."""
    table = Table(title="Proposed fields", title_justify="left")
    for name in ("field", "type", "why"):
        table.add_column(name, overflow="fold")
    for field in found.fields:
        table.add_row(Text(field.name), field.type, Text("; ".join(field.reasons)))
    for name, reason in found.proposal.left_out.items():
        table.add_row(Text(name), "(left out)", Text(reason))
    return table
