"""The tables of `fieldpool profile`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ..reports.profile_files import inline, printable
from .console import say, show

if TYPE_CHECKING:
    from ..reports.data_profile import DataProfile


def show_profile(found: DataProfile, paths: list[str], *, as_json: bool) -> None:
    """Prints the proposed fields, and the files that were written."""
    if as_json:
        proposal = found.proposal
        reasons = proposal.reasons | {"source": [f"{name}: {reason}" for name, reason in proposal.of_source.items()]}
        content = {"spec": proposal.spec, "reasons": reasons, "left_out": proposal.left_out}
        print(json.dumps(content | {"rows": found.rows, "files": paths}))
        return
    show([sections_table(found), profile_table(found)])
    counts = ", ".join(f"{name} {number:,}" for name, number in found.rows.items())
    say(f"Of the sample: {counts}\nSpec: {paths[0]}\nPage: {paths[1]}")
    if found.spec is None:
        say(
            "No label: no column has only the values 0 and 1. Add `label: {field: COLUMN}` to the spec, or profile "
            "again with --label COLUMN."
        )


def sections_table(found: DataProfile) -> Table:
    """Returns a table of the other decisions of the proposal: how files are read, the label, the key, the split."""
    table = Table(title="Proposed sections", title_justify="left")
    for name in ("section", "setting", "why"):
        table.add_column(name, overflow="fold")
    proposal = found.proposal
    for entry, setting in proposal.spec.get("source", {}).items():
        table.add_row(f"source.{entry}", Text(inline(setting)), Text(printable(proposal.of_source.get(entry, ""))))
    for section in ("key", "label", "split", "max_rejected"):
        reasons = proposal.reasons.get(section)
        if reasons:
            setting = Text(inline(proposal.spec[section]))
            table.add_row(section, setting, Text(printable("; ".join(reasons))))
    return table


def profile_table(found: DataProfile) -> Table:
    """Returns a table of the proposed fields, and of the columns that were left out, with reasons."""
    table = Table(title="Proposed fields", title_justify="left")
    for name in ("field", "type", "why"):
        table.add_column(name, overflow="fold")
    for field in found.fields:
        table.add_row(Text(printable(field.name)), field.type, Text(printable("; ".join(field.reasons))))
    for name, reason in found.proposal.left_out.items():
        table.add_row(Text(printable(name)), "(left out)", Text(printable(reason)))
    return table
