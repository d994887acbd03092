"""The commands, options, names and links in the pages exist."""

from __future__ import annotations

import re
from pathlib import Path

import page_words
import pytest
from pages import PAGES, ROOT

import fieldpool

# Options of pip, saved_model_cli and a job server, a name that stands for any option, and a misspelt one in a message.
OTHER_OPTIONS = {"--no-deps", "--all", "--enable_batching", "--artifacts-dir", "--name", "--max-workers"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# Pages for users: those for contributors name internal modules, and options of other programs.
FOR_USERS = [p for p in PAGES if p.parent.name != "benchmarks" and p.stem not in ("CONTRIBUTING", "CHANGELOG")]
every_page = pytest.mark.parametrize("path", PAGES, ids=name_of)
every_page_for_users = pytest.mark.parametrize("path", FOR_USERS, ids=name_of)


@every_page
def test_commands_exist_with_their_options_and_arguments(path: Path) -> None:
    for command in page_words.commands_of(path):
        page_words.check_command(command)


@pytest.mark.parametrize(
    "command", ["evaluate RUN", "transform S D --out R --colour red", "melt RUN", "check --fast …"]
)
def test_a_command_that_does_not_exist_would_be_seen(command: str) -> None:
    with pytest.raises(Exception, match=r"Missing|[Nn]o such option|melt"):
        page_words.check_command(["fieldpool", *command.split()])


@every_page_for_users
def test_options_in_the_text_exist(path: Path) -> None:
    spans = page_words.code_spans(path)
    named = {option for span in spans for option in re.findall(r"(?<![\w=-])--[a-z]\w*(?:-\w+)*", span)}
    known = set().union(*map(page_words.options_of, [page_words.PROGRAM, *page_words.COMMANDS.values()]))
    assert named <= known | OTHER_OPTIONS


@every_page
def test_targets_of_make_exist(path: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"(?:`|^|[A-Z]=\S+ )make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= set(targets)


@every_page_for_users
def test_names_of_the_package_are_public(path: Path) -> None:
    named = {name for span in page_words.code_spans(path) for name in re.findall(r"^fieldpool\.(\w+)", span)}
    assert named <= set(fieldpool.__all__)


@every_page
def test_relative_links_lead_to_files_and_headings(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s:]+)\)", page_words.text_of(path)):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not anchor or anchor in page_words.anchors(target), link
