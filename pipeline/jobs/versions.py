"""Package versions at submission and on workers: a pipeline is pickled by the submitter and unpickled by workers."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ... import __file__ as _ROOT_MODULE
from ...transforms.errors import WorkersDiffer

# Packages that results depend on, each with its import name.
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
    """Returns the versions of Python (major and minor), fieldpool and the packages that its results depend on.

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
    # In a checkout, `fieldpool` itself is in the folder api/, beside the other packages; installed, it contains them.
    root = Path(__file__).resolve().parents[2]
    folders = {"": Path(_ROOT_MODULE).resolve().parent} | {
        name: root / name for name in ("transforms", "model", "pipeline")
    }
    modules = {
        f"{name}/{path.relative_to(folder).as_posix()}".lstrip("/"): path
        for name, folder in folders.items()
        for path in folder.rglob("*.py")
    }
    sha = hashlib.sha256()
    for module, path in sorted(modules.items()):
        sha.update(module.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()[:12]


def check_versions(at_submission: dict[str, str]) -> None:
    """Compares the versions on this worker with those of the process that built the pipeline.

    Raises:
        WorkersDiffer: at least one version differs.
    """
    here = versions()
    differing = [
        f"{name} {theirs} at submission, {here.get(name, 'none')} on the worker"
        for name, theirs in at_submission.items()
        if here.get(name) != theirs
    ]
    if differing:
        raise WorkersDiffer(
            f"workers have other versions than the submitter: {'; '.join(differing)}. Rebuild the worker image from "
            "this checkout (Dockerfile), or submit from an environment with the workers' versions"
        )
