"""Metrics do not depend on the order of rows, whatever rows have equal predictions, and equal slow definitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldpool.model.metrics import calibration_curve, expected_calibration_error, measures

# Label, logit and group of a row. Few different logits, so that many rows have equal ones.
Row = tuple[int, float, int]
LOGITS = (-math.inf, -3.0, -1.0, -0.0, 0.0, 0.5, 2.0, 40.0, 41.0, math.inf)
ROWS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(LOGITS), st.integers(0, 3)), min_size=1, max_size=60)


def columns(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels, logits, groups = zip(*rows, strict=True)
    return np.array(labels, "float32"), np.array(logits, "float32"), np.array(groups)


def slow_auc(rows: Sequence[Row]) -> float:
    """Counts pairs."""
    pairs = [(p, n) for label, p, _ in rows if label for other, n, _ in rows if not other]
    return sum(1 if p > n else 0.5 if p == n else 0 for p, n in pairs) / len(pairs) if pairs else math.nan


def slow_pr_auc(rows: Sequence[Row]) -> float:
    """Adds up precision times the increase of recall, threshold by threshold."""
    area, positives, found = 0.0, sum(label for label, *_ in rows), 0
    for threshold in sorted({logit for _, logit, _ in rows}, reverse=True):
        above = [label for label, logit, _ in rows if logit >= threshold]
        area += sum(above) / len(above) * (sum(above) - found)
        found = sum(above)
    return area / positives if positives else math.nan


def slow_gauc(rows: Sequence[Row]) -> float:
    """Averages the AUCs of the groups."""
    of_groups = [[row for row in rows if row[2] == group] for group in {row[2] for row in rows}]
    counted = [(len(own), slow_auc(own)) for own in of_groups if not math.isnan(slow_auc(own))]
    return sum(n * value for n, value in counted) / sum(n for n, _ in counted) if counted else math.nan


def probability(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def slow_ece(rows: Sequence[Row], bins: int = 20) -> float:
    """Spreads the positives of equal logits evenly over these rows, then adds up the bins row by row."""
    ordered = sorted(rows, key=lambda row: row[1])
    ties = {logit: [label for label, other, _ in rows if other == logit] for _, logit, _ in rows}
    share = [Fraction(sum(ties[logit]), len(ties[logit])) for _, logit, _ in ordered]
    error, first = 0.0, 0
    for i in range(bins):
        last = first + len(rows) // bins + (1 if i < len(rows) % bins else 0)
        predicted = sum(probability(logit) for _, logit, _ in ordered[first:last])
        error += abs(predicted - float(sum(share[first:last])))
        first = last
    return error / len(rows)


def slow_measures(rows: Sequence[Row]) -> dict[str, float]:
    labels = [label for label, *_ in rows]
    return {
        "auc": slow_auc(rows),
        "pr_auc": slow_pr_auc(rows),
        "logloss": sum(math.log1p(math.exp(-logit if label else logit)) for label, logit, _ in rows) / len(rows),
        "gauc": slow_gauc(rows),
        "calibration": sum(probability(logit) for _, logit, _ in rows) / sum(labels) if any(labels) else math.nan,
        "ece": slow_ece(rows),
        "examples": len(rows),
        "positives": sum(labels) / len(rows),
    }


@given(ROWS, st.randoms(use_true_random=False))
def test_metrics_of_rows_in_any_order_equal_the_slow_definitions(rows: list[Row], order: Random) -> None:
    expected = slow_measures(rows)
    order.shuffle(rows)
    assert measures(*columns(rows)) == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)


@given(ROWS, st.integers(1, 25), st.randoms(use_true_random=False))
def test_calibration_curve_does_not_depend_on_the_order_of_rows(rows: list[Row], bins: int, order: Random) -> None:
    labels, logits, _ = columns(rows)
    curve = calibration_curve(labels, logits, bins)
    order.shuffle(rows)
    labels, logits, _ = columns(rows)
    np.testing.assert_array_equal(calibration_curve(labels, logits, bins), curve)
    assert curve[2].sum() == len(rows)
    assert set(curve[2]) <= {len(rows) // bins, len(rows) // bins + 1}


def test_error_of_one_prediction_for_all_rows_is_that_of_its_mean() -> None:
    assert expected_calibration_error(np.repeat([0, 1], 50), np.zeros(100)) == 0
    assert expected_calibration_error(np.repeat([0, 1], [75, 25]), np.zeros(100)) == pytest.approx(0.25)


def test_bins_without_equal_predictions_have_the_labels_of_their_rows() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(-1, 2, 1003).astype("float32")
    labels = (random.random(1003) < 0.3).astype("float32")
    assert len(np.unique(logits)) == 1003
    assert expected_calibration_error(labels, logits) == pytest.approx(0.24078243768979976, rel=1e-12)
    expected = [labels[part].mean(dtype="float64") for part in np.array_split(np.argsort(logits), 20)]
    assert calibration_curve(labels, logits)[1].tolist() == expected
