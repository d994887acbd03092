"""docs/errors.md holds every kind of error, and every reason for which a row is rejected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fieldpool.model.examples import NoExamples
from fieldpool.model.export import NoExport
from fieldpool.model.run import NotARun
from fieldpool.pipeline.cli import app as cli
from fieldpool.transforms.errors import UserError

PAGE = (Path(__file__).parents[1] / "docs/errors.md").read_text(encoding="utf-8")
SOURCES = Path(__file__).parents[1] / "pipeline"


def kinds(error: type[UserError] = UserError) -> set[type[UserError]]:
    return {error}.union(*(kinds(kind) for kind in error.__subclasses__() if kind.__module__.startswith("fieldpool")))


def test_the_table_has_every_kind_of_error_and_no_other() -> None:
    assert {NotARun, NoExamples, NoExport} < kinds()  # Their modules are imported.
    table = set(re.findall(r"^\| `([A-Z]\w+)` \|", PAGE, re.MULTILINE))
    assert table == {kind.__name__ for kind in kinds()}


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert codes == {0, 1, 130} | {kind.exit_code for kind in kinds()}
    assert "130 for ^C" in (cli.main.__doc__ or "")


REASONS = [
    reason
    for name in ("quarantine.py", "splits.py", "columns.py")
    for reason in re.findall(
        r'"((?:the|a|an|expected|not|no|invalid) [^"{]{6,}?)(?:"|\{)', (SOURCES / name).read_text()
    )
    if ";" not in reason and "needs" not in reason
]


@pytest.mark.parametrize("reason", sorted(set(REASONS)))
def test_the_page_has_every_reason_of_a_rejected_row(reason: str) -> None:
    words = reason.split(",")[0].strip().removesuffix("expected one of").strip()
    assert words in PAGE or reason.startswith("expected one of")
