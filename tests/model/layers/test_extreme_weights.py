"""Pools whose weights are very small, very large or both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pool_reference import reference, to_numpy

from fieldpool.model.layers.features import EmbeddedField
from fieldpool.model.layers.pooled_embeddings import PooledEmbeddings
from fieldpool.model.layers.pooling import masked_pool
from fieldpool.model.layers.weights import coefficients

# A processor may compute with subnormal numbers as zeros.
WEIGHTS = st.floats(0.0, width=32, allow_infinity=False, allow_subnormal=False)


@pytest.mark.parametrize("kind", ["mean", "sqrtn"])
@given(weights=st.lists(WEIGHTS, min_size=3, max_size=3), mask=st.lists(st.booleans(), min_size=3, max_size=3))
@example(weights=[3e38] * 3, mask=[True] * 3)
@example(weights=[2e-38] * 3, mask=[True] * 3)
@settings(max_examples=60, deadline=None)
def test_weights_of_any_size_are_relative(kind: str, weights: list[float], mask: list[bool]) -> None:
    x = np.array([[[1.0, -2.0], [0.5, 3.0], [-0.25, 0.125]]], "float32")
    w, is_value = np.array([weights], "float32"), np.array([mask])
    expected = reference(kind, x, is_value, w)
    fields = {"f": EmbeddedField(table="t", pooling=kind, weights="w")}
    layer = PooledEmbeddings({"t": {"rows": 4, "dim": 1}}, fields, 1)
    layer.build()
    layer.set_weights([np.concatenate([[[9.0, 9.0]], x[0]]).astype("float32")])
    vectors, linear = layer({"f": np.where(is_value, [[1, 2, 3]], 0), "w": w})

    np.testing.assert_allclose(to_numpy(masked_pool(kind)(x, mask=is_value, weights=w)), expected, rtol=1e-5, atol=1e-6)
    by_coefficients = (to_numpy(coefficients(kind, is_value, w))[:, :, None] * x).sum(axis=1)
    np.testing.assert_allclose(by_coefficients, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose([[*to_numpy(vectors)[0, 0], *to_numpy(linear)[0]]], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weight", [2e-38, 1e-20, 1.0, 1e20, 3e38])
def test_one_value_of_any_weight_is_the_value(weight: float) -> None:
    x, w = np.array([[[1.0, -2.0]]], "float32"), np.array([[weight]], "float32")
    for kind in ("mean", "sqrtn"):
        np.testing.assert_allclose(to_numpy(masked_pool(kind)(x, weights=w)), x[0], rtol=1e-6)


def test_weights_that_cancel_out_still_give_zeros() -> None:
    x, w = np.ones((1, 3, 1), "float32"), np.array([[3e20, -1e20, -2e20]], "float32")
    assert to_numpy(masked_pool("mean")(x, weights=w)).tolist() == [[0.0]]
