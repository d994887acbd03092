"""The rules of CONTRIBUTING.md on where code lives: imports go one way, packages and files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("transforms", "model", "pipeline", "api")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("**/*.py"))
# The folder of the public API is the package `fieldpool` itself.
PACKAGES = {"api": ["fieldpool"]}
PUBLIC = tuple(f"fieldpool.{path.stem}" for path in (ROOT / "api").glob("_[a-z]*.py"))
FORBIDDEN = {
    "transforms": ("fieldpool.model", "fieldpool.pipeline", *PUBLIC),
    "model": ("fieldpool.pipeline", *PUBLIC),
    "pipeline": PUBLIC,
    "api": (),
}

# The packages of `pipeline/` by level: each imports only from levels below its own.
LEVELS = [
    {"sources", "jobs", "kernels", "spec_errors", "arrow_lists"},
    {"rows", "sniffing", "tfrecords", "folders", "vectors", "demo_log", "spec_file"},
    {"analysis", "counts", "proposal"},
    {"runs", "serving", "reports"},
    {"terminal"},
    {"cli"},
]
MOST_LEVELS, MOST_MODULES, MOST_OWN_MODULES, MOST_LINES = 6, 12, 4, 300

# Modules that run on every backend of Keras: all layers but the one that needs TensorFlow, and the metrics.
ANY_BACKEND = [
    *(path for path in (ROOT / "model/layers").glob("*.py") if path.name != "fused_lookup.py"),
    *(ROOT / "model/metrics").glob("*.py"),
]
ONE_BACKEND = ("tensorflow", "tensorflow_transform", "apache_beam", "jax", "torch")
# Packages that `make test-backends` does not install.
NOT_WITH_LAYERS = ("tensorflow", "tensorflow_transform", "apache_beam", "pyarrow")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path, source: str) -> Iterator[str]:
    """Yields the full name of each module, and of each name, that the module at `path` imports."""
    folders = path.relative_to(ROOT).parent.parts
    package = [*PACKAGES.get(folders[0], ["fieldpool", folders[0]]), *folders[1:]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*origin, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_in(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def part_of(name: str) -> str | None:
    """Returns the package or module of `pipeline/` that a full name is in."""
    parts = name.split(".")
    return parts[2] if parts[:2] == ["fieldpool", "pipeline"] and len(parts) > 2 else None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    assert [name for name in imports(path, path.read_text()) if is_in(name, FORBIDDEN[folder])] == []


def test_every_part_of_the_pipeline_has_a_level() -> None:
    parts = {
        path.stem for path in (ROOT / "pipeline").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert parts - {"__init__"} == set().union(*LEVELS)
    assert len(LEVELS) <= MOST_LEVELS


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "pipeline")], ids=name_of)
def test_a_package_of_the_pipeline_imports_only_from_levels_below(path: Path) -> None:
    level_of = {part: level for level, parts in enumerate(LEVELS) for part in parts}
    own = path.relative_to(ROOT / "pipeline").with_suffix("").parts[0]
    if own == "__init__":
        return
    found = {part for name in imports(path, path.read_text()) if (part := part_of(name)) not in (None, own)}
    assert {part for part in found if level_of[str(part)] >= level_of[own]} == set()


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "model/layers")], ids=name_of)
def test_layers_import_no_other_part_of_the_model(path: Path) -> None:
    found = [name for name in imports(path, path.read_text()) if name.startswith("fieldpool.model.")]
    assert [name for name in found if not name.startswith("fieldpool.model.layers.")] == []


def calls(source: str) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("path", [p for p in MODULES if p != ROOT / "pipeline/jobs/job.py"], ids=name_of)
def test_pipelines_are_created_only_in_job_py(path: Path) -> None:
    """So that `--time_limit` and ^C apply to all of them: see `pipeline.jobs.job`."""
    assert not {"beam.Pipeline", "Pipeline", "pipeline.run"} & calls(path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_warnings_have_the_category_that_the_command_line_prints(path: Path) -> None:
    tree = ast.parse(path.read_text())
    warns = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) in ("warnings.warn", "warn")]
    assert [ast.unparse(warn) for warn in warns if "FieldpoolWarning" not in map(ast.unparse, warn.args[1:])] == []


def test_no_file_is_too_long() -> None:
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in sizes.items() if lines > MOST_LINES} == {}


def test_no_package_has_too_many_modules() -> None:
    packages = {path.parent for path in MODULES}
    sizes = {name_of(folder): len(list(folder.glob("*.py"))) - 1 for folder in packages}
    assert {name: modules for name, modules in sizes.items() if modules > MOST_MODULES} == {}
    assert sizes["pipeline"] <= MOST_OWN_MODULES


@pytest.mark.parametrize("path", ANY_BACKEND, ids=name_of)
def test_layers_import_no_backend(path: Path) -> None:
    assert [name for name in imports(path, path.read_text()) if is_in(name, ONE_BACKEND)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "model/layers").glob("*.py")), ids=name_of)
def test_layers_have_no_assignment_expressions(path: Path) -> None:
    """TensorFlow's AutoGraph cannot convert them, and prints a warning of three lines when `fit` traces a layer."""
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.NamedExpr)]


def test_fixtures_of_all_tests_load_without_tensorflow_and_arrow() -> None:
    """As in `make test-backends`."""
    script = f"import sys; sys.modules.update(dict.fromkeys({NOT_WITH_LAYERS})); import conftest"
    process = [sys.executable, "-c", script]
    done = subprocess.run(process, cwd=ROOT / "tests", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_tf_keras_is_never_used(path: Path) -> None:
    """Once TensorFlow Transform is imported, `tf.keras` is Keras 2."""
    source = path.read_text()
    used = [ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    assert not {"tf.keras", "tensorflow.keras"} & set(used)
    assert [name for name in imports(path, source) if is_in(name, ("tensorflow.keras", "tf_keras"))] == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from ..pipeline.rows.splits import a", "fieldpool.pipeline.rows.splits.a"),
        ("from .. import pipeline", "fieldpool.pipeline"),
        ("from .spec import a", "fieldpool.model.spec.a"),
        ("import fieldpool.pipeline.cli", "fieldpool.pipeline.cli"),
        ("def f():\n    from fieldpool import pipeline", "fieldpool.pipeline"),
        ("if TYPE_CHECKING:\n    from ..pipeline import rows", "fieldpool.pipeline.rows"),
        ("from tensorflow import keras", "tensorflow.keras"),
    ],
)
def test_every_form_of_import_is_found(source: str, name: str) -> None:
    assert list(imports(ROOT / "model" / "any.py", source)) == [name]
