"""Fits the calibration of a trained model: isotonic regression of the labels on the logits of the eval split."""

from __future__ import annotations

import numpy as np
from scipy.special import logit as log_odds
from sklearn.isotonic import IsotonicRegression

from ...transforms.errors import UserError
from ...transforms.runs.run import Run
from ...transforms.spec import Spec
from ..evaluation import score, scorer
from ..examples import count_examples, read_examples
from ..layers.calibration import Calibration
from ..layers.deepfm import DeepFM
from .monitor import has_both_labels

# The split that a calibration is fitted on.
SPLIT = "eval"


def check_calibration(run: Run, spec: Spec) -> None:
    """Raises UserError if the spec wants a calibration and the eval split does not have rows of both labels."""
    if spec.train.calibrate == "none":
        return
    if not count_examples(run, SPLIT) or not has_both_labels(run, spec):
        raise UserError(
            f"{run.path}: train.calibrate needs rows of both labels in the {SPLIT} split; change `split:` in the spec "
            "so that it has them, or remove `calibrate`"
        )


def with_calibration(model: DeepFM, run: Run, spec: Spec) -> DeepFM:
    """Returns a copy of a model without a calibration, with one that is fitted on the eval split."""
    dataset = read_examples(run, SPLIT, batch_size=spec.train.batch_size)
    scores = score(scorer(model, dataset.element_spec[0]), dataset)
    calibration = fit_isotonic(scores.labels, scores.logits, SPLIT, scores.weights).as_config()
    calibrated = DeepFM.from_config({**model.get_config(), "calibration": calibration})
    calibrated.build()
    calibrated.set_weights(model.get_weights())
    return calibrated


def fit_isotonic(labels: np.ndarray, logits: np.ndarray, split: str, weights: np.ndarray | None = None) -> Calibration:
    """Returns the isotonic regression of labels on logits, as a function of the logit.

    It is scikit-learn's fit, with one positive row added at the lowest logit and one negative row at the highest. So no
    probability is 0 or 1, whose logloss would be infinite: a first step of m negative rows has the probability
    1/(m + 1). Between two steps, the log-odds are interpolated.

    Args:
        labels: 0 or 1, `[n]`; at least one of each.
        logits: float32 `[n]`. Rows whose logit is not finite are left out.
        split: The name of their split.
        weights: Of the rows, `[n]`; rows of weight 0 do not count, and the added rows have the mean weight. Default: 1.
    """
    weight = np.ones(len(labels)) if weights is None else weights.astype("float64")
    counts = np.isfinite(logits) & (weight > 0)
    # Near 0, float32 numbers may be closer to each other than `CLOSEST`; beyond 1e-22 they are not.
    logits = np.where(np.abs(logits) < 1e-22, 0, logits)
    x, y, weight = logits[counts].astype("float64"), labels[counts].astype("float64"), weight[counts]
    x, y = np.r_[x.min(), x, x.max()], np.r_[1.0, y, 0.0]
    fit = IsotonicRegression().fit(x, y, sample_weight=np.r_[weight.mean(), weight, weight.mean()])
    points = fit.X_thresholds_.astype("float32"), log_odds(fit.y_thresholds_).astype("float32")
    if len(points[0]) == 1:  # All logits are equal.
        points = points[0] + [0, max(1, abs(points[0][0]))], np.repeat(points[1], 2)
    return Calibration("isotonic", split, int(counts.sum()), *(part.tolist() for part in points))
