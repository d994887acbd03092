"""Files of variables: an `.npz` archive with checksums, written atomically, that is written and read one variable at a
time. `np.savez`, and Keras' own files, need copies of all variables in memory.
"""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..files import write_atomically

_ABOUT = "about"

# What `check_variables` and `opened_variables` raise for a file that is damaged or truncated.
DAMAGED = (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError, tf.errors.OpError)


class NotFinite(ValueError):
    """A variable has NaN or infinity; the message is its path."""


def write_variables(path: str, variables: Iterable[Any], about: Mapping[str, Any]) -> None:
    """Writes variables, in their order, and what `about` says about them, as JSON.

    Raises:
        NotFinite: if a number is NaN or infinite; nothing is written.
    """

    def write(temporary: str) -> None:
        with zipfile.ZipFile(temporary, "w") as archive:
            _write_array(archive, _ABOUT, np.frombuffer(json.dumps(about).encode(), np.uint8))
            for i, variable in enumerate(variables):
                _write_array(archive, _name(i), _finite(variable))

    write_atomically(path, write)


def check_variables(path: str) -> dict[str, Any]:
    """Compares all checksums of a file; returns what it says about its variables.

    Raises:
        DAMAGED: one of these errors, if the file is damaged.
    """
    with _opened(path) as arrays:
        damaged = arrays.zip.testzip()
        if damaged:
            raise ValueError(f"the checksum of {damaged} is wrong")
        about: dict[str, Any] = json.loads(arrays[_ABOUT].tobytes())
        return about


def read_variables(path: str, variables: Iterable[Any]) -> None:
    """Assigns the arrays of a file to variables, in their order; None stands for one that is not to change.

    Raises:
        DAMAGED: one of these errors, if the file is damaged. Some variables may be assigned: use `check_variables`.
    """
    with _opened(path) as arrays:
        for i, variable in enumerate(variables):
            if variable is not None:
                variable.assign(arrays[_name(i)])


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Opens a file; its arrays are read one by one, when they are asked for."""
    with tf.io.gfile.GFile(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:  # A pickle can run code.
        yield arrays


def _finite(variable: Any) -> np.ndarray:
    """Returns the numbers of a variable.

    Raises:
        NotFinite: if one is NaN or infinite.
    """
    array: np.ndarray = keras.ops.convert_to_numpy(variable)
    if not np.isfinite(array).all():
        raise NotFinite(variable.path)
    return array


def _write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """Adds an array to an archive, as `np.savez` does."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def _name(index: int) -> str:
    return f"{index:05d}"
