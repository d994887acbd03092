from __future__ import annotations

import math

import numpy as np
import pytest

from fieldpool.model.metrics import auc, logloss


def test_auc_by_hand():
    # Pairs of a positive and a negative: (3, 1) right, (3, 3) a tie, (2, 1) right, (2, 3) wrong.
    assert auc(np.array([1, 0, 1, 0]), np.array([3.0, 1.0, 2.0, 3.0])) == pytest.approx(2.5 / 4)


@pytest.mark.parametrize("labels", [[1, 1], [0, 0], []])
def test_auc_of_one_class_is_nan(labels):
    assert math.isnan(auc(np.array(labels), np.zeros(len(labels))))


def test_logloss_by_hand():
    # Probabilities 1/2 and 3/4.
    value = logloss(np.array([1, 0]), np.array([0.0, math.log(3)]))
    assert value == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_logloss_of_a_sure_mistake_is_finite():
    assert logloss(np.array([0]), np.array([1000.0])) == 1000.0


def test_logloss_of_nothing_is_nan():
    assert math.isnan(logloss(np.zeros(0), np.zeros(0)))
