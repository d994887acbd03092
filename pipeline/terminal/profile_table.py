"""The table of `fieldpool profile`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from .console import out, say

if TYPE_CHECKING:
    from ..reports.data_profile import DataProfile


def show_profile(found: DataProfile, paths: list[str], *, as_json: bool) -> None:
    """Prints the proposed fields, and the files that were written."""
    if as_json:
        proposal = found.proposal
        content = {"spec": proposal.spec, "reasons": proposal.reasons, "left_out": proposal.left_out}
        print(json.dumps(content | {"rows": found.rows, "files": paths}))
        return
    table = Table(title="Proposed fields", title_justify="left")
    for name in ("field", "type", "why"):
        table.add_column(name, overflow="fold")
    for field in found.fields:
        table.add_row(Text(field.name), field.type, Text("; ".join(field.reasons)))
    for name, reason in found.proposal.left_out.items():
        table.add_row(Text(name), "(left out)", Text(reason))
    out.print(table)
    counts = ", ".join(f"{name} {number:,}" for name, number in found.rows.items())
    say(f"Of the sample: {counts}\nSpec: {paths[0]}\nPage: {paths[1]}")
    say(f"Next: fieldpool explain {paths[0]} DATA...")
