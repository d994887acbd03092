"""Isotonic calibration: the fit, and a training that ends with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade_run import write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from tiny_run import EXAMPLES, SPEC, TOKENS, settings_of

from fieldpool.model.evaluation import evaluate
from fieldpool.model.training.calibration import fit_isotonic
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.runs.run import Run


def fitted(labels: list[float], logits: list[float], at: list[float]) -> np.ndarray:
    found = fit_isotonic(np.array(labels, "float32"), np.array(logits, "float32"), "eval")
    return expit(found(np.array(at, "float32")).numpy())


def test_steps_by_hand() -> None:
    # With a positive row at 0 and a negative one at 3: the mean labels of the steps are 1/4 and 3/4.
    labels, logits = [0, 0, 0, 1, 1, 1], [0, 0, 1, 2, 3, 3]
    np.testing.assert_allclose(fitted(labels, logits, [-9, 0, 1, 2, 3, 9]), [0.25, 0.25, 0.25, 0.75, 0.75, 0.75])
    np.testing.assert_allclose(fitted(labels, logits, [1.5]), [0.5])  # Half the way between the log-odds ∓ln 3.


def test_equal_logits_have_the_share_of_positives_with_the_two_added_rows() -> None:
    np.testing.assert_allclose(fitted([1, 0, 0], [2, 2, 2], [-1, 2, 5]), 2 / 5, rtol=1e-6)


def test_rows_without_a_finite_logit_are_left_out() -> None:
    with_nan = fitted([1, 0, 1, 0, 1], [1, 0, np.nan, np.inf, -np.inf], [0, 1])
    np.testing.assert_array_equal(with_nan, fitted([1, 0], [1, 0], [0, 1]))


def test_logits_that_differ_by_next_to_nothing_are_equal() -> None:
    found = fitted([0, 1, 0, 1], [-7e-45, 0, 1e-38, 1], [0, 1])
    np.testing.assert_array_equal(found, fitted([0, 1, 0, 1], [0, 0, 0, 1], [0, 1]))


def test_a_row_of_weight_2_counts_twice_and_one_of_weight_0_not_at_all() -> None:
    labels, logits, weights = np.array([0, 1, 0, 1, 1]), np.arange(5, dtype="float32"), np.array([2, 1, 2, 1, 0])
    found = fit_isotonic(labels, logits, "eval", weights / weights[weights > 0].mean())
    repeated = np.repeat(np.arange(5), weights)
    x, y = np.r_[0, logits[repeated], 3], np.r_[1, labels[repeated], 0]
    weight = np.r_[1.5, np.ones(6), 1.5]  # The added rows have the mean weight.
    expected = IsotonicRegression().fit(x, y, sample_weight=weight).predict(logits[:4])
    np.testing.assert_allclose(expit(found(logits[:4]).numpy()), expected, rtol=1e-5)


ROWS = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.integers(-40, 40)), min_size=2, max_size=60)


@settings(deadline=None)
@given(ROWS)
def test_equals_scikit_learn_and_gives_neither_0_nor_1(rows: list[tuple[float, int]]) -> None:
    labels, logits = (np.array(part, "float32") for part in zip(*rows, strict=True))
    found = expit(fit_isotonic(labels, logits, "eval")(logits).numpy())
    x, y = np.r_[logits.min(), logits, logits.max()], np.r_[1, labels, 0]
    np.testing.assert_allclose(found, IsotonicRegression().fit(x, y).predict(logits), atol=1e-5)
    assert found.min() >= 0.99 / (len(rows) + 2)
    assert found.max() <= 1 - 0.99 / (len(rows) + 2)


def test_training_ends_with_a_calibration_on_eval(run: Run, tmp_path: Path) -> None:
    # One epoch with a high learning rate is far from calibrated.
    chosen = settings_of(run, epochs=1, learning_rate=0.3)
    plain = load_model(train(run, str(tmp_path / "plain"), train_settings=chosen).folder)
    isotonic = chosen.model_copy(update={"calibrate": "isotonic"})
    calibrated = load_model(train(run, str(tmp_path / "calibrated"), train_settings=isotonic).folder)
    before, after = evaluate(plain, run, "eval"), evaluate(calibrated, run, "eval")
    assert after["ece"] < before["ece"]
    assert after["calibration"] == pytest.approx(1, abs=0.01)
    assert after["logloss"] < before["logloss"]
    assert after["calibrated_on"] == "eval"
    assert "calibrated_on" not in before
    calibrated.calibration = None
    assert evaluate(calibrated, run, "eval") == before


@pytest.mark.parametrize("rows", [[], [row for row in EXAMPLES["eval"][0] if row["label"] == [0.0]]], ids=["no", "one"])
def test_eval_needs_both_labels(tmp_path: Path, rows: list[Any]) -> None:
    run = Run(write_run(tmp_path / "run", SPEC, TOKENS, {"train": EXAMPLES["train"], "eval": [rows]}))
    with pytest.raises(UserError, match=r"train.calibrate needs rows of both labels in the eval split"):
        train(run, str(tmp_path / "out"), train_settings=settings_of(run, calibrate="isotonic"))
    assert not (tmp_path / "out").exists()
