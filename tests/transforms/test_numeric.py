"""Scales of numeric fields: a finite number never becomes an infinite or missing feature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fieldpool.transforms.numeric_statistics import Statistics, Summary
from fieldpool.transforms.spec import NumericField
from fieldpool.transforms.tensors import numeric

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
LARGEST = float(np.finfo(np.float32).max)


def field(**settings: Any) -> NumericField:
    return NumericField.model_validate({"type": "numeric", **settings})


def scaled(given: NumericField, train: list[float], numbers: list[float]) -> list[float]:
    """Returns `numbers` scaled with the statistics of `train`."""
    summary = Summary([1])
    statistics = summary.extract_output(
        summary.add_input(summary.create_accumulator(), (np.array(train, np.float32)[:, np.newaxis],))
    )
    tensors = Statistics(*(tf.constant(value, tf.float64) for value in statistics[:4]), tf.constant([], tf.float32))
    result = numeric.scale({"x": tf.constant(numbers, tf.float32)}, {"x": given}, {"x": tensors})["x"]
    assert result.dtype == tf.float32
    return result.numpy().tolist()


@pytest.mark.parametrize("scale", ["zscore", "minmax", "log1p", "none"])
@given(
    train=st.lists(FLOATS, max_size=5),
    numbers=st.lists(FLOATS, min_size=1, max_size=5),
    missing=st.just("mean") | FLOATS,
    clip=st.sampled_from([{}, {"clip": None}, {"clip": 0.1}, {"clip": 1e4}]),
)
@settings(deadline=None, max_examples=100)
def test_finite_numbers_give_finite_features_in_the_same_order(
    scale: str, train: list[float], numbers: list[float], missing: str | float, clip: dict[str, float | None]
) -> None:
    given = field(scale=scale, missing=missing, **clip)
    result = scaled(given, train, [*sorted(numbers), np.nan])
    assert np.isfinite(result).all()
    assert result[:-1] == sorted(result[:-1])
    if given.limit is not None:
        assert np.abs(result).max() <= np.float32(given.limit)


@pytest.mark.parametrize(
    ("settings", "train", "numbers", "expected"),
    [
        ({}, [-1.0, 1.0], [1e25, -1e25, 5.0], [1e4, -1e4, 5.0]),
        ({"clip": 3}, [-1.0, 1.0], [4.0, -3.5, 2.0], [3.0, -3.0, 2.0]),
        ({"clip": None}, [0.0, 1e-37], [3e38, -3e38], [LARGEST, -LARGEST]),
        ({"clip": None}, [-1.0, 1.0], [1e25], [np.float32(1e25)]),
        ({"scale": "minmax"}, [-3e38, 3e38], [-3e38, 0.0, 3e38, LARGEST, -LARGEST], [0.0, 0.5, 1.0, 1.0, 0.0]),
        ({"scale": "minmax"}, [1.0, 3.0], [0.0, 1.5, LARGEST], [0.0, 0.25, 1.0]),
        ({"scale": "none"}, [0.0], [1e25], [np.float32(1e25)]),
        ({"scale": "none", "clip": 7}, [0.0], [1e25, -8.0], [7.0, -7.0]),
    ],
    ids=str,
)
def test_numbers_far_from_train_are_limited(
    settings: dict[str, Any], train: list[float], numbers: list[float], expected: list[float]
) -> None:
    assert scaled(field(**settings), train, numbers) == expected


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, 10_000.0),
        ({"clip": 5}, 5.0),
        ({"clip": None}, None),
        ({"scale": "minmax"}, None),
        ({"scale": "log1p"}, None),
        ({"scale": "none"}, None),
        ({"scale": "none", "clip": 1e4}, 1e4),
        ({"scale": {"quantiles": 4}}, None),
    ],
)
def test_only_zscore_has_a_limit_by_default(settings: dict[str, Any], limit: float | None) -> None:
    assert field(**settings).limit == limit
    assert field(**field(**settings).model_dump()).limit == limit


@pytest.mark.parametrize(
    "settings",
    [
        {"clip": 0},
        {"clip": -1},
        {"clip": float("inf")},
        {"clip": float("nan")},
        {"clip": 1e39},
        {"scale": {"quantiles": 4}, "clip": 3},
        {"missing": float("nan")},
        {"missing": float("inf")},
        {"missing": -1e39},
    ],
    ids=str,
)
def test_settings_that_no_float32_can_follow_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        field(**settings)
