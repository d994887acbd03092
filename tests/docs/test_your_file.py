"""docs/your-file.md: what it says that a spec has is valid."""

from __future__ import annotations

import re

import pytest
import yaml
from page_words import text_of
from pages import ROOT

from fieldpool.pipeline.spec_file import parse_spec
from fieldpool.transforms.spec import Spec

PAGE = text_of(ROOT / "docs/your-file.md")
SPEC = {
    "label": {"field": "liked"},
    "split": {"hash": "user", "train": 0.8, "eval": 0.1, "test": 0.1},
    "fields": {"user": {"type": "categorical"}},
}
ENTRIES = [
    entry
    for row in re.findall(r"^\| .* \| (.*) \|$", PAGE, re.MULTILINE)
    for entry in re.findall(r"`(\w+: \{.*?\})`(?=[ ,]|$)", row)
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_entries_in_the_table_are_valid(entry: str) -> None:
    ((name, value),) = yaml.safe_load(entry).items()
    added = {name: value} if name in Spec.model_fields else {"fields": {name: value}}
    parse_spec({**SPEC, **added}, "docs/your-file.md")


def test_the_table_has_entries() -> None:
    assert len(ENTRIES) > 15
