"""Builds the sdist and the wheel of this checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[2]


class Archives(NamedTuple):
    """An sdist, and the wheel that was built from it."""

    sdist: Path
    wheel: Path


def build_archives(files: list[str], source: Path, target: Path) -> Archives:
    """Copies the files of the checkout to `source` and builds in there, without network.

    The sdist is built with `setup.py sdist`, as Beam builds it for `--setup_file`. The copy keeps build output out of
    the checkout, and files that git does not track out of the sdist.
    """
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, source / name)
    setup = [sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(target)]
    subprocess.run(setup, cwd=source, check=True)
    (sdist,) = target.glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(target), str(sdist)], check=True)
    (wheel,) = target.glob("*.whl")
    return Archives(sdist, wheel)
