"""The rule of CONTRIBUTING.md: imports go one way, pipeline → model → transforms."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for folder in ("transforms", "model", "pipeline") for path in (ROOT / folder).glob("**/*.py"))
FORBIDDEN = {
    "transforms": ("fieldpool.model", "fieldpool.pipeline"),
    "model": ("fieldpool.pipeline",),
    "pipeline": (),
}
# These run on every backend of Keras.
ANY_BACKEND = ("model/pooling.py", "model/embedding.py", "model/deepfm.py", "model/metrics.py")
ONE_BACKEND = ("tensorflow", "tensorflow_transform", "apache_beam", "jax", "torch")
NOT_WITH_THEM = ("tensorflow", "tensorflow_transform", "apache_beam", "pyarrow")


def imports(path: Path, source: str) -> Iterator[str]:
    """Yields the full name of each module, and of each name, that the module at `path` imports."""
    package = ["fieldpool", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*origin, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_in(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    folder = path.relative_to(ROOT).parts[0]
    assert [name for name in imports(path, path.read_text()) if is_in(name, FORBIDDEN[folder])] == []


@pytest.mark.parametrize("path", ANY_BACKEND)
def test_layers_import_no_backend(path):
    assert [name for name in imports(ROOT / path, (ROOT / path).read_text()) if is_in(name, ONE_BACKEND)] == []


def test_fixtures_of_all_tests_load_without_tensorflow_and_arrow():
    """As `make test-backends` has them."""
    script = f"import sys; sys.modules.update(dict.fromkeys({NOT_WITH_THEM})); import conftest"
    process = [sys.executable, "-c", script]
    done = subprocess.run(process, cwd=ROOT / "tests", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tf_keras_is_never_used(path):
    """With TensorFlow Transform imported, `tf.keras` is Keras 2."""
    source = path.read_text()
    used = [ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    assert not {"tf.keras", "tensorflow.keras"} & set(used)
    assert [name for name in imports(path, source) if is_in(name, ("tensorflow.keras", "tf_keras"))] == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from ..pipeline.splits import a", "fieldpool.pipeline.rows.splits.a"),
        ("from .. import pipeline", "fieldpool.pipeline"),
        ("from .spec import a", "fieldpool.model.spec.a"),
        ("import fieldpool.pipeline.cli.app", "fieldpool.pipeline.cli.app"),
        ("def f():\n    from fieldpool import pipeline", "fieldpool.pipeline"),
        ("from tensorflow import keras", "tensorflow.keras"),
    ],
)
def test_every_form_of_import_is_seen(source, name):
    assert list(imports(ROOT / "model" / "any.py", source)) == [name]
