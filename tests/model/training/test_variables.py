"""Files of variables: complete or refused, written and read in blocks."""

from __future__ import annotations

import tracemalloc
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
    monkeypatch.setattr(module, "_BLOCK", block)
    write_variables(path, variables(expected), {})
    [found] = variables(np.zeros(shape))
    read_variables(path, [found])
    np.testing.assert_array_equal(found.numpy(), expected)
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["00000"], expected)


def test_a_variable_is_not_copied_when_it_is_read_as_a_whole_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operations on some of its rows switch to copies, which would slow down each step with a dense optimizer."""
    monkeypatch.setattr(module, "_BLOCK", 8)
    path = str(tmp_path / "a.npz")
    [variable] = variables(np.ones([100, 3]))

    def copies() -> bool:
        first, second = (np.asarray(memoryview(variable.value.read_value())) for _ in range(2))
        return not np.shares_memory(first, second)

    write_variables(path, [variable], {})
    assert not copies()
    read_variables(path, [variable])
    assert not copies()


def test_an_array_in_another_order_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"00000": np.asfortranarray(np.ones([2, 3], "float32"))})
    with pytest.raises(ValueError, match=r"^v0 is in Fortran order in the file, expected C order$"):
        read_variables(str(tmp_path / "a.npz"), variables(np.ones([2, 3])))


@pytest.mark.parametrize(("count", "rows"), [(1, 2**21), (32, 2**16)])
def test_variables_are_written_and_read_without_a_copy(tmp_path: Path, count: int, rows: int) -> None:
    path, size = str(tmp_path / "a.npz"), count * rows * 16 * 4
    written, found = ([keras.Variable(np.full([rows, 16], x, "float32")) for _ in range(count)] for x in (1, 0))
    tracemalloc.start()  # NumPy reports its arrays.
    write_variables(path, written, {})
    read_variables(path, found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(variable.numpy().all() for variable in found)
    assert peak < size / 2


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


@pytest.mark.parametrize("value", [np.nan, [[0.0], [1.0], [np.inf]]])
def test_numbers_that_are_not_finite_are_never_written(
    tmp_path: Path, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", 8)
    with pytest.raises(NotFinite, match="v1"):
        write_variables(str(tmp_path / "a.npz"), variables(1.0, value), {})
    assert list(tmp_path.iterdir()) == []
