"""The workers' image: checks of the Dockerfile against the project that need no container engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from fieldpool.pipeline.jobs.versions import versions

CHECKOUT = Path(__file__).parents[2]
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")


def test_image_is_beams_image_of_the_locked_version_with_its_entry_point() -> None:
    (locked,) = re.findall(r"^apache-beam==(\S+)", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE)
    assert re.findall(r"^FROM (.*)", DOCKERFILE, re.MULTILINE) == [f"apache/beam_python${{PYTHON}}_sdk:{locked}"]
    instructions = set(re.findall(r"^([A-Z]+) ", DOCKERFILE, re.MULTILINE))
    assert instructions == {"ARG", "FROM", "COPY", "RUN"}  # None of ENTRYPOINT, CMD, USER.


def test_docker_build_context_installs_the_same_package_as_the_submitter(tmp_path: Path) -> None:
    ignore = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert ignore[0] == "*"
    for name in (line.removeprefix("!") for line in ignore if line.startswith("!")):
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, tmp_path / name)
    assert (tmp_path / "requirements.lock").exists()

    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", tmp_path / "image", tmp_path], check=True)
    code = "import fieldpool.pipeline.jobs.versions as w; print(w.__file__); print(w.versions()['fieldpool\\'s code'])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'image')!r}); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    module, digest = done.stdout.split()
    assert Path(module).is_relative_to(tmp_path / "image")
    assert digest == versions()["fieldpool's code"]
