"""The decorator of functions that Numba compiles to machine code; they run without Python's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types


def read_only(dtype: type[np.generic]) -> Any:
    """Returns the type of a contiguous one-dimensional array that a compiled function only reads."""
    return types.Array(_scalar(dtype), 1, "C", readonly=True)


def writable(dtype: type[np.generic]) -> Any:
    """Returns the type of a contiguous one-dimensional array that a compiled function changes."""
    return types.Array(_scalar(dtype), 1, "C")


def _scalar(dtype: type[np.generic]) -> Any:
    return getattr(types, np.dtype(dtype).name)


def compiled(*arguments: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compiles a function that returns nothing, for these types of arguments, when its module is imported.

    Numba stores the machine code in the folder that `NUMBA_CACHE_DIR` names, else beside the module, else in the user's
    cache folder, so only the first process compiles. Where no folder is writable, each process compiles for itself.
    Numba compiles again when the module changes, but not when a function of another module does that it calls: helper
    functions belong in the same module.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = types.void(*arguments)
        try:
            return njit(signature, nogil=True, cache=True)(function)
        except (RuntimeError, OSError):  # No folder is writable, or the disk is full.
            return njit(signature, nogil=True)(function)

    return decorate


# For functions that compiled functions call. Those that take arrays are inlined: otherwise each call counts references
# to its arrays, with locked instructions that take longer than most calls.
helper: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(nogil=True)
inlined: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(nogil=True, inline="always")
