from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

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


def test_auc_by_hand() -> None:
    # Pairs of a positive and a negative: (3, 1) right, (3, 3) a tie, (2, 1) right, (2, 3) wrong.
    assert auc(np.array([1, 0, 1, 0]), np.array([3.0, 1.0, 2.0, 3.0])) == pytest.approx(2.5 / 4)


@pytest.mark.parametrize("labels", [[1, 1], [0, 0], []])
def test_auc_of_one_class_is_nan(labels: list[int]) -> None:
    assert math.isnan(auc(np.array(labels), np.zeros(len(labels))))


def test_logloss_by_hand() -> None:
    # Probabilities 1/2 and 3/4.
    value = logloss(np.array([1, 0]), np.array([0.0, math.log(3)]))
    assert value == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_logloss_of_a_large_wrong_logit_is_finite() -> None:
    assert logloss(np.array([0]), np.array([1000.0])) == 1000.0


def test_logloss_of_an_infinite_logit_is_0_or_infinite() -> None:
    infinite = np.array([math.inf, -math.inf])
    assert logloss(np.array([1, 0]), infinite) == 0
    assert logloss(np.array([0, 0]), infinite) == math.inf


def test_logloss_without_rows_is_nan() -> None:
    assert math.isnan(logloss(np.zeros(0), np.zeros(0)))


def test_pr_auc_by_hand() -> None:
    # In the order of the scores: a positive (precision 1), a negative, a positive (precision 2/3).
    assert pr_auc(np.array([1, 0, 1, 0]), np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("labels", [[0, 0], []])
def test_pr_auc_without_positives_is_nan(labels: list[int]) -> None:
    assert math.isnan(pr_auc(np.array(labels), np.zeros(len(labels))))


def test_gauc_by_hand() -> None:
    # User a: one pair, right. User b: two pairs, one right, one a tie. User c: no negatives, does not count.
    labels = np.array([1, 0, 1, 0, 0, 1])
    scores = np.array([0.9, 0.1, 0.5, 0.5, 0.2, 0.3])
    users = np.array(["a", "a", "b", "b", "b", "c"])
    assert gauc(labels, scores, users) == pytest.approx((2 * 1.0 + 3 * 0.75) / 5)


def test_gauc_does_not_compare_users() -> None:
    labels, users = np.array([1, 0, 1, 0]), np.array([1, 1, 2, 2])
    assert gauc(labels, np.array([2.0, 1.0, 12.0, 11.0]), users) == 1.0
    assert auc(labels, np.array([2.0, 1.0, 12.0, 11.0])) == 0.75


@pytest.mark.parametrize("labels", [[1, 0], []])
def test_gauc_without_a_mixed_group_is_nan(labels: list[int]) -> None:
    assert math.isnan(gauc(np.array(labels), np.zeros(len(labels)), np.arange(len(labels))))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=60))
def test_gauc_is_the_weighted_mean_over_groups(rows: list[tuple[int, int, int]]) -> None:
    labels, scores, groups = (np.array(column) for column in zip(*rows, strict=True))
    weighted = [
        ((groups == g).sum(), roc_auc_score(labels[groups == g], scores[groups == g]))
        for g in np.unique(groups)
        if np.unique(labels[groups == g]).size == 2
    ]
    expected = sum(n * value for n, value in weighted) / sum(n for n, _ in weighted) if weighted else math.nan
    assert gauc(labels, scores, groups) == pytest.approx(expected, nan_ok=True)


def test_rows_in_mixed_groups_are_those_that_gauc_averages_over() -> None:
    mixed = in_mixed_groups(np.array([1, 0, 1, 1, 0]), np.array(["a", "a", "b", "b", "c"]))
    assert mixed.tolist() == [True, True, False, False, False]


def test_calibration_by_hand() -> None:
    # Probabilities 1/2 and 3/4, one click.
    logits = np.array([0.0, math.log(3)])
    assert calibration_ratio(np.array([0, 1]), logits) == pytest.approx(1.25)
    assert expected_calibration_error(np.array([0, 1]), logits, bins=1) == pytest.approx(0.625 - 0.5)
    assert expected_calibration_error(np.array([0, 1]), logits, bins=2) == pytest.approx((0.5 + 0.25) / 2)


def test_calibration_curve_has_bins_with_equal_numbers_of_rows() -> None:
    predicted, observed, rows = calibration_curve(np.array([0, 0, 1, 1]), np.array([-9.0, -8.0, 8.0, 9.0]), bins=2)
    assert predicted == pytest.approx([0, 1], abs=1e-3)
    assert observed.tolist() == [0, 1]
    assert rows.tolist() == [2, 2]


def test_calibrated_model_has_a_small_calibration_error() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(-2, 1, 200_000)
    labels = (random.random(200_000) < 1 / (1 + np.exp(-logits))).astype(int)
    assert calibration_ratio(labels, logits) == pytest.approx(1, abs=0.02)
    assert expected_calibration_error(labels, logits) < 0.01
    assert expected_calibration_error(labels, logits + 1) > 0.05


@pytest.mark.parametrize("position", range(4))
def test_a_score_of_nan_gives_metrics_of_nan_in_any_order(position: int) -> None:
    labels, scores = np.array([1, 0, 1, 0]), np.insert([3.0, -2.0, 1.0], position, math.nan)
    found = measures(labels, scores, np.zeros(4))
    assert (found.pop("examples"), found.pop("positives")) == (4, 0.5)
    assert all(math.isnan(value) for value in found.values())


def test_gauc_ignores_scores_of_rows_that_it_does_not_use() -> None:
    # The group of the score of NaN has one label only.
    assert gauc(np.array([1, 0, 1]), np.array([2.0, 1.0, math.nan]), np.array([1, 1, 2])) == 1


def test_measures_without_rows_are_nan() -> None:
    empty = measures(np.zeros(0), np.zeros(0), np.zeros(0))
    assert empty.pop("examples") == 0
    assert all(math.isnan(value) for value in empty.values())
