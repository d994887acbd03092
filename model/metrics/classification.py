"""Metrics of predicted probabilities over a complete split: no buckets, no means over batches.

A metric is NaN if it is not defined, or if a score is NaN.

All metrics take `weights`, the weights of the rows, `[n]`: finite numbers of 0 or more. A row of weight 2 counts as two
rows, a row of weight 0 as none. Default: all rows count once.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

_CALIBRATION_BINS = 20


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under the ROC curve: the share of pairs in which the positive row scores above the negative one.

    Ties count as half. The weight of a pair is the product of those of its rows.

    Args:
        labels: 0 or 1, `[n]`.
        scores: Numbers that increase with the probability, such as logits, `[n]`.
        weights: Of the rows, `[n]`.

    Returns:
        From 0 to 1; NaN if there are no pairs, because all labels are the same or there are none.
    """
    labels, scores, weights = _counted(labels, scores, weights)
    if np.unique(labels).size < 2 or np.isnan(scores).any():
        return float("nan")
    return float(roc_auc_score(labels, finite(scores), sample_weight=weights))


def pr_auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under the precision-recall curve, as average precision: the mean of the precision at each positive row.

    If positives are rare, it distinguishes models better than AUC. Random scores have a value near the share of
    positives.

    Args:
        labels: 0 or 1, `[n]`.
        scores: See `auc`.
        weights: Of the rows, `[n]`.

    Returns:
        From 0 to 1; NaN if no label is 1.
    """
    labels, scores, weights = _counted(labels, scores, weights)
    if not np.any(labels) or np.isnan(scores).any():
        return float("nan")
    return float(average_precision_score(labels, finite(scores), sample_weight=weights))


def _counted(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Returns the rows whose weight is not 0; their weights as float64."""
    if weights is None:
        return labels, scores, None
    counts = np.asarray(weights) > 0
    return np.asarray(labels)[counts], np.asarray(scores)[counts], np.asarray(weights, "float64")[counts]


def finite(scores: np.ndarray) -> np.ndarray:
    """Returns finite numbers with the order of the scores, `[n]`: scikit-learn rejects infinite ones."""
    if np.isfinite(scores).all():
        return scores
    ranks: np.ndarray = np.unique(scores, return_inverse=True)[1]
    return ranks


