"""The example specs are valid, and agree with their README."""

from __future__ import annotations

from pathlib import Path

import pytest

from fieldpool.pipeline.spec_file import load_spec
from fieldpool.transforms.spec import MultivaluedField, NumericField

EXAMPLES = Path(__file__).parent.parent / "examples"
SPECS = sorted(EXAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_examples_are_valid_and_described(path: Path) -> None:
    load_spec(str(path))
    assert path.name in (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "item"), [("movielens", "item_id"), ("mind", "news_id")])
def test_history_shares_the_embeddings_of_items_and_keeps_the_newest(name: str, item: str) -> None:
    spec = load_spec(str(EXAMPLES / f"{name}.yaml"))
    assert spec.vocabulary_of("history") == spec.vocabulary_of(item)
    assert spec.fields_of(MultivaluedField)["history"].keep == "last"


def test_mind_identifies_a_candidate_and_carries_its_impression() -> None:
    spec = load_spec(str(EXAMPLES / "mind.yaml"))
    assert spec.copied_columns == {"key_0": "impression_id", "key_1": "news_id", "impression_id": "impression_id"}


def test_criteo_declares_each_of_its_columns_once() -> None:
    spec = load_spec(str(EXAMPLES / "criteo.yaml"))
    assert list(spec.fields_of(NumericField)) == [f"I{i}" for i in range(1, 14)]
    assert spec.source.columns == ["label", *spec.fields]
    assert len(spec.source.columns) == 40
