"""Each target of the Makefile runs tests and modules that exist."""

from __future__ import annotations

import re
import subprocess

import pytest
from pages import ROOT

TEXT = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z-]+):.*## ", TEXT, re.MULTILINE)
MARKERS = re.findall(r'^    "(\w+): .*`make', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("target", [*TARGETS, "pytest"])
def test_a_target_names_existing_tests_modules_and_markers(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    paths = re.findall(r"\s(tests[\w./-]*|examples)(?=\s|$)", done.stdout)
    modules = re.findall(r"-m (benchmarks[\w.]*)", done.stdout)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [
        name for name in modules if not list((ROOT / name.replace(".", "/")).parent.glob(f"{name.split('.')[-1]}*"))
    ] == []
    assert set(re.findall(r"pytest .*-m (\w+)", done.stdout)) <= set(MARKERS)


def test_the_benchmarks_run_in_the_small_in_a_target_of_their_own() -> None:
    done = subprocess.run(["make", "-n", "test-benchmarks"], cwd=ROOT, capture_output=True, text=True, check=True)
    for module in ("pipelines.compare", "pipelines.vocabularies", "training.compare", "training.step", "serving"):
        assert f"-m benchmarks.{module} " in done.stdout