def logloss(labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean binary cross-entropy: mean of ln(1 + exp(logit)) − label·logit; with weights w, Σ w·loss / Σ w.

    Computed from logits, because probabilities round to 0 and 1; `sklearn.metrics.log_loss` clips them.

    Args:
        labels: 0 or 1, `[n]`.
        logits: `[n]`.
        weights: Of the rows, `[n]`.

    Returns:
        0 or more; NaN if there are no rows.
    """
    labels, logits, weights = _counted(labels, logits, weights)
    if len(labels) == 0 or np.isnan(logits).any():
        return float("nan")
    logits = np.asarray(logits, "float64")
    # ln(1 + exp(logit)) − logit = ln(1 + exp(−logit)), which is defined for infinite logits, too.
    return float(np.average(np.logaddexp(0.0, np.where(labels, -logits, logits)), weights=weights))


def gauc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Group AUC: the mean of the AUCs within each group (such as a user), weighted by the number of rows of the group.

    With weights, by their sum in the group.

    Rows of different users are not compared, as in ranking. Groups whose labels are all the same have no AUC and do not
    count (Zhu et al., https://arxiv.org/abs/1703.02091; Zhou et al., DIN, equation 7,
    https://arxiv.org/abs/1706.06978).

    Args:
        labels: 0 or 1, `[n]`.
        scores: See `auc`.
        groups: The group of each row, values that can be sorted, `[n]`.
        weights: Of the rows, `[n]`.

    Returns:
        From 0 to 1; NaN if no group has both labels.
    """
    mixed = in_mixed_groups(labels, groups, weights)
    if not mixed.any():
        return float("nan")
    _, group = np.unique(groups[mixed], return_inverse=True)
    label, score = np.asarray(labels, "float64")[mixed], np.asarray(scores)[mixed]
    weight = np.ones(len(label)) if weights is None else np.asarray(weights, "float64")[mixed]
    if np.isnan(score).any():
        return float("nan")
    order = np.lexsort((score, group))
    group, score, label, weight = group[order], score[order], label[order], weight[order]

    weight_of_group = np.bincount(group, weight)
    positive, negative = (_near_1(weight * is_kind, group) for is_kind in (label, 1 - label))
    first_of_group = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    first_of_tie = np.flatnonzero(np.r_[True, (group[1:] != group[:-1]) | (score[1:] != score[:-1])])
    size_of_tie = np.diff(np.r_[first_of_tie, len(group)])
    # Mann-Whitney: a positive row wins against the negative ones below it, and half against those of its score.
    before = np.r_[0.0, np.cumsum(negative)]
    tied = before[first_of_tie + size_of_tie] - before[first_of_tie]
    below = np.repeat(before[first_of_tie] + tied / 2, size_of_tie) - before[first_of_group][group]
    positives, negatives = np.bincount(group, positive), np.bincount(group, negative)
    within = np.bincount(group, positive * below) / (positives * negatives)
    return float(np.average(within, weights=weight_of_group))


def _near_1(weights: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns weights, multiplied by a factor for each group that brings the mean of those above 0 near to 1.

    A running sum through all groups then has no group that is so heavy that others vanish beside it. The factors are
    powers of two, which lose no digits: sums of whole weights stay exact.
    """
    means = np.bincount(groups, weights) / np.bincount(groups, weights > 0)
    scaled: np.ndarray = weights / np.exp2(np.floor(np.log2(means)))[groups]
    return scaled


def in_mixed_groups(labels: np.ndarray, groups: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Returns for each row whether its group has both labels, bool `[n]`. `gauc` covers only these rows.

    Rows of weight 0 do not count: they are in no group.
    """
    counts = np.ones(len(labels), bool) if weights is None else np.asarray(weights) > 0
    _, group = np.unique(groups, return_inverse=True)
    positives, rows = np.bincount(group, np.where(counts, labels, 0)), np.bincount(group, counts)
    mixed: np.ndarray = ((positives > 0) & (positives < rows))[group] & counts
    return mixed


def calibration_ratio(labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Sum of the predicted probabilities divided by the sum of the labels: 1 is ideal; above 1, they are too high.

    With weights w: Σ w·probability / Σ w·label.

    Args:
        labels: 0 or 1, `[n]`.
        logits: `[n]`.
        weights: Of the rows, `[n]`.

    Returns:
        0 or more; NaN if no label is 1.
    """
    labels, logits, weights = _counted(labels, logits, weights)
    weight = 1.0 if weights is None else weights
    positives = float(np.sum(np.asarray(labels) * weight, dtype="float64"))
    return float(np.sum(expit(np.asarray(logits, "float64")) * weight) / positives) if positives else float("nan")


def expected_calibration_error(
    labels: np.ndarray, logits: np.ndarray, bins: int = _CALIBRATION_BINS, weights: np.ndarray | None = None
) -> float:
    """Expected calibration error: the mean over bins of |mean probability − share of positives|, weighted by rows.

    Bins have equal numbers of rows, in the order of the predictions (Nixon et al., https://arxiv.org/abs/1904.01685):
    with bins of equal width, nearly all rows would be in the first bin. Rows with equal predictions count with the mean
    of their labels, so the result does not depend on the order of the rows.

    With weights, the bins have as equal sums of weights as whole rows allow: a row is in the bin in which the middle of
    its weight lies.

    Args:
        labels: 0 or 1, `[n]`.
        logits: `[n]`.
        bins: The number of bins; if there are fewer rows, each row has its own bin.
        weights: Of the rows, `[n]`.

    Returns:
        From 0 to 1; NaN if there are no rows.
    """
    predicted, observed, rows = calibration_curve(labels, logits, bins, weights)
    return float(np.average(np.abs(predicted - observed), weights=rows)) if len(rows) else float("nan")


def calibration_curve(
    labels: np.ndarray, logits: np.ndarray, bins: int = _CALIBRATION_BINS, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns for each bin the mean probability, the share of positives and the number of rows, all `[bins]`.

    With weights, means and shares are weighted, and the sum of the weights takes the place of the number of rows.

    Bins are those of `expected_calibration_error`, without empty ones. `sklearn.calibration.calibration_curve` does not
    return the number of rows, which are the weights of the bins in that error.
    """
    labels, logits, weights = _counted(labels, logits, weights)
    order = np.argsort(logits, kind="stable")
    if weights is not None:
        return _weighted_curve(labels[order], np.asarray(logits, "float64")[order], weights[order], bins)
    parts = [part for part in np.array_split(order, bins) if len(part)]
    probability = expit(np.asarray(logits, "float64"))
    _, tie, rows_of_tie = np.unique(logits, return_inverse=True, return_counts=True)
    label = (np.bincount(tie, labels) / rows_of_tie)[tie]  # So that the order of rows with equal logits is irrelevant.
    return (
        np.array([probability[part].mean() for part in parts]),
        np.array([label[part].mean() for part in parts]),
        np.array([len(part) for part in parts]),
    )


def _weighted_curve(
    labels: np.ndarray, logits: np.ndarray, weights: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the result of `calibration_curve` for rows in the order of their logits."""
    _, tie = np.unique(logits, return_inverse=True)
    label = (np.bincount(tie, labels * weights) / np.bincount(tie, weights))[tie]
    until = np.cumsum(weights)
    middle = (until - weights / 2) / until[-1] if len(until) else until
    _, part = np.unique(np.minimum(middle * bins, bins - 1).astype(int), return_inverse=True)
    of_part = np.bincount(part, weights)
    return (
        np.bincount(part, expit(logits) * weights) / of_part,
        np.bincount(part, label * weights) / of_part,
        of_part,
    )


def measures(
    labels: np.ndarray, logits: np.ndarray, groups: np.ndarray | None = None, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Returns all metrics by name.

    They are `auc`, `pr_auc`, `logloss`, `calibration` (`calibration_ratio`), `ece` (`expected_calibration_error`),
    `examples` (the number of rows), `positives` (their share), and with `groups` also `gauc`. With `weights` all but
    `examples` are weighted, and there is also `weight`, the sum of the weights.
    """
    weights = None if weights is None else np.asarray(weights, "float64")
    weight = float(len(labels) if weights is None else np.sum(weights))
    return {
        "auc": auc(labels, logits, weights),
        "pr_auc": pr_auc(labels, logits, weights),
        "logloss": logloss(labels, logits, weights),
        **({} if groups is None else {"gauc": gauc(labels, logits, groups, weights)}),
        "calibration": calibration_ratio(labels, logits, weights),
        "ece": expected_calibration_error(labels, logits, weights=weights),
        "examples": len(labels),
        **({} if weights is None else {"weight": weight}),
        "positives": float(np.average(labels, weights=weights)) if weight else float("nan"),
    }
