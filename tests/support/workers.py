"""Workers in a separate virtual environment, which has the requirements of fieldpool but not fieldpool."""

from __future__ import annotations

import socket
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SECONDS_TO_START = 60


class WorkerEnvironment:
    """A virtual environment with all packages of this environment except fieldpool.

    A .pth file adds this environment's site-packages to the path. Python does not read .pth files in folders that were
    added in this way, so an editable fieldpool is not found.
    """

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True, with_pip=False)
        self._bin = folder / "bin"
        (site_packages,) = folder.glob("lib/python*/site-packages")
        (site_packages / "shared.pth").write_text(sysconfig.get_paths()["purelib"])

    def install(self, sdist: Path) -> None:
        """Installs the package as a worker's container does when it starts."""
        pip = [sys.executable, "-m", "pip", "--python", str(self._bin / "python"), "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--ignore-installed", str(sdist)], check=True)

    def where(self, module: str, folder: Path) -> str:
        """Returns the file of a module, or the last line of Python's error."""
        code = f"import {module}; print({module}.__file__)"
        done = subprocess.run([self._bin / "python", "-c", code], cwd=folder, capture_output=True, text=True)
        return (done.stdout or done.stderr).strip().splitlines()[-1]

    @contextmanager
    def pool(self, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
        """Serves Beam's worker pool; yields its address, for --environment_config."""
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        command = [self._bin / "python", "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
        log = (folder / "workers.log").open("wb")
        path = {"PATH": f"{self._bin}:/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(folder)}
        process = subprocess.Popen(command, cwd=folder, env={**path, **environment}, stdout=log, stderr=log)
        try:
            _wait_for(port, process)
            yield f"localhost:{port}"
        finally:
            process.terminate()
            process.wait(SECONDS_TO_START)
            log.close()


def _wait_for(port: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("localhost", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no worker pool on port {port}")
