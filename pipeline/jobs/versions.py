"""Versions of what runs, here and on workers: a pipeline is pickled on one side and unpickled on the other."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...transforms.errors import WorkersDiffer

# Packages that results depend on, each with the name that it is imported by.
PACKAGES = {
    "fieldpool": "fieldpool",
    "apache-beam": "apache_beam",
    "tensorflow": "tensorflow",
    "tensorflow-transform": "tensorflow_transform",
    "tfx-bsl": "tfx_bsl",
    "keras": "keras",
    "pyarrow": "pyarrow",
}
_PYTHON = "Python"
_CODE = "fieldpool's code"


@cache
def versions() -> dict[str, str]:
    """Returns the versions of Python (without its patch), fieldpool and the packages that its results depend on.

    Also includes a digest of fieldpool's own code, since a checkout changes without a version change.
    """
    found = {_PYTHON: ".".join(platform.python_version_tuple()[:2])}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found | {_CODE: _digest()}


def _digest() -> str:
    root = Path(__file__).resolve().parents[2]
    sha = hashlib.sha256()
    for folder in ("transforms", "model", "pipeline"):
        for path in sorted((root / folder).rglob("*.py")):
            sha.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()[:12]


def check_versions(at_submission: dict[str, str]) -> None:
    """Compares the versions of this worker with those that the pipeline was built with.

    Raises:
        WorkersDiffer: some are others.
    """
    here = versions()
    differing = [
        f"{name} {theirs} at submission, {here.get(name, 'none')} on the worker"
        for name, theirs in at_submission.items()
        if here.get(name) != theirs
    ]
    if differing:
        raise WorkersDiffer(
            f"workers are not of the versions that the job was submitted with: {'; '.join(differing)}. Build the "
            "worker image anew from this checkout (Dockerfile), or submit from an environment like the workers'"
        )
