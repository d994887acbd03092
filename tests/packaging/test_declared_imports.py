"""The dependencies in pyproject.toml are the packages that fieldpool imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from archives import CHECKOUT

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
# TensorBoard is what Keras' callback of that name writes for; pandas is limited because Beam breaks with its version 3.
NOT_IMPORTED = {"pandas", "tensorboard"}


def normal(name: str) -> str:
    """Returns the normalised name of a distribution, without its extras and versions."""
    return re.split(r"[\[<>=~; ]", name)[0].lower().replace("_", "-")


def imported(path: Path) -> Iterator[str]:
    """Yields the absolute names of modules that the module at `path` imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)


installed = cache(packages_distributions)  # Takes a second.


def distributions(module: str) -> set[str]:
    """Returns the distributions that install `module`; parts of the namespace `google` are named after theirs."""
    first, _, rest = module.partition(".")
    if first == "google":
        part = normal(rest.partition(".")[0])
        return {part if part == "protobuf" else f"google-{part}"}
    return {normal(name) for name in installed()[first]}


def third_party_modules() -> dict[str, str]:
    """Returns each imported module outside fieldpool and the standard library, with a file that imports it."""
    paths = [
        path for folder in ("api", "transforms", "model", "pipeline") for path in (CHECKOUT / folder).rglob("*.py")
    ]
    return {
        module: str(path.relative_to(CHECKOUT))
        for path in paths
        for module in imported(path)
        if module.partition(".")[0] not in {*sys.stdlib_module_names, "fieldpool"}
    }


def test_every_imported_package_is_declared() -> None:
    declared = {normal(name) for name in PROJECT["dependencies"]}
    undeclared = {m: path for m, path in third_party_modules().items() if not distributions(m) & declared}
    assert undeclared == {}


def test_every_declared_package_is_imported() -> None:
    used = set().union(*map(distributions, third_party_modules()))
    assert {normal(name) for name in PROJECT["dependencies"]} - used == NOT_IMPORTED


def test_the_lock_file_has_every_declared_package() -> None:
    locked = set(re.findall(r"^([\w.-]+)==", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    declared = {normal(name) for name in [*PROJECT["dependencies"], *extras["test"], *extras["docs"]]}
    assert declared - locked == set()


def test_the_lock_file_names_no_package_index() -> None:
    assert not re.search(r"://|^--", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE)
