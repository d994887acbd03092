"""Files of variables: complete or refused; at most one copy of a variable is in memory."""

from __future__ import annotations

import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fieldpool.model.training import variables as module
from fieldpool.model.training.variables import (
    DAMAGED,
    NotFinite,
    check_variables,
    read_variables,
    write_variables,
)


def variables(*values: Any) -> list[keras.Variable]:
    return [keras.Variable(np.array(value, "float32"), name=f"v{i}") for i, value in enumerate(values)]


def test_variables_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = str(tmp_path / "a.npz")
    write_variables(path, variables([[1.0, 2.0]], 3.0), {"epoch": 4})
    found = variables([[0.0, 0.0]], 0.0)
    read_variables(path, [found[0], None])
    assert check_variables(path) == {"epoch": 4}
    assert (found[0].numpy().tolist(), float(found[1].numpy())) == ([[1.0, 2.0]], 0.0)


@pytest.mark.parametrize("block", [1, 24, 36, 1000])
@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (7, 3), (6, 3), (5, 2, 3), (3, 0)])
def test_blocks_of_any_size_give_the_same_variable(
    shape: tuple[int, ...], block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "a.npz")
    expected = np.random.default_rng(0).normal(size=shape).astype("float32")
    write_variables(path, variables(expected), {})
    monkeypatch.setattr(module, "_BLOCK", block)
    [found] = variables(np.zeros(shape))
    read_variables(path, [found])
    np.testing.assert_array_equal(found.numpy(), expected)


def test_a_variable_is_read_without_a_copy_of_it(tmp_path: Path) -> None:
    path, rows = str(tmp_path / "a.npz"), 2**21
    write_variables(path, variables(np.ones([rows, 16])), {})
    found = variables(np.zeros([rows, 16]))
    tracemalloc.start()  # NumPy reports its arrays.
    read_variables(path, found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found[0].numpy().all()
    assert peak < rows * 16 * 4 / 2


@pytest.mark.parametrize(
    "other", [np.zeros([3, 2], "float32"), np.zeros([2, 3], "int32"), np.zeros([2, 3, 1], "float32")]
)
def test_a_variable_of_another_shape_or_dtype_is_refused(tmp_path: Path, other: np.ndarray) -> None:
    path = str(tmp_path / "a.npz")
    write_variables(path, variables(np.ones([2, 3])), {})
    with pytest.raises(ValueError, match=r"^v is float32 \(2, 3\) in the file, .* here$"):
        read_variables(path, [keras.Variable(other, dtype=other.dtype, name="v")])


@pytest.mark.parametrize("position", [0.3, 0.6, 0.9])
def test_a_changed_or_truncated_file_is_damaged(tmp_path: Path, position: float) -> None:
    path = tmp_path / "a.npz"
    write_variables(str(path), variables(np.arange(1000.0)), {})
    content = path.read_bytes()
    at = int(position * len(content))
    for wrong in (content[:at], content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]):
        path.write_bytes(wrong)
        with pytest.raises(DAMAGED):
            check_variables(str(path))


def test_numbers_that_are_not_finite_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(NotFinite, match="v1"):
        write_variables(str(tmp_path / "a.npz"), variables(1.0, np.nan), {})
    assert list(tmp_path.iterdir()) == []


def test_one_copy_of_a_variable_is_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def copy_of(variable: keras.Variable) -> np.ndarray:
        alive.append(sum(copy() is not None for copy in copies))
        array = np.array(variable.numpy())
        copies.append(weakref.ref(array))
        return array

    monkeypatch.setattr(module.keras.ops, "convert_to_numpy", copy_of)
    write_variables(str(tmp_path / "a.npz"), variables(1.0, 2.0, 3.0), {})
    assert alive == [0, 0, 0]
