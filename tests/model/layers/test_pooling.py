"""Results of the pools: computed by hand, with any padding, compared with slow formulas, in every dtype."""

from __future__ import annotations

import doctest
from collections.abc import Callable

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pool_reference import MASK, POOLS, X, reference, to_numpy

from fieldpool.model.layers import pooling
from fieldpool.model.layers.pooling import MaskedMeanPool, masked_pool

Gradients = Callable[..., list[np.ndarray]]
Bag = tuple[np.ndarray, np.ndarray, np.ndarray]  # x [b, t, d], mask and w [b, t].
NAN, INF = float("nan"), float("inf")


# -- by hand ------------------------------------------------------------------------------------------


def test_mean_of_steps_that_are_not_masked() -> None:
    steps = [[10], [10, 20], [10, 20, 30], [10, 20, 30, 40]]
    x = np.zeros((4, 4, 2), "float32")
    for row, values in enumerate(steps):
        x[row, : len(values)] = np.array(values)[:, None]

    pooled = MaskedMeanPool(axis=1)(keras.layers.Masking()(x))

    assert to_numpy(pooled).tolist() == [[10, 10], [15, 15], [20, 20], [25, 25]]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mean", [[2, 4], [7, 8]]),
        ("sum", [[4, 8], [7, 8]]),
        ("sqrtn", [[4 / 2**0.5, 8 / 2**0.5], [7, 8]]),
        ("max", [[3, 6], [7, 8]]),
    ],
)
def test_values_by_hand(kind: str, expected: list[list[float]]) -> None:
    np.testing.assert_allclose(to_numpy(masked_pool(kind)(X, mask=MASK)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mean", [[(1 + 9) / 4, (2 + 18) / 4], [7, 8]]),
        ("sum", [[10, 20], [14, 16]]),
        ("sqrtn", [[10 / 10**0.5, 20 / 10**0.5], [7, 8]]),
    ],
)
def test_weighted_values_by_hand(kind: str, expected: list[list[float]]) -> None:
    weights = np.array([[1.0, 3.0, 5.0], [2.0, 5.0, 5.0]], "float32")
    pooled = masked_pool(kind)(X, mask=MASK, weights=weights)
    np.testing.assert_allclose(to_numpy(pooled), expected, rtol=1e-6)


def test_docstring_example() -> None:
    assert doctest.testmod(pooling) == doctest.TestResults(failed=0, attempted=4)


# -- padding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", POOLS)
def test_all_padding_row_gives_zeros(kind: str, gradients: Gradients) -> None:
    mask = np.array([[True, True, False], [False, False, False]])
    pool = masked_pool(kind)

    assert to_numpy(pool(X, mask=mask))[1].tolist() == [0, 0]
    (gradient,) = gradients(lambda x: pool(x, mask=mask), X)
    assert np.isfinite(gradient).all()
    assert (gradient[1] == 0).all()


@pytest.mark.parametrize("junk", [NAN, INF, -INF, 3e38])
@pytest.mark.parametrize("kind", POOLS)
def test_content_of_padding_is_ignored(kind: str, junk: float, gradients: Gradients) -> None:
    pool = masked_pool(kind)
    mask = np.array([[True, True, False], [False, False, False]])
    dirty = np.where(mask[:, :, None], X, np.float32(junk))

    assert to_numpy(pool(dirty, mask=mask)).tolist() == to_numpy(pool(X, mask=mask)).tolist()
    (gradient,) = gradients(lambda x: pool(x, mask=mask), dirty)
    assert np.isfinite(gradient).all()
    assert (gradient[~mask] == 0).all()


@pytest.mark.parametrize("kind", ["mean", "sum", "sqrtn"])
def test_weights_of_padding_are_ignored(kind: str, gradients: Gradients) -> None:
    pool = masked_pool(kind)
    weights = np.array([[1.0, 2.0, NAN], [1.0, INF, NAN]], "float32")
    clean = np.where(MASK, weights, np.float32(0))

    pooled = pool(X, mask=MASK, weights=weights)

    np.testing.assert_allclose(to_numpy(pooled), reference(kind, X, MASK, clean), rtol=1e-6)
    for gradient in gradients(lambda x, w: pool(x, mask=MASK, weights=w), X, weights):
        assert np.isfinite(gradient).all()
        assert (gradient[~MASK] == 0).all()


