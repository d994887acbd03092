"""Functions that Numba compiles: they work with and without a folder for their machine code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba.core import caching

from fieldpool.pipeline.kernels.compiled import compiled, read_only, writable


def double(values: Any, out: Any) -> None:
    for i in range(len(values)):
        out[i] = 2 * values[i]


def test_function_is_compiled_where_no_folder_is_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        caching.FunctionCache(double)
    out = np.zeros(2, np.int64)
    compiled(read_only(np.int64), writable(np.int64))(double)(np.array([1, 2]), out)
    assert out.tolist() == [2, 4]


def test_function_is_compiled_where_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.FunctionCache, "save_overload", full)
    out = np.zeros(2, np.int64)
    compiled(read_only(np.int64), writable(np.int64))(double)(np.array([1, 2]), out)
    assert out.tolist() == [2, 4]
