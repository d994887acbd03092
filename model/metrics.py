"""Metrics of a whole split, exact: no buckets, no mean over batches."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive row scores above a negative one, ties counting half.

    Args:
        labels: 0 or 1, `[n]`.
        scores: Numbers that rise with the probability, `[n]`: logits do as well.

    Returns:
        From 0 to 1; NaN if all labels are the same or there are none, for then no pair can be compared.
    """
    if np.unique(labels).size < 2:
        return float("nan")
    return float(roc_auc_score(labels, scores))


def logloss(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean binary cross-entropy, of logits: mean of ln(1 + exp(logit)) − label·logit.

    From logits, not from probabilities: those round to 0 and 1, and would need clipping.

    Args:
        labels: 0 or 1, `[n]`.
        logits: `[n]`.

    Returns:
        0 or more; NaN if there are no rows.
    """
    if len(labels) == 0:
        return float("nan")
    logits = np.asarray(logits, "float64")
    return float(np.mean(np.logaddexp(0.0, logits) - labels * logits))
