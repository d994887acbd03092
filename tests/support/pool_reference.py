"""A slow reference for the pooling formulas, and a batch to test them on."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fieldpool.model.layers.pooling import MaskedMaxPool, MaskedMeanPool, MaskedSqrtNPool, MaskedSumPool

POOLS = {"mean": MaskedMeanPool, "sum": MaskedSumPool, "sqrtn": MaskedSqrtNPool, "max": MaskedMaxPool}

X = np.array([[[1.0, 2.0], [3.0, 6.0], [50.0, 60.0]], [[7.0, 8.0], [70.0, 80.0], [90.0, 99.0]]], "float32")
MASK = np.array([[True, True, False], [True, False, False]])


def to_numpy(x: Any) -> np.ndarray:
    """Returns a tensor of any backend as an array."""
    return keras.ops.convert_to_numpy(x)


def reference(kind: str, x: np.ndarray, mask: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
    """Returns the pooled bags, `[b, d]`, by the formulas of the docstrings; x `[b, t, d]`, mask and w `[b, t]`."""
    w = np.ones(mask.shape) if w is None else w
    result = np.zeros((x.shape[0], x.shape[2]))
    for row in range(x.shape[0]):
        values, weights = x[row][mask[row]].astype("float64"), w[row][mask[row]].astype("float64")
        if len(values) == 0:
            continue
        total = (weights[:, None] * values).sum(axis=0)
        if kind == "max":
            result[row] = values.max(axis=0)
        elif kind == "sum":
            result[row] = total
        elif kind == "mean" and weights.sum() != 0:
            result[row] = total / weights.sum()
        elif kind == "sqrtn" and (weights**2).sum() != 0:
            result[row] = total / np.sqrt((weights**2).sum())
    return result
