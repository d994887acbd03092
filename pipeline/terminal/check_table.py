"""The table of `fieldpool check`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from .console import show

if TYPE_CHECKING:
    from ..runs.drift import Finding


def show_findings(findings: Sequence[Finding], *, as_json: bool = False) -> None:
    """Prints the comparison of new rows with a run."""
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
        return
    show([findings_table(findings)])


def findings_table(findings: Sequence[Finding]) -> Table:
    """Returns a table that compares new rows with a run: one row for each field and measure."""
    table = Table(title="New rows compared with the run", title_justify="left")
    for name, justify in (("field", "left"), ("measure", "left"), ("run", "right"), ("new", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("allowed", ""):
        table.add_column(name)
    for finding in findings:
        numbers = (_number(finding.measure, value) for value in (finding.run, finding.new))
        verdict = Text("exceeded", "bold red") if finding.is_broken else Text("")
        cells = (finding.field, finding.measure, *numbers, finding.most or "")
        table.add_row(*map(Text, cells), verdict + Text(f" {finding.note}" if finding.note else ""))
    return table


def _number(measure: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if measure == "length" else f"{value:.0f}" if measure == "unknown" else f"{value:.2%}"
