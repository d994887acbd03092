"""The code of the pages runs as it is written."""

from __future__ import annotations

import random
from pathlib import Path

import pages
import pytest
from pages import PAGES, ROOT

README, TUTORIAL = ROOT / "README.md", ROOT / "docs/tutorial.md"
# Their Python runs in the folder that the tutorial leaves.
IN_TUTORIAL = [ROOT / "docs" / f"{name}.md" for name in ("derived", "training", "serving", "vectors")]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_tutorial_runs_from_its_first_block_to_its_last(tutorial: Path) -> None:
    made = ("runs/monday/DONE", "runs/tuesday/DONE", "models/monday/serving", "scores/tuesday/DONE")
    assert [path for path in made if not (tutorial / path).exists()] == []


@pytest.mark.parametrize("path", IN_TUTORIAL, ids=name_of)
@pytest.mark.usefixtures("in_tutorial")
def test_the_python_of_a_page_runs_on_the_run_and_model_of_the_tutorial(path: Path) -> None:
    pages.run_page(path, {"python": pages.run_python})


def test_the_spec_and_the_python_of_the_readme_run_on_ratings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chance = random.Random(0)
    rows = ["row_id,label,split,user_id,item_id,genres,history,age"]
    for row in range(200):
        label, split, user, item = row % 2, ("train", "eval", "test")[row % 3], row % 7, chance.randrange(40)
        history = "|".join(str(chance.randrange(40)) for _ in range(row % 5))
        rows.append(f"{row},{label},{split},{user},{item},Action|Drama,{history},{20 + user}")
    Path("ratings.csv").write_text("\n".join(rows), encoding="utf-8")
    pages.run_page(README, {"python": pages.run_python, "yaml": pages.check_spec})


def test_all_pages_with_python_are_run() -> None:
    assert {path for path in PAGES if pages.blocks(path, "python")} == {TUTORIAL, README, *IN_TUTORIAL}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_specs_are_valid(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages.run_page(path, {"yaml": pages.check_spec})
