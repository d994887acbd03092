"""The reference pages are complete: every public name, every entry of the spec, every example in a docstring."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest
from page_words import text_of
from pages import ROOT
from pydantic import BaseModel

import fieldpool
from fieldpool.transforms import spec as sections

API = sorted((ROOT / "docs/api").glob("*.md"))
SPEC_PAGE = text_of(ROOT / "docs/spec.md")

# What fields of several kinds have is explained once: above their tables, or under Vocabularies.
IN_SEVERAL = {
    *("type", "column", "derivation", "side", "text", "normalize"),
    *(
        "vocabulary",
        "min_count",
        "top_k",
        "num_oov_buckets",
        "hash_buckets",
        "dim",
        "vectors",
        "freeze",
        "retire_after",
    ),
}


def test_the_api_pages_have_every_public_name_once() -> None:
    named = [name for page in API for name in re.findall(r"^::: fieldpool\.(\w+)$", page.read_text(), re.MULTILINE)]
    assert sorted(named) == sorted(set(fieldpool.__all__) - {"__version__"})


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("Top level", sections.Spec),
        ("categorical: one value", sections.CategoricalField),
        ("multivalued: a list of values", sections.MultivaluedField),
        ("numeric: one number", sections.NumericField),
        ("vector: a list of floats", sections.VectorField),
        ("Vocabularies", sections.Vocabulary),
        ("Sample", sections.Sample),
        ("Source", sections.Source),
        ("Limits", sections.Limits),
        ("Check", sections.Check),
        ("Model", sections.Model),
        ("Train", sections.Train),
        ("Evaluation", sections.Evaluation),
        ("Ranking", sections.Ranking),
    ],
)
def test_the_table_of_a_section_has_its_keys_and_no_others(heading: str, section: type[BaseModel]) -> None:
    part = re.search(rf"^##+ {heading}$(.*?)(?=^##|\Z)", SPEC_PAGE, re.MULTILINE | re.DOTALL)
    assert part is not None
    keys = {key for row in re.findall(r"^\| (`.*?) \|", part[1], re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert keys <= set(section.model_fields)
    assert set(section.model_fields) - keys <= (IN_SEVERAL if "type" in section.model_fields else set())


def modules_with_examples() -> list[str]:
    """Returns the modules with `>>>` in a docstring, by their names in the package."""
    folders = {"transforms": "fieldpool.transforms", "model": "fieldpool.model", "pipeline": "fieldpool.pipeline"}
    paths = [(path, ROOT / "api", "fieldpool") for path in (ROOT / "api").glob("*.py")]
    for folder, package in folders.items():
        paths += [(path, ROOT / folder, package) for path in sorted((ROOT / folder).glob("**/*.py"))]
    return [module_name(*path) for path in paths if ">>> " in path[0].read_text(encoding="utf-8")]


def module_name(path: Path, folder: Path, package: str) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join([package, *(part for part in parts if part != "__init__")])


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_in_docstrings_give_what_they_show(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0
