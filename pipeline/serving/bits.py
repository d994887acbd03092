"""The comparison of features bit by bit, by which `verify` finds training-serving skew; also for other pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def differing_rows(training: Mapping[str, Any], serving: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns by feature the rows that differ in any bit; features without such rows are left out.

    So an empty result shows that a served graph computes of these rows what the model was trained on. `verify` compares
    ids, weights and numbers in this way. Two NaN are equal; 0 and −0, or values of different dtypes, are not.

    Args:
        training: The features of rows as training reads them, by name: arrays or dense tensors, `[rows, …]`.
        serving: Those that the served graph computes of the same rows, in the same order.

    Returns:
        Indices of rows, int64 `[n]`, ascending. If dtypes or shapes differ, all rows.

    Raises:
        ValueError: The names of the features differ, or there are no rows.

    Examples:
        >>> differing_rows({"age": np.float32([0.1, 0.2])}, {"age": np.float32([0.1, 0.2])})
        {}
        >>> differing_rows({"ids": np.array([[7, 0], [3, 5]])}, {"ids": np.array([[7, 0], [5, 3]])})
        {'ids': array([1])}
    """
    if training.keys() != serving.keys():
        others = sorted(training.keys() ^ serving.keys())
        raise ValueError(f"expected the same features in training and serving, found in only one: {', '.join(others)}")
    found: dict[str, np.ndarray] = {}
    for name, values in training.items():
        expected, served = np.asarray(values), np.asarray(serving[name])
        if not expected.shape or not len(expected):
            raise ValueError(f"{name}: expected rows to compare, found shape {expected.shape}")
        rows = np.flatnonzero(differ(expected, served))
        if len(rows):
            found[name] = rows
    return found


def differ(expected: np.ndarray, served: np.ndarray) -> np.ndarray:
    """Returns which rows differ in any bit, bool `[rows]`: all if dtypes or shapes differ; two NaN are equal."""
    if (expected.shape, expected.dtype) != (served.shape, served.dtype):
        return np.ones(len(expected), bool)
    if np.issubdtype(expected.dtype, np.floating):
        # The bits of NaN may differ.
        nan, bits = expected.dtype.type("nan"), f"i{expected.dtype.itemsize}"
        expected, served = (np.where(np.isnan(part), nan, part).view(bits) for part in (expected, served))
    differing: np.ndarray = (expected != served).reshape(len(expected), -1).any(axis=1)
    return differing
