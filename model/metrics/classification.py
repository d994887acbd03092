"""Metrics of predicted probabilities over a complete split: no buckets, no means over batches.

A metric is NaN if it is not defined, or if a score is NaN.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

_CALIBRATION_BINS = 20


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the share of pairs in which the positive row scores above the negative one.

    Ties count as half.

    Args:
        labels: 0 or 1, `[n]`.
        scores: Numbers that increase with the probability, such as logits, `[n]`.

    Returns:
        From 0 to 1; NaN if there are no pairs, because all labels are the same or there are none.
    """
    if np.unique(labels).size < 2 or np.isnan(scores).any():
        return float("nan")
    return float(roc_auc_score(labels, finite(scores)))


def pr_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the precision-recall curve, as average precision: the mean of the precision at each positive row.

    If positives are rare, it distinguishes models better than AUC. Random scores have a value near the share of
    positives.

    Args:
        labels: 0 or 1, `[n]`.
        scores: See `auc`.

    Returns:
        From 0 to 1; NaN if no label is 1.
    """
    if not np.any(labels) or np.isnan(scores).any():
        return float("nan")
    return float(average_precision_score(labels, finite(scores)))


def finite(scores: np.ndarray) -> np.ndarray:
    """Returns finite numbers with the order of the scores, `[n]`: scikit-learn rejects infinite ones."""
    if np.isfinite(scores).all():
        return scores
    ranks: np.ndarray = np.unique(scores, return_inverse=True)[1]
    return ranks


def logloss(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean binary cross-entropy: mean of ln(1 + exp(logit)) − label·logit.

    Computed from logits, because probabilities round to 0 and 1; `sklearn.metrics.log_loss` clips them.

    Args:
        labels: 0 or 1, `[n]`.
        logits: `[n]`.

    Returns:
        0 or more; NaN if there are no rows.
    """
    if len(labels) == 0 or np.isnan(logits).any():
        return float("nan")
    logits = np.asarray(logits, "float64")
    # ln(1 + exp(logit)) − logit = ln(1 + exp(−logit)), which is defined for infinite logits, too.
    return float(np.mean(np.logaddexp(0.0, np.where(labels, -logits, logits))))


def gauc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
    """Group AUC: the mean of the AUCs within each group (such as a user), weighted by the number of rows of the group.

    Rows of different users are not compared, as in ranking. Groups whose labels are all the same have no AUC and do not
    count (Zhu et al., https://arxiv.org/abs/1703.02091; Zhou et al., DIN, equation 7,
    https://arxiv.org/abs/1706.06978).

    Args:
        labels: 0 or 1, `[n]`.
        scores: See `auc`.
        groups: The group of each row, values that can be sorted, `[n]`.

    Returns:
        From 0 to 1; NaN if no group has both labels.
    """
    mixed = in_mixed_groups(labels, groups)
    if not mixed.any():
        return float("nan")
    _, group = np.unique(groups[mixed], return_inverse=True)
    label, score = np.asarray(labels, "float64")[mixed], np.asarray(scores)[mixed]
    if np.isnan(score).any():
        return float("nan")
    order = np.lexsort((score, group))
    group, score, label = group[order], score[order], label[order]

    first_of_group = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    first_of_tie = np.flatnonzero(np.r_[True, (group[1:] != group[:-1]) | (score[1:] != score[:-1])])
    size_of_tie = np.diff(np.r_[first_of_tie, len(group)])
    # Mann-Whitney: rows of one score share the mean of their ranks, counted from 1 within the group.
    rank = np.repeat(first_of_tie + (size_of_tie + 1) / 2, size_of_tie) - first_of_group[group]
    rows = np.bincount(group).astype("float64")
    positives = np.bincount(group, label)
    ranks_of_positives = np.bincount(group, label * rank)
    within = (ranks_of_positives - positives * (positives + 1) / 2) / (positives * (rows - positives))
    return float(np.average(within, weights=rows))


def in_mixed_groups(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns for each row whether its group has both labels, bool `[n]`. `gauc` covers only these rows."""
    _, group = np.unique(groups, return_inverse=True)
    share = np.bincount(group, labels) / np.bincount(group)
    mixed: np.ndarray = ((share > 0) & (share < 1))[group]
    return mixed


def calibration_ratio(labels: np.ndarray, logits: np.ndarray) -> float:
    """Sum of the predicted probabilities divided by the sum of the labels: 1 is ideal; above 1, they are too high.

    Args:
        labels: 0 or 1, `[n]`.
        logits: `[n]`.

    Returns:
        0 or more; NaN if no label is 1.
    """
    positives = float(np.sum(labels, dtype="float64"))
    return float(np.sum(expit(np.asarray(logits, "float64"))) / positives) if positives else float("nan")


def expected_calibration_error(labels: np.ndarray, logits: np.ndarray, bins: int = _CALIBRATION_BINS) -> float:
    """Expected calibration error: the mean over bins of |mean probability − share of positives|, weighted by rows.

    Bins have equal numbers of rows, in the order of the predictions (Nixon et al., https://arxiv.org/abs/1904.01685):
    with bins of equal width, nearly all rows would be in the first bin. Rows with equal predictions count with the mean
    of their labels, so the result does not depend on the order of the rows.

    Args:
        labels: 0 or 1, `[n]`.
        logits: `[n]`.
        bins: The number of bins; if there are fewer rows, each row has its own bin.

    Returns:
        From 0 to 1; NaN if there are no rows.
    """
    predicted, observed, rows = calibration_curve(labels, logits, bins)
    return float(np.average(np.abs(predicted - observed), weights=rows)) if len(rows) else float("nan")


def calibration_curve(
    labels: np.ndarray, logits: np.ndarray, bins: int = _CALIBRATION_BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns for each bin the mean probability, the share of positives and the number of rows, all `[bins]`.

    Bins are those of `expected_calibration_error`, without empty ones. `sklearn.calibration.calibration_curve` does not
    return the number of rows, which are the weights of the bins in that error.
    """
    order = np.argsort(logits, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    probability = expit(np.asarray(logits, "float64"))
    _, tie, rows_of_tie = np.unique(logits, return_inverse=True, return_counts=True)
    label = (np.bincount(tie, labels) / rows_of_tie)[tie]  # So that the order of rows with equal logits is irrelevant.
    return (
        np.array([probability[part].mean() for part in parts]),
        np.array([label[part].mean() for part in parts]),
        np.array([len(part) for part in parts]),
    )


def measures(labels: np.ndarray, logits: np.ndarray, groups: np.ndarray | None = None) -> dict[str, float]:
    """Returns all metrics by name.

    They are `auc`, `pr_auc`, `logloss`, `calibration` (`calibration_ratio`), `ece` (`expected_calibration_error`),
    `examples` (the number of rows), `positives` (their share), and with `groups` also `gauc`.
    """
    return {
        "auc": auc(labels, logits),
        "pr_auc": pr_auc(labels, logits),
        "logloss": logloss(labels, logits),
        **({} if groups is None else {"gauc": gauc(labels, logits, groups)}),
        "calibration": calibration_ratio(labels, logits),
        "ece": expected_calibration_error(labels, logits),
        "examples": len(labels),
        "positives": float(np.mean(labels)) if len(labels) else float("nan"),
    }
