"""Creates a virtual environment for each system that fieldpool is compared with, under `bench-data/peers/`.

PyTorch comes from the index that pip is configured for; on Linux PyPI has the build with CUDA, unless
PIP_EXTRA_INDEX_URL names PyTorch's index for CPUs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

INSTALL = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")


class Peer(NamedTuple):
    """A Python version, and the arguments of successive `pip install` commands."""

    python: str
    installs: tuple[tuple[str, ...], ...]


PEERS = {
    # DeepCTR's layers are those of Keras 2, which TensorFlow 2.15 was the last to have.
    "deepctr": Peer("3.11", (("deepctr==0.9.4", "tensorflow-cpu==2.15.1", "numpy<2"),)),
    # Without its dependencies, which its operators do not need.
    "fbgemm": Peer("3.11", (("torch==2.13.0", "numpy<3"), ("--no-deps", "fbgemm-gpu-cpu==1.8.0"))),
    "fuxictr": Peer("3.11", (("torch==2.13.0", "fuxictr==2.3.10"),)),
    "keras_rs": Peer("3.11", (("keras-rs==0.4.0", "keras==3.15.1", "tensorflow==2.21.0"),)),
}


class CannotInstall(Exception):
    """A system cannot be installed on this machine; the message says why."""


def python_of(name: str, folder: Path) -> Path:
    """Returns the Python of a peer's environment; creates the environment if it does not exist.

    Raises:
        CannotInstall: its version of Python is not installed, or pip fails.
    """
    peer, environment = PEERS[name], folder / name
    python, done = environment / "bin" / "python", environment / ".installed"
    if done.exists() and done.read_text() == repr(peer):
        return python
    shutil.rmtree(environment, ignore_errors=True)
    base = shutil.which(f"python{peer.python}")
    if base is None:
        raise CannotInstall(f"no python{peer.python} on the PATH")
    # pyenv's shims need this variable to find a version other than the selected one.
    _call([base, "-m", "venv", str(environment)], {"PYENV_VERSION": peer.python})
    for packages in peer.installs:
        _call([str(python), *INSTALL, *packages], {})
    done.write_text(repr(peer))
    return python


def _call(command: list[str], environment: dict[str, str]) -> None:
    process = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    if process.returncode:
        reason = "\n".join(process.stderr.strip().splitlines()[-3:])
        raise CannotInstall(f"{' '.join(command)}: {reason}")