@pytest.mark.parametrize("kind", ["mean", "sqrtn"])
def test_weights_of_zero_give_zeros(kind: str, gradients: Gradients) -> None:
    pool = masked_pool(kind)
    weights = np.zeros((2, 3), "float32")

    assert to_numpy(pool(X, mask=MASK, weights=weights)).tolist() == [[0, 0], [0, 0]]
    for gradient in gradients(lambda x, w: pool(x, mask=MASK, weights=w), X, weights):
        assert (gradient == 0).all()


@pytest.mark.parametrize("kind", POOLS)
def test_empty_axis_gives_zeros(kind: str) -> None:
    x = np.zeros((2, 0, 3), "float32")
    assert to_numpy(masked_pool(kind)(x)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_mean_gradient_is_one_over_count(gradients: Gradients) -> None:
    (gradient,) = gradients(lambda x: MaskedMeanPool()(x, mask=MASK), X)
    assert gradient.tolist() == [[[0.5, 0.5], [0.5, 0.5], [0, 0]], [[1, 1], [0, 0], [0, 0]]]


# -- random bags, compared with the slow reference --------------------------------------------------------------


NUMBERS = st.floats(-100, 100, width=32)
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 3))


@st.composite
def bags(draw: st.DrawFn) -> Bag:
    b, t, d = draw(SHAPES)
    x = draw(hnp.arrays("float32", (b, t, d), elements=NUMBERS))
    mask = draw(hnp.arrays(bool, (b, t)))
    w = draw(hnp.arrays("float32", (b, t), elements=st.floats(0.125, 8, width=32)))
    return x, mask, w


@pytest.mark.parametrize("kind", POOLS)
@settings(max_examples=40, deadline=None)
@given(bag=bags(), use_weights=st.booleans())
def test_equals_reference(kind: str, bag: Bag, use_weights: bool) -> None:
    x, mask, w = bag
    w = w if use_weights and kind != "max" else None
    pooled = to_numpy(masked_pool(kind)(x, mask=mask, weights=w))
    np.testing.assert_allclose(pooled, reference(kind, x, mask, w), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", POOLS)
@settings(max_examples=20, deadline=None)
@given(bag=bags(), more=st.integers(1, 5), seed=st.integers(0, 99))
def test_length_of_padding_and_order_of_values_do_not_change_the_result(
    kind: str, bag: Bag, more: int, seed: int
) -> None:
    x, mask, _ = bag
    b, t, d = x.shape
    longer = np.concatenate([x, np.full((b, more, d), NAN, "float32")], axis=1)
    longer_mask = np.concatenate([mask, np.zeros((b, more), bool)], axis=1)
    order = np.random.default_rng(seed).permutation(t + more)
    pool = masked_pool(kind)

    pooled = to_numpy(pool(longer[:, order], mask=longer_mask[:, order]))

    np.testing.assert_allclose(pooled, to_numpy(pool(x, mask=mask)), rtol=1e-5, atol=1e-4)


# -- dtypes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["mean", "sqrtn"])
def test_half_precision_sums_in_float32(kind: str, dtype: str) -> None:
    # In float16 and bfloat16 4096 + 1 is 4096; in float16 4096 · 100 is infinite.
    x = np.full((1, 4096, 1), 64.0, "float32")
    pooled = masked_pool(kind, dtype=dtype)(keras.ops.cast(x, dtype), mask=np.ones((1, 4096), bool))

    assert keras.backend.standardize_dtype(pooled.dtype) == dtype
    expected = {"mean": 64.0, "sqrtn": 4096.0}[kind]
    assert to_numpy(keras.ops.cast(pooled, "float32")).tolist() == [[expected]]


def test_mixed_precision_returns_the_compute_dtype() -> None:
    pooled = MaskedMeanPool(dtype="mixed_float16")(X, mask=MASK)
    assert keras.backend.standardize_dtype(pooled.dtype) == "float16"


@pytest.mark.parametrize("kind", POOLS)
def test_integers_are_cast(kind: str) -> None:
    pooled = masked_pool(kind)(X.astype("int32"), mask=MASK)
    assert keras.backend.standardize_dtype(pooled.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(pooled), reference(kind, X, MASK), rtol=1e-6)
