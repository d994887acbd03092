"""docs/errors.md has every class of errors, every warning, and every reason for which a row is rejected."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldpool.model.compatibility import DifferentRun
from fieldpool.model.examples import NoExamples
from fieldpool.pipeline.cli import app
from fieldpool.pipeline.sources.batches import Reason
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.run_files import NoExport, NotARun

PAGE = (Path(__file__).parents[1] / "docs/errors.md").read_text(encoding="utf-8")


def kinds(error: type[UserError] = UserError) -> set[type[UserError]]:
    return {error}.union(*(kinds(kind) for kind in error.__subclasses__() if kind.__module__.startswith("fieldpool")))


def test_table_has_exactly_the_error_classes() -> None:
    assert {DifferentRun, NotARun, NoExamples, NoExport} < kinds()  # Their modules are imported.
    table = set(re.findall(r"^\| `([A-Z]\w+)` \|", PAGE, re.MULTILINE))
    assert table == {kind.__name__ for kind in kinds()}


def test_exit_codes_are_those_of_the_command_line() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert codes == {0, 1, 130} | {kind.exit_code for kind in kinds()}
    assert "130 for ^C" in (app.main.__doc__ or "")


CODE = [
    path.read_text(encoding="utf-8")
    for package in ("api", "model", "pipeline", "transforms")
    for path in sorted((Path(__file__).parents[1] / package).rglob("*.py"))
]


def messages_of_warnings(code: str) -> Iterator[ast.expr]:
    """Yields the texts of a module's warnings: of `message` in functions that warn, and arguments of `_warn`."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef) and "warnings.warn(message, FieldpoolWarning" in ast.unparse(node):
            assigned = [part for part in ast.walk(node) if isinstance(part, ast.Assign)]
            yield from (part.value for part in assigned if ast.unparse(part.targets[0]) == "message")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "_warn":
            yield node.args[0]


def first_clause(message: ast.expr) -> re.Pattern[str]:
    """Returns a pattern of a message up to its first semicolon or full stop, with any text for each placeholder.

    The page may leave out a path at its beginning.
    """
    parts = message.values if isinstance(message, ast.JoinedStr) else [message]
    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in parts)
    clause = re.split(r"; |\. ", text)[0].removeprefix("\0: ")
    return re.compile(r"\| `+(.+: )?" + ".+".join(map(re.escape, clause.split("\0"))) + ".*`+ \\|")


WARNINGS = PAGE.partition("\n## Warnings\n")[2].partition("\n## ")[0]
MESSAGES = [
    first_clause(message) for code in CODE if "warnings.warn(" in code for message in messages_of_warnings(code)
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.pattern[12:40])
def test_page_has_every_warning(message: re.Pattern[str]) -> None:
    assert message.search(WARNINGS)


def test_every_warning_in_the_page_is_in_the_code() -> None:
    rows = [line for line in WARNINGS.splitlines() if line.startswith("| `")]
    assert [row for row in rows if not any(message.search(row) for message in MESSAGES)] == []


def test_all_warnings_have_the_form_that_is_searched() -> None:
    assert {call for code in CODE for call in re.findall(r"warnings\.warn\(.{0,25}", code)} == {
        "warnings.warn(message, FieldpoolWarning"
    }


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
