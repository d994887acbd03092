"""`fieldpool check`: new rows held against a run, as a table or JSON; exit code 3 where a threshold is broken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...transforms.errors import CheckFailed
from ..terminal import console
from .arguments import AsJson, Data, RunPath

if TYPE_CHECKING:
    from ..runs.drift import Finding


def check(run: RunPath, data: Data, as_json: AsJson = False) -> None:
    """Compares new rows with a run: OOV, missing, lengths, cut values, ranges, columns, label rate.

    Leaves with exit code 3 if a threshold of the run's spec, its `check:` section, is broken. Writes nothing.

    Example: `fieldpool check runs/monday tuesday.parquet`
    """
    with console.quiet_tensorflow():
        from ...model.run import Run
        from ..runs import drift
    opened = Run(run)
    with console.working("Reading"):
        findings = drift.check(opened, data)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        _show(findings)
    broken = [f"{finding.field}: {finding.measure}" for finding in findings if finding.is_broken]
    if broken:
        raise CheckFailed(
            f"{run}: the new rows are too far from this run's ({', '.join(broken)}); look for what changed at their "
            "source, train on newer rows, or widen the thresholds (`check:` in RUN/spec.yaml)"
        )


def _show(findings: Sequence[Finding]) -> None:
    table = Table(title="New rows beside the run's", title_justify="left")
    for name, justify in (("field", "left"), ("measure", "left"), ("run", "right"), ("new", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("allowed", ""):
        table.add_column(name)
    for finding in findings:
        numbers = (_number(finding.measure, value) for value in (finding.run, finding.new))
        verdict = Text("too far", "bold red") if finding.is_broken else Text("")
        cells = (finding.field, finding.measure, *numbers, finding.most or "")
        table.add_row(*map(Text, cells), verdict + Text(f" {finding.note}" if finding.note else ""))
    Console(highlight=False).print(table)


def _number(measure: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if measure == "length" else f"{value:.0f}" if measure == "unknown" else f"{value:.2%}"
