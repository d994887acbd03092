"""docs/errors.md has every class of errors, and every reason for which a row is rejected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fieldpool.model.examples import NoExamples
from fieldpool.model.export import NoExport
from fieldpool.model.run import NotARun
from fieldpool.pipeline.cli import app
from fieldpool.pipeline.sources.batches import Reason
from fieldpool.transforms.errors import UserError

PAGE = (Path(__file__).parents[1] / "docs/errors.md").read_text(encoding="utf-8")


def kinds(error: type[UserError] = UserError) -> set[type[UserError]]:
    return {error}.union(*(kinds(kind) for kind in error.__subclasses__() if kind.__module__.startswith("fieldpool")))


def test_table_has_exactly_the_error_classes() -> None:
    assert {NotARun, NoExamples, NoExport} < kinds()  # Their modules are imported.
    table = set(re.findall(r"^\| `([A-Z]\w+)` \|", PAGE, re.MULTILINE))
    assert table == {kind.__name__ for kind in kinds()}


def test_exit_codes_are_those_of_the_command_line() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert codes == {0, 1, 130} | {kind.exit_code for kind in kinds()}
    assert "130 for ^C" in (app.main.__doc__ or "")


def in_page(reason: Reason) -> re.Pattern[str]:
    """Returns a pattern of the reason in the page: in code font, with any text for each placeholder."""
    fixed = [re.escape(part) for part in re.split(r"\{[^}]*\}", reason)]
    return re.compile("`" + "[^`]+".join(fixed) + "`")


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_page_has_every_reason_for_rejecting_a_row(reason: Reason) -> None:
    assert in_page(reason).search(PAGE)


def test_missing_reason_is_detected() -> None:
    assert in_page(Reason.WRONG_WIDTH).search("`expected 8 columns, found 3`")
    assert not in_page(Reason.WRONG_WIDTH).search("`expected 8 columns`")
