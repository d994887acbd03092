"""Exact metrics of a complete split, in NumPy: they run with every backend of Keras."""

from .classification import (
    auc,
    calibration_curve,
    calibration_ratio,
    expected_calibration_error,
    finite,
    gauc,
    in_mixed_groups,
    logloss,
    measures,
    pr_auc,
)
from .ranking import ranking_measures

__all__ = [
    "auc",
    "calibration_curve",
    "calibration_ratio",
    "expected_calibration_error",
    "finite",
    "gauc",
    "in_mixed_groups",
    "logloss",
    "measures",
    "pr_auc",
    "ranking_measures",
]
