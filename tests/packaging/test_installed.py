"""The wheel and the sdist, each installed with its dependencies in a fresh environment: `make test-package`.

Commands run outside the checkout, in an empty folder, except where the test says otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from archives import CHECKOUT, Archives

import fieldpool

pytestmark = pytest.mark.package

Run = Callable[..., str]
UV = str(Path(sys.executable).parent / "uv")
MODULES = "import fieldpool, json, sys; print(json.dumps(list(sys.modules)))"
FILES = """
import fieldpool, fieldpool.model, fieldpool.pipeline, fieldpool.transforms
for package in (fieldpool, fieldpool.model, fieldpool.pipeline, fieldpool.transforms):
    print(package.__file__)
"""


def test_twine_accepts_both_archives(archives: Archives) -> None:
    subprocess.run([UV, "tool", "run", "--quiet", "twine", "check", "--strict", *archives], check=True)


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def environment(request: pytest.FixtureRequest, archives: Archives) -> Iterator[Path]:
    """A virtual environment with fieldpool and the locked versions of its dependencies: 3 GB, removed afterwards."""
    with TemporaryDirectory() as folder:
        made = Path(folder) / "environment"
        subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(made)], check=True)
        install = [UV, "pip", "install", "--quiet", "--python", str(made / "bin/python")]
        locked = ["--constraint", str(CHECKOUT / "requirements.lock")]
        subprocess.run([*install, *locked, str(getattr(archives, request.param))], check=True)
        yield made


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Run:
    """`run("fieldpool", "--version", cwd=…)` gives the standard output of a program of the environment."""

    def call(program: str, *arguments: str, cwd: Path = tmp_path) -> str:
        process = [str(environment / "bin" / program), *arguments]
        done = subprocess.run(process, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.mark.parametrize("command", [["fieldpool"], ["python", "-m", "fieldpool"]])
def test_the_command_prints_its_version(run: Run, command: list[str]) -> None:
    assert fieldpool.__version__ in run(*command, "--version")


def test_the_package_runs_as_a_module(run: Run) -> None:
    assert "Usage" in run("python", "-m", "fieldpool", "--help")


def test_the_import_leaves_tensorflow_and_beam_out(run: Run) -> None:
    assert not {"tensorflow", "keras", "apache_beam", "pyarrow"} & set(json.loads(run("python", "-c", MODULES)))


@pytest.mark.parametrize("in_checkout", [False, True], ids=["empty folder", "checkout"])
def test_the_installed_package_is_imported(run: Run, environment: Path, tmp_path: Path, in_checkout: bool) -> None:
    files = run("python", "-c", FILES, cwd=CHECKOUT if in_checkout else tmp_path).split()
    assert len(files) == 4
    assert [file for file in files if not Path(file).is_relative_to(environment / "lib")] == []


@pytest.mark.parametrize("in_checkout", [False, True], ids=["empty folder", "checkout"])
def test_the_demo_writes_a_model_and_its_report(run: Run, tmp_path: Path, in_checkout: bool) -> None:
    out = tmp_path / "demo"
    run("fieldpool", "demo", "--rows", "1000", "--out", str(out), cwd=CHECKOUT if in_checkout else tmp_path)
    assert list(out.rglob("model.keras"))
    assert list(out.rglob("DONE"))


def test_five_lines_lead_from_a_dataframe_to_metrics(run: Run) -> None:
    output = run("python", str(CHECKOUT / "examples/dataframe.py"))
    assert "auc" in output
