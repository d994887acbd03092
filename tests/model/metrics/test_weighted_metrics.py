"""Weighted metrics: a row of weight w counts as w rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.model.metrics import (
    auc,
    calibration_curve,
    calibration_ratio,
    expected_calibration_error,
    gauc,
    in_mixed_groups,
    logloss,
    measures,
    pr_auc,
)

# label, score, group, weight.
Row = tuple[int, float, int, int]
LABELS, SCORES, WEIGHTS = np.array([1, 0, 1, 0]), np.array([3.0, 1.0, 2.0, 3.0]), np.array([2.0, 1.0, 0.5, 4.0])

METRICS: list[Callable[..., float]] = [auc, pr_auc, logloss, calibration_ratio]


def test_auc_by_hand() -> None:
    # (3, 1) right: 2·1. (3, 3) a tie: half of 2·4. (2, 1) right: 0.5·1. (2, 3) wrong. All pairs: 2.5·5.
    assert auc(LABELS, SCORES, WEIGHTS) == pytest.approx((2 + 4 + 0.5) / 12.5)


def test_logloss_by_hand() -> None:
    losses = np.log1p(np.exp([0.0, math.log(3)]))
    assert logloss(np.array([1, 0]), np.array([0.0, math.log(3)]), np.array([3, 1])) == pytest.approx(
        (3 * losses[0] + losses[1]) / 4
    )


def test_gauc_by_hand() -> None:
    # Group 1: the pair is right, weight 3. Group 2: wrong, weight 1.
    labels, groups = np.array([1, 0, 1, 0]), np.array([1, 1, 2, 2])
    assert gauc(labels, np.array([2.0, 1.0, 1.0, 2.0]), groups, np.array([2, 1, 0.5, 0.5])) == 3 / 4


@settings(deadline=None)  # The first call of scikit-learn takes long.
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3), st.integers(0, 2), st.integers(0, 3)), max_size=20))
def test_whole_weights_are_repeated_rows(rows: list[Row]) -> None:
    label, score, group, weight = np.array(rows, float).reshape(-1, 4).T
    copies = weight.astype(int)
    repeated = measures(np.repeat(label, copies), np.repeat(score, copies), np.repeat(group, copies))
    weighted = measures(label, score, group, weight)
    names = ("auc", "pr_auc", "logloss", "gauc", "calibration", "positives")
    assert [weighted[n] for n in names] == pytest.approx([repeated[n] for n in names], rel=1e-12, nan_ok=True)
    assert (weighted["weight"], weighted["examples"]) == (copies.sum(), len(rows))


@settings(deadline=None)  # The first call of scikit-learn takes long.
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(-3, 3), st.integers(0, 2), st.floats(2**-20, 2**20, width=32)),
        min_size=1,
        max_size=20,
    ),
    st.floats(1e-3, 1e3),
)
def test_only_ratios_of_weights_matter(rows: list[tuple[int, int, int, float]], factor: float) -> None:
    label, score, group, weight = np.array(rows, float).reshape(-1, 4).T
    first, second = (measures(label, score, group, w) for w in (weight, factor * weight))
    for name in ("auc", "pr_auc", "logloss", "gauc", "calibration", "positives"):
        assert second[name] == pytest.approx(first[name], rel=1e-9, nan_ok=True)


def test_light_negatives_beside_heavy_positives_count_as_exactly_in_gauc() -> None:
    """In the second group the negative row has a ten-millionth of the weight; both groups have AUC ½."""
    labels, scores, groups = np.array([0, 1, 0, 1]), np.zeros(4), np.array([0, 0, 1, 1])
    assert gauc(labels, scores, groups, np.array([1.0, 1.0, 3e-5, 500.0])) == pytest.approx(0.5, rel=1e-15)


def test_light_groups_do_not_vanish_beside_a_heavy_one_in_gauc() -> None:
    """One group weighs 1e30; the others have AUC 0, and only their own weights."""
    groups = np.repeat(np.arange(3), 2)
    labels, scores = np.array([1, 0] * 3), np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    assert gauc(labels, scores, groups, np.array([1e30, 1e30, 1, 1, 1e-30, 1e-30])) == 1.0


@pytest.mark.parametrize("metric", [*METRICS, expected_calibration_error], ids=lambda metric: metric.__name__)
def test_metrics_without_any_weight_are_nan(metric: Callable[..., float]) -> None:
    assert math.isnan(metric(LABELS, SCORES, weights=np.zeros(4)))


def test_rows_of_weight_0_do_not_count_even_if_their_score_is_nan() -> None:
    scores, weights = np.array([3.0, 1.0, 2.0, math.nan]), np.array([1.0, 1.0, 1.0, 0.0])
    found = measures(LABELS, scores, np.zeros(4), weights)
    assert found == pytest.approx(measures(LABELS[:3], scores[:3], np.zeros(3), weights[:3]) | {"examples": 4})
    assert not in_mixed_groups(LABELS, np.zeros(4), np.array([1, 0, 1, 0])).any()


def test_calibration_curve_by_hand() -> None:
    # Bins end at weight 4 and 8: the first has the rows of logits 0 and 1, the second the two others.
    logits = np.array([0.0, 1.0, 2.0, 3.0])
    weights, labels = np.array([3.0, 1.0, 2.0, 2.0]), np.array([1, 0, 0, 1])
    probability = 1 / (1 + np.exp(-logits))
    predicted, observed, of_bins = calibration_curve(labels, logits, 2, weights)
    np.testing.assert_allclose(predicted, [(3 * probability[0] + probability[1]) / 4, probability[2:].mean()])
    np.testing.assert_allclose(observed, [3 / 4, 1 / 2])
    np.testing.assert_allclose(of_bins, [4, 4])
    assert expected_calibration_error(labels, logits, 2, weights) == pytest.approx(np.abs(predicted - observed).mean())


def test_calibration_error_of_equal_weights_is_that_without_weights() -> None:
    random = np.random.default_rng(0)
    labels, logits = random.integers(0, 2, 200), random.normal(size=200).round(1)
    weighted = expected_calibration_error(labels, logits, weights=np.full(200, 0.1))
    assert weighted == pytest.approx(expected_calibration_error(labels, logits))
