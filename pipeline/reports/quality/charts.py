"""The charts of a model's quality: learning curves, ROC, precision-recall, calibration, AUC by list length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup
from scipy.special import expit
from sklearn.metrics import precision_recall_curve, roc_curve

from ....model import metrics
from ....model.evaluation import Scores
from ....transforms.spec import MultivaluedField, Spec
from ..charts import Captioned, Line, bars, curves

# The maximum number of points of a curve, and the minimum number of rows of a slice that gets a bar.
_POINTS = 300
_FEWEST_ROWS = 50


def learning_curves(training: Mapping[str, Any]) -> list[Captioned]:
    """Returns charts of loss and AUC by epoch of a `training.json`. A metric that an epoch lacks is left out."""
    history = training["history"]
    epochs = [epoch["epoch"] for epoch in history]

    def line(name: str, metric: str) -> list[Line]:
        values = [epoch.get(metric) for epoch in history]
        return [] if None in values else [(name, epochs, values)]

    def by_epoch(title: str, lines: list[Line], label: str) -> Markup:
        return curves(title, lines, labels=("epoch", label), marked=training["best_epoch"])

    loss = [*line("train, with regularization", "loss"), *line("eval", "val_logloss")]
    auc = line("", "val_auc")
    charts = [("Loss by epoch; dotted: the best epoch", by_epoch("Loss by epoch", loss, "logloss"))]
    if auc:
        charts.append(("AUC of the eval split by epoch", by_epoch("Eval AUC by epoch", auc, "AUC")))
    return charts


def quality_curves(scores: Scores, split: str) -> list[Captioned]:
    """Returns charts of ROC, precision-recall, calibration and the distribution of predictions.

    The first two are left out if all labels are the same. Rows whose score is NaN, or whose weight is 0, are left out
    of all. All but the distribution are weighted.
    """
    known = ~np.isnan(scores.logits)
    scores = scores.only(known if scores.weights is None else known & (scores.weights > 0))
    has_both_labels = len(np.unique(scores.labels)) > 1
    ranking = [_roc(scores, split), _precision_recall(scores, split)] if has_both_labels else []
    return [*ranking, _calibration(scores, split), _predictions(scores, split)]


def _roc(scores: Scores, split: str) -> Captioned:
    false, true, _ = roc_curve(scores.labels, metrics.finite(scores.logits), sample_weight=scores.weights)
    some = _some_points(len(false))
    roc = curves(
        f"ROC curve of {split}",
        [("", false[some].tolist(), true[some].tolist())],
        labels=("false positive rate", "true positive rate"),
        diagonal=True,
        percent="xy",
    )
    return f"ROC curve, area {metrics.auc(scores.labels, scores.logits, scores.weights):.4f}", roc


def _precision_recall(scores: Scores, split: str) -> Captioned:
    logits = metrics.finite(scores.logits)
    precision, recall, _ = precision_recall_curve(scores.labels, logits, sample_weight=scores.weights)
    some = _some_points(len(recall))
    curve = curves(
        f"Precision and recall on {split}",
        [("", recall[some].tolist(), precision[some].tolist())],
        labels=("recall", "precision"),
        percent="xy",
    )
    return f"Precision-recall curve, area {metrics.pr_auc(scores.labels, scores.logits, scores.weights):.4f}", curve


def _calibration(scores: Scores, split: str) -> Captioned:
    predicted, observed, _ = metrics.calibration_curve(scores.labels, scores.logits, weights=scores.weights)
    curve = curves(
        f"Calibration on {split}",
        [("", predicted.tolist(), observed.tolist())],
        labels=("predicted probability", "share of positives"),
        diagonal=True,
        percent="xy",
    )
    size = "size" if scores.weights is None else "weight"
    return f"Calibration: rows in bins of equal {size}, by prediction; dashed: perfect calibration", curve


def _predictions(scores: Scores, split: str) -> Captioned:
    heights, edges = np.histogram(expit(scores.logits), bins=30, range=(0, 1))
    histogram = bars(
        f"Predicted probabilities on {split}",
        [f"{edge:.2f}" for edge in edges[:-1]],
        heights.tolist(),
        labels=("predicted probability", "rows"),
    )
    return "Distribution of the predictions", histogram


def _some_points(points: int) -> np.ndarray:
    """Returns at most `_POINTS` indices, evenly from the first to the last."""
    return np.unique(np.linspace(0, points - 1, _POINTS).astype(int))


def slice_charts(slices: Mapping[str, Mapping[str, Mapping[str, float]]], spec: Spec) -> list[Captioned]:
    """Returns a chart of the AUC by list length after truncation for each multivalued field.

    Args:
        slices: Metrics by field and slice, as `evaluate` returns them.
        spec: The spec with these fields.
    """
    charts: list[Captioned] = []
    for name in spec.fields_of(MultivaluedField):
        auc = {
            slice_name: measured["auc"]
            for slice_name, measured in slices.get(name, {}).items()
            if measured["examples"] >= _FEWEST_ROWS and not np.isnan(measured["auc"])
        }
        if len(auc) > 1:
            by_length = bars(
                f"AUC by list length of {name}",
                list(auc),
                list(auc.values()),
                labels=("list length after truncation", "AUC"),
                bottom=max(0.0, min(0.5, *auc.values()) - 0.05),
            )
            charts.append((f"AUC by list length of {name}", by_length))
    return charts
