"""Half precision and large numbers: weights, sums and the logit are as exact as float32 allows."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import pytest
from pool_reference import reference, to_numpy

from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.layers.factorisation import factorisation_machine
from fieldpool.model.layers.features import EmbeddedField

HALF = ["mixed_float16", "mixed_bfloat16"]


def field(pooling: str | None, weights: str | None = None) -> EmbeddedField:
    return EmbeddedField(table="t", pooling=pooling, weights=weights)


@pytest.mark.parametrize("policy", HALF)
@pytest.mark.parametrize("pooling", ["mean", "sqrtn"])
@pytest.mark.parametrize("weights", [[1e5, 2e5], [257.0, 1.0]])
def test_weights_are_not_rounded_in_half_precision(policy: str, pooling: str, weights: list[float]) -> None:
    """1e5 is infinite in float16, and 257 is 256 in bfloat16."""
    model = DeepFM(
        tables={"t": {"rows": 3, "dim": 1}},
        fields={"f": field(pooling, "w")},
        embedding_dim=1,
        hidden_units=[],
        dtype=policy,
    )
    model.build()
    linear = np.array([[0.0], [1.0], [4.0]], "float32")
    model.embeddings.set_weights([linear * [0.0, 1.0]])
    w = np.array([weights], "float32")

    logit = model({"f": np.array([[1, 2]]), "w": keras.ops.convert_to_tensor(w)})

    expected = reference(pooling, linear[None, 1:], np.ones((1, 2), bool), w)
    np.testing.assert_allclose(to_numpy(logit), expected, rtol=1e-6)


# -- sums in half precision ---------------------------------------------------------------------------


def linear_model(policy: str, numeric: Mapping[str, float], singles: np.ndarray, bias: float) -> DeepFM:
    """Returns a DeepFM without vectors: `singles` are the linear weights of rows 1, 2, … of a table."""
    fields = {f"f{index}": field(None) for index in range(30)}
    model = DeepFM(
        tables={"t": {"rows": len(singles) + 1, "dim": 2}},
        fields=fields,
        numeric=list(numeric),
        embedding_dim=2,
        hidden_units=[],
        dtype=policy,
    )
    model.build()
    model.embeddings.set_weights([np.concatenate([[[0.0]], singles[:, None]]) * [0.0, 0.0, 1.0]])
    model.bias.assign([bias])
    if numeric:
        model.numeric_vectors.assign(np.zeros((len(numeric), 2)))
        model.numeric_linear.assign(list(numeric.values()))
    return model


@pytest.mark.parametrize("policy", HALF)
def test_linear_terms_and_bias_are_summed_in_float32(policy: str) -> None:
    random = np.random.default_rng(0)
    weights = random.normal(0, 0.5, 50)
    ids = random.integers(1, 51, (200, 30))
    model = linear_model(policy, {}, weights, bias=-2.703)
    logit = to_numpy(model({f"f{index}": ids[:, index] for index in range(30)}))[:, 0]
    np.testing.assert_allclose(logit, weights[ids - 1].sum(axis=1) - 2.703, atol=1e-5)


@pytest.mark.parametrize("policy", HALF)
def test_numbers_are_not_rounded_in_half_precision(policy: str) -> None:
    model = linear_model(policy, {"x": 1e-5}, np.zeros(1), bias=0.0)
    model.numeric_vectors.assign([[1e-3, 0.0]])
    x = np.array([70_001.0, 1e6, 257.0], "float32")
    features = {f"f{index}": np.ones(3, int) for index in range(30)}
    logit = to_numpy(model({**features, "x": keras.ops.convert_to_tensor(x)}))[:, 0]
    np.testing.assert_allclose(logit, x.astype("float64") * 1e-5, rtol=1e-6)


# -- the factorisation machine ------------------------------------------------------------------------


def pairs(m: np.ndarray) -> np.ndarray:
    """Returns Σ_{f<g} m_f·m_g in float64."""
    m = m.astype("float64")
    upper = np.triu_indices(m.shape[1], 1)
    return np.einsum("bfd,bgd->bfg", m, m)[:, *upper].sum(axis=1)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e5, 1e15])
@pytest.mark.parametrize("position", [0, 6, 11])
def test_a_large_field_does_not_hide_the_pairs_of_others(size: float, position: int) -> None:
    m = np.random.default_rng(1).normal(0, 0.3, (50, 12, 16)).astype("float32")
    m[:, position] *= size
    expected = pairs(m)
    # The scale of rounding: the sum of the magnitudes of the terms.
    scale = np.einsum("bfd,bgd->b", abs(m).astype("float64"), abs(m).astype("float64"))
    scale -= np.einsum("bfd,bfd->b", abs(m).astype("float64"), abs(m).astype("float64"))
    assert (abs(to_numpy(factorisation_machine(list(np.moveaxis(m, 1, 0)))) - expected) < 1e-6 * scale).all()


@pytest.mark.parametrize("exact_fm", [False, True])
@pytest.mark.parametrize("x", [1.0, 1e5, 1e10])
def test_one_value_has_no_pairs(exact_fm: bool, x: float) -> None:
    weighted = field("sum", "w")
    model = DeepFM(
        tables={"t": {"rows": 2, "dim": 3}},
        fields={"f": weighted},
        embedding_dim=3,
        hidden_units=[],
        exact_fm=exact_fm,
    )
    model.build()
    model.embeddings.set_weights([np.array([[0, 0, 0, 0], [0.3, 0.7, -0.1, 0.0]])])
    assert to_numpy(model({"f": np.array([[1, 0]]), "w": np.array([[x, 0]], "float32")})).tolist() == [[0.0]]


@pytest.mark.parametrize("policy", ["float32", *HALF])
def test_pairs_within_bags_are_exact_to_float32_in_any_precision(policy: str) -> None:
    random = np.random.default_rng(2)
    table = random.normal(0, 0.3, (9, 5)).astype("float32")
    model = DeepFM(
        tables={"t": {"rows": 9, "dim": 4}},
        fields={"f": field("mean")},
        embedding_dim=4,
        hidden_units=[],
        exact_fm=True,
        dtype=policy,
    )
    model.build()
    model.embeddings.set_weights([table * [1, 1, 1, 1, 0]])
    ids = random.integers(1, 9, (20, 5))
    expected = pairs(table[ids][:, :, :4] / 5)
    np.testing.assert_allclose(to_numpy(model({"f": ids}))[:, 0], expected, atol=1e-6)
