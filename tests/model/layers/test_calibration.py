"""The piecewise linear function that calibrates logits, on every backend."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.model.layers.calibration import Calibration
from fieldpool.model.layers.deepfm import DeepFM

POINTS = {"method": "isotonic", "split": "eval", "rows": 9}


def applied(x: list[float], y: list[float], logits: list[float]) -> np.ndarray:
    calibration = Calibration(**POINTS, x=x, y=y)
    found = calibration(keras.ops.convert_to_tensor(np.array(logits, "float32").reshape(-1, 1)))
    return keras.ops.convert_to_numpy(found)[:, 0]


def test_linear_between_the_points_and_constant_beyond_them() -> None:
    found = applied([-1, 0, 2], [-3, -2, -2], [-np.inf, -5, -1, -0.5, 0, 1, 2, 7, np.inf])
    assert found.tolist() == [-3, -3, -3, -2.5, -2, -2, -2, -2, -2]


def test_nan_stays_nan() -> None:
    assert np.isnan(applied([0, 1], [0, 1], [np.nan]))


NUMBERS = st.floats(-30, 30, width=32)


@settings(deadline=None)
@given(
    st.lists(NUMBERS.map(lambda x: x if abs(x) > 1e-22 else 0.0), min_size=2, max_size=8, unique=True),
    st.lists(NUMBERS, min_size=8, max_size=8),
    st.lists(NUMBERS, min_size=1),
)
def test_equals_numpy_and_never_reverses_an_order(x: list[float], y: list[float], logits: list[float]) -> None:
    x, y, logits = sorted(x), sorted(y)[: len(x)], sorted(logits)
    found = applied(x, y, logits)
    np.testing.assert_allclose(found, np.interp(logits, x, y), rtol=1e-5, atol=1e-4)
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize(
    ("x", "y"), [([0], [0]), ([0, 0], [0, 1]), ([0, 1e-31], [0, 1]), ([0, 1], [1, 0]), ([0, 1], [1])]
)
def test_points_must_be_in_order(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match="at least 2 points"):
        Calibration(**POINTS, x=x, y=y)


def test_a_model_applies_it_after_the_offset_except_in_training_and_keeps_it(tmp_path: Path) -> None:
    calibration = {**POINTS, "x": [-2.0, 2.0], "y": [-1.0, 0.0]}
    settings = {"tables": {}, "fields": {}, "numeric": ["a"], "hidden_units": [], "embedding_dim": 1}
    model = DeepFM(**settings, logit_offset=1.0, calibration=calibration)
    model.build()
    model.numeric_linear.assign([1.0])
    features = {"a": np.array([-1.0, 0.0], "float32")}
    assert keras.ops.convert_to_numpy(model(features, training=True)).tolist() == [[-1], [0]]
    assert keras.ops.convert_to_numpy(model(features)).tolist() == [[-0.5], [-0.25]]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.calibration == model.calibration
    assert keras.ops.convert_to_numpy(loaded(features)).tolist() == [[-0.5], [-0.25]]
    assert "calibration" not in DeepFM(**settings).get_config()
