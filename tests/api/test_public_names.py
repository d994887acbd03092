"""The public API is what `import fieldpool` has; it is lazy, and documented."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

import fieldpool

ROOT = Path(__file__).parent.parent.parent
PUBLIC = [name for name in fieldpool.__all__ if name != "__version__"]
# What people read and copy from.
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.*")])


def test_the_import_loads_no_large_library() -> None:
    """A test on seconds would depend on the machine: what takes seconds is these."""
    script = "import sys, fieldpool; dir(fieldpool); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    large = {"tensorflow", "keras", "apache_beam", "pyarrow", "numpy", "pandas", "pydantic", "rich", "yaml"}
    assert not large & set(done.stdout.split())


def test_a_spec_and_a_run_need_no_tensorflow() -> None:
    script = "import sys, fieldpool; fieldpool.Spec; fieldpool.Run; fieldpool.UserError; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "apache_beam"} & set(done.stdout.split())


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_exists_and_says_what_it_is(name: str) -> None:
    found = getattr(fieldpool, name)
    assert found is getattr(fieldpool, name)
    assert inspect.getdoc(found)
    assert name in dir(fieldpool)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "api/__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(imported) == sorted(PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'fieldpool' has no attribute 'predictions'"):
        _ = fieldpool.predictions  # type: ignore[attr-defined]


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert fieldpool.__version__ == version("fieldpool")


def test_functions_take_spec_run_model_data_in_this_order() -> None:
    order = ["spec", "run", "model", "data", "out"]
    for name in (
        "transform",
        "explain",
        "check",
        "train",
        "evaluate",
        "export",
        "verify",
        "predict",
        "profile",
        "report",
    ):
        parameters = inspect.signature(getattr(fieldpool, name)).parameters.values()
        positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert positional == [known for known in order if known in positional], name


def internal_modules(text: str) -> Iterator[str]:
    yield from re.findall(r"fieldpool\.(?:model|pipeline|transforms)\.[\w.]+", text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_and_examples_use_public_names_alone(path: Path) -> None:
    assert list(internal_modules(path.read_text(encoding="utf-8"))) == []


def test_keras_loads_layers_and_models_after_the_import_of_the_model_package(tmp_path: Path) -> None:
    """In a separate process, because other tests have registered the layers with Keras in this one."""
    path = tmp_path / "m.keras"
    x = keras.Input((3, 2))
    keras.Model(x, fieldpool.MaskedMeanPool(name="pool")(x)).save(path)
    load = (
        "import keras, fieldpool.model; from keras.saving import get_registered_object as registered; "
        f"print(keras.saving.load_model({str(path)!r}).layers[-1].name, "
        "registered('fieldpool>DeepFM').__name__, registered('fieldpool>PooledEmbeddings').__name__)"
    )
    done = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["pool", "DeepFM", "PooledEmbeddings"]
