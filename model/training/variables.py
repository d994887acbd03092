"""Files of variables: an `.npz` archive with checksums, written atomically.

It is written and read in blocks of rows. `np.savez`, and Keras' own files, need copies of all variables in memory.
"""

from __future__ import annotations

import contextlib
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import keras
import numpy as np
import tensorflow as tf

from ..files import write_atomically

_ABOUT = "about"

_BLOCK = 2**24  # The bytes that are written or read at once.

# What `check_variables` and `read_variables` raise for a file that is damaged or truncated.
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
            encoded = np.frombuffer(json.dumps(about).encode(), np.uint8)
            _write_array(archive, _ABOUT, encoded, [encoded])
            for i, variable in enumerate(variables):
                _write_array(archive, _name(i), variable, _finite_blocks(variable))

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
        DAMAGED: one of these errors, if the file is damaged. Some variables, and rows of one, may be assigned: call
            `check_variables` first.
    """
    with _opened(path) as arrays:
        for i, variable in enumerate(variables):
            if variable is not None:
                with arrays.zip.open(f"{_name(i)}.npy") as file:
                    _read_array(file, variable)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Opens a file; its arrays are read one by one, when they are asked for."""
    with tf.io.gfile.GFile(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:  # A pickle can run code.
        yield arrays


def _write_array(archive: zipfile.ZipFile, name: str, array: Any, blocks: Iterable[np.ndarray]) -> None:
    """Adds an array to an archive, as `np.savez` does; `array` has its shape and dtype, and `blocks` its numbers."""
    header = {"descr": np.dtype(array.dtype).str, "fortran_order": False, "shape": tuple(array.shape)}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block.tobytes())


def _finite_blocks(variable: Any) -> Iterator[np.ndarray]:
    """Returns the numbers of a variable, in blocks of rows.

    Raises:
        NotFinite: if one is NaN or infinite.
    """
    for rows in _blocks(variable):
        # Reading a variable as a whole would copy it.
        numbers = variable if rows is None else tf.gather(_replicas(variable)[0], rows)
        block: np.ndarray = keras.ops.convert_to_numpy(numbers)
        if not np.isfinite(block).all():
            raise NotFinite(variable.path)
        yield block


def _blocks(variable: Any) -> Iterator[tf.Tensor | None]:
    """Returns the rows of each block of a variable; if one block has all of it, only None."""
    shape, itemsize = tuple(variable.shape), np.dtype(variable.dtype).itemsize
    size = max(_BLOCK // max(math.prod(shape[1:]) * itemsize, 1), 1)
    if not shape or shape[0] <= size:
        yield None
        return
    for first in range(0, shape[0], size):
        yield tf.range(first, min(first + size, shape[0]))
    for replica in _replicas(variable):
        # After operations on some of its rows, each reading of a whole variable copies it, until it is told not to.
        tf.raw_ops.DisableCopyOnRead(resource=replica.handle)


def _replicas(variable: Any) -> list[tf.Variable]:
    """Returns the variable of each replica of a MirroredStrategy, or the only one."""
    return list(getattr(variable.value, "values", [variable.value]))


def _read_array(file: IO[bytes], variable: Any) -> None:
    """Assigns an array of a file to a variable, in blocks of rows.

    A block is written into the buffer that the variable has. `variable.assign` needs memory for the whole array twice:
    for the array and for a new buffer. TensorFlow does not return the old buffer to the system.

    Raises:
        ValueError: if the array is truncated, or has another shape, dtype or order than the variable.
    """
    np.lib.format.read_magic(file)
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if (shape, dtype) != (tuple(variable.shape), np.dtype(variable.dtype)):
        raise ValueError(f"{variable.path} is {dtype} {shape} in the file, {variable.dtype} {variable.shape} here")
    if fortran_order:
        raise ValueError(f"{variable.path} is in Fortran order in the file, expected C order")
    for rows in _blocks(variable):
        if rows is None:
            variable.assign(_numbers(file, shape, dtype))
        else:
            # Not `variable.value[first:last].assign`: it reads the variable, and under a strategy changes one replica.
            variable.value.scatter_update(tf.IndexedSlices(_numbers(file, (len(rows), *shape[1:]), dtype), rows))


def _numbers(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Returns the next numbers of a file."""
    return np.frombuffer(file.read(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)


def _name(index: int) -> str:
    return f"{index:05d}"
