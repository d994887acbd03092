"""The pages build as a site, strictly: `make docs`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pages import ROOT


def test_the_site_builds_without_warnings_and_shows_the_api(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fieldpool turns raw click logs" in (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert 'id="fieldpool.transform"' in (tmp_path / "site/docs/api/commands/index.html").read_text(encoding="utf-8")
