"""The pictures of a model's quality: learning curves, ROC, precision and recall, calibration, AUC by bag length."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from scipy.special import expit
from sklearn.metrics import precision_recall_curve, roc_curve

from ...model import metrics
from ...model.evaluation import Scores
from ...model.run import Run
from ...transforms.spec import MultivaluedField
from .charts import bars, curves

# Points that a curve has at most; rows that a slice needs for a bar.
_POINTS = 300
_FEWEST_ROWS = 50


def learning_curves(training: dict[str, Any]) -> list[tuple[str, Markup]]:
    """Returns loss and AUC by epoch, each with its caption."""
    history = training["history"]
    epochs = [epoch["epoch"] for epoch in history]
    pictures = []
    losses = [("train, with penalties", "loss"), ("eval", "val_logloss")]
    lines = [
        (n, epochs, [e[key] for e in history]) for n, key in losses if all(e.get(key) is not None for e in history)
    ]
    pictures.append(("Loss by epoch; dotted: the epoch kept", "Loss by epoch", lines, "logloss"))
    if all(epoch.get("val_auc") is not None for epoch in history):
        auc = [("", epochs, [epoch["val_auc"] for epoch in history])]
        pictures.append(("AUC of the eval split by epoch", "Eval AUC by epoch", auc, "AUC"))
    return [
        (caption, curves(title, lines, labels=("epoch", y), marked=training["best_epoch"]))
        for caption, title, lines, y in pictures
    ]


def quality_curves(scores: Scores, split: str) -> list[tuple[str, Markup]]:
    """Returns ROC, precision and recall, calibration and the spread of predictions, each with its caption."""
    labels, logits = scores.labels, scores.logits
    predicted, happened, _ = metrics.calibration_curve(labels, logits)
    calibration = curves(
        f"Calibration on {split}",
        [("", predicted.tolist(), happened.tolist())],
        labels=("predicted probability", "share of positives"),
        diagonal=True,
        percent="xy",
    )
    heights, edges = np.histogram(expit(logits), bins=30, range=(0, 1))
    spread = bars(
        f"Predicted probabilities on {split}",
        [f"{edge:.2f}" for edge in edges[:-1]],
        heights.tolist(),
        labels=("predicted probability", "rows"),
    )
    pictures = [
        (
            "Calibration: twentieths of the rows, by prediction; right on the dashed line",
            calibration,
        ),
        ("How predictions are spread", spread),
    ]
    if len(np.unique(labels)) < 2:
        return pictures
    false, true, _ = roc_curve(labels, logits)
    precision, recall, _ = precision_recall_curve(labels, logits)
    at = np.unique(np.linspace(0, len(false) - 1, _POINTS).astype(int))
    some = np.unique(np.linspace(0, len(recall) - 1, _POINTS).astype(int))
    roc = curves(
        f"ROC curve of {split}",
        [("", false[at].tolist(), true[at].tolist())],
        labels=("false positive rate", "true positive rate"),
        diagonal=True,
        percent="xy",
    )
    pr = curves(
        f"Precision and recall on {split}",
        [("", recall[some].tolist(), precision[some].tolist())],
        labels=("recall", "precision"),
        percent="xy",
    )
    return [
        (f"ROC, area {metrics.auc(labels, logits):.4f}", roc),
        (f"Precision by recall, area {metrics.pr_auc(labels, logits):.4f}", pr),
        *pictures,
    ]


def slice_pictures(slices: dict[str, Any], run: Run) -> list[tuple[str, Markup]]:
    """Returns the AUC by bag length of each multivalued field, without slices of few rows."""
    pictures = []
    for name in run.spec.fields_of(MultivaluedField):
        measured = {
            slice_name: values["auc"]
            for slice_name, values in slices.get(name, {}).items()
            if values["examples"] >= _FEWEST_ROWS and not np.isnan(values["auc"])
        }
        if len(measured) > 1:
            bottom = max(0.0, min(0.5, *measured.values()) - 0.05)
            picture = bars(
                f"AUC by the length of {name}",
                list(measured),
                list(measured.values()),
                labels=(f"values in {name}", "AUC"),
                bottom=bottom,
            )
            pictures.append((f"AUC by how many values {name} has", picture))
    return pictures
