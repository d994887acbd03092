"""The programs and the notebook in examples/ run as they are."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from pages import ROOT

EXAMPLES = ROOT / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_runs_and_shows_a_result(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


def test_the_notebook_runs_and_shows_results_as_tables(tmp_path: Path) -> None:
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert sum("┏" in output["data"].get("text/html", "") for output in shown) >= 6


@pytest.mark.parametrize("path", [*PROGRAMS, *EXAMPLES.glob("*.ipynb"), *EXAMPLES.glob("*.yaml")], ids=lambda p: p.name)
def test_the_list_of_examples_is_complete(path: Path) -> None:
    assert f"]({path.name})" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_imports_public_names_only(path: Path) -> None:
    assert not re.search(r"^(from|import) fieldpool\.", path.read_text(encoding="utf-8"), re.MULTILINE)
