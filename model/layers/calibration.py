"""Calibration of logits: a monotone, piecewise linear function that is fitted after training.

`fieldpool.model.training.calibration` fits it. It is written in `keras.ops`, so it becomes part of an exported graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from .weights import Tensor

# The least distance of two logits. Processors may take numbers below 1.2e-38, such as the distance of a logit to a
# point, as 0: with points this far apart, that is at most 2^-24 of the distance of two points.
CLOSEST = 1e-30


@dataclass(frozen=True)
class Calibration:
    """The function through the points (x_i, y_i), linear between them, constant before the first and after the last.

    Attributes:
        method: How it was fitted, such as `isotonic`.
        split: The split that it was fitted on.
        rows: The number of rows that it was fitted on.
        x: Logits, float32, at least 2, each greater than the one before by at least `CLOSEST`.
        y: Calibrated logits, float32, not decreasing, as many.
    """

    method: str
    split: str
    rows: int
    x: Sequence[float]
    y: Sequence[float]

    def __post_init__(self) -> None:
        is_close, falls = np.any(np.diff(self.x) < CLOSEST), np.any(np.diff(self.y) < 0)
        if len(self.x) < 2 or len(self.x) != len(self.y) or is_close or falls:
            raise ValueError(
                "calibration: expected at least 2 points, with `x` that increases by at least 1e-30 and `y` that never "
                "falls"
            )

    def __call__(self, logit: Tensor) -> Tensor:
        """Returns the calibrated logits, float32, in the shape of `logit`, float32. NaN stays NaN.

        A greater logit never has a smaller result, not even by rounding.
        """
        x, y = (ops.convert_to_tensor(np.asarray(points, "float32")) for points in (self.x, self.y))
        flat = ops.reshape(logit, (-1,))
        first = ops.clip(ops.searchsorted(x, flat, side="right") - 1, 0, len(self.x) - 2)
        x0, x1, y0, y1 = (ops.take(points, first + step) for points in (x, y) for step in (0, 1))
        part = (ops.clip(flat, self.x[0], self.x[-1]) - x0) / (x1 - x0)
        found = ops.minimum(y0 + part * (y1 - y0), y1)
        return ops.reshape(ops.where(ops.isnan(flat), flat, found), ops.shape(logit))

    def as_config(self) -> dict[str, Any]:
        """Returns the arguments as plain values."""
        return {**vars(self), "x": list(map(float, self.x)), "y": list(map(float, self.y))}
