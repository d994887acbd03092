"""DeepFM compared with slow implementations of the equations in the papers.

- Rendle, Factorization Machines, ICDM 2010: equation 1, one term per pair of values.
- Guo et al., DeepFM, IJCAI 2017 (https://arxiv.org/abs/1703.04247): equations 1 to 5.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.model.layers.deepfm import DeepFM

DIM = 2
TABLES = {"items": {"rows": 6, "dim": DIM}, "tags": {"rows": 4, "dim": DIM}, "wide": {"rows": 5, "dim": 3}}


class Value(NamedTuple):
    """One value of a row: x_i, v_i and w_i of Rendle's equation 1."""

    x: float
    v: np.ndarray
    w: float


def rendle_pairs(values: list[Value]) -> float:
    """The last sum of Rendle's equation 1: Σ_i Σ_{j>i} ⟨v_i, v_j⟩ x_i x_j."""
    return sum(float(a.v @ b.v) * a.x * b.x for a, b in combinations(values, 2))


def linear_terms(values: list[Value]) -> float:
    """The second term of Rendle's equation 1: Σ_i w_i x_i."""
    return sum(value.w * value.x for value in values)


def pooled(values: list[Value]) -> np.ndarray:
    """A field's vector, Σ_i x_i v_i: in DeepFM e_f, where a field has one value with x_i = 1."""
    return sum((value.x * value.v for value in values), np.zeros(DIM))


def deep(model: DeepFM, e: list[np.ndarray], activation: Any) -> float:
    """DeepFM's equations 3 to 5: a⁰ = [e_1, …, e_m], a^(l+1) = σ(W a + b), y = W a."""
    a = np.concatenate(e)
    *hidden, last = [layer for layer in model.mlp if isinstance(layer, keras.layers.Dense)]
    norms = [layer for layer in model.mlp if isinstance(layer, keras.layers.BatchNormalization)]
    for index, layer in enumerate(hidden):
        a = a @ to_numpy(layer.kernel) + to_numpy(layer.bias)
        if norms:
            norm = norms[index]
            scale = to_numpy(norm.gamma) / np.sqrt(to_numpy(norm.moving_variance) + norm.epsilon)
            a = (a - to_numpy(norm.moving_mean)) * scale + to_numpy(norm.beta)
        a = activation(a)
    return float((a @ to_numpy(last.kernel))[0])


def to_numpy(x: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(x).astype("float64")


def values_of(model: DeepFM, features: dict[str, np.ndarray], row: int) -> list[list[Value]]:
    """Returns the values of each field of a row; x_i is w_i divided by the divisor of the field's pooling."""
    fields = []
    layer = model.embeddings
    for name, field in layer.layout.fields.items():
        table = to_numpy(layer.table(field["table"]))
        ids = np.atleast_1d(features[name][row])
        w = features[field["weights"]][row] if field["weights"] else np.ones(len(ids))
        kept = [(i, float(weight)) for i, weight in zip(ids, w, strict=True) if i != 0]
        total, squares = sum(weight for _, weight in kept), sum(weight**2 for _, weight in kept)
        n = {"mean": total, "sum": 1.0, "sqrtn": squares**0.5, None: 1.0}[field["pooling"]]
        kernel = to_numpy(layer.projections[field["table"]].kernel) if field["table"] in layer.projections else None
        fields.append(
            [
                Value(
                    weight / n if n else 0.0, table[i, :-1] if kernel is None else table[i, :-1] @ kernel, table[i, -1]
                )
                for i, weight in kept
            ]
        )
    for index, name in enumerate(model.numeric):
        v, w = to_numpy(model.numeric_vectors)[index], to_numpy(model.numeric_linear)[index]
        fields.append([Value(float(features[name][row]), v, float(w))])
    return fields


@st.composite
def rows(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Two rows with a single value, bags (with duplicates, padding, no values, or weights of 0) and a number."""

    def ids(table: str, *shape: int) -> np.ndarray:
        size = int(np.prod(shape))
        numbers = st.integers(0, TABLES[table]["rows"] - 1)
        return np.array(draw(st.lists(numbers, min_size=size, max_size=size))).reshape(shape)

    weights = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=6, max_size=6))
    return {
        "item": ids("items", 2),
        "history": ids("items", 2, 4),
        "tags": ids("tags", 2, 3),
        "tags_weights": np.array(weights, "float32").reshape(2, 3),
        "interests": ids("wide", 2, 3),
        "age": np.array([draw(st.floats(-2, 2)), 0.0], "float32"),
    }


@given(
    features=rows(),
    poolings=st.tuples(*[st.sampled_from(["mean", "sum", "sqrtn"])] * 3),
    exact_fm=st.booleans(),
    batch_norm=st.booleans(),
    activation=st.sampled_from(["relu", "tanh"]),
)
@settings(max_examples=40, deadline=None)
def test_logit_equals_the_equations_of_the_papers(
    features: dict[str, np.ndarray], poolings: tuple[str, ...], exact_fm: bool, batch_norm: bool, activation: str
) -> None:
    history, tags, interests = poolings
    model = DeepFM(
        tables=TABLES,
        fields={
            "item": {"table": "items", "pooling": None, "weights": None},
            "interests": {"table": "wide", "pooling": interests, "weights": None},
            "history": {"table": "items", "pooling": history, "weights": None},
            "tags": {"table": "tags", "pooling": tags, "weights": "tags_weights"},
        },
        numeric=["age"],
        embedding_dim=DIM,
        hidden_units=[3, 2],
        activation=activation,
        batch_norm=batch_norm,
        exact_fm=exact_fm,
    )
    model.build()
    random = np.random.default_rng(5)
    model.set_weights([np.abs(random.normal(size=w.shape)).astype("float32") for w in model.get_weights()])
    sigma = np.tanh if activation == "tanh" else lambda a: np.maximum(a, 0)

    logits = to_numpy(model(features))[:, 0]

    for row in range(2):
        fields = values_of(model, features, row)
        all_values = [value for field in fields for value in field]
        e = [pooled(field) for field in fields]
        # Rendle's pairs of all values, or DeepFM's equation 2 with one vector per field.
        pairs = rendle_pairs(all_values if exact_fm else [Value(1.0, vector, 0.0) for vector in e])
        y_fm = to_numpy(model.bias)[0] + linear_terms(all_values) + pairs
        assert logits[row] == pytest.approx(y_fm + deep(model, e, sigma), rel=1e-4, abs=1e-4)


def test_exact_fm_differs_only_for_bags_of_several_values() -> None:
    shared: dict[str, Any] = {
        "tables": {"items": {"rows": 6, "dim": DIM}},
        "fields": {n: {"table": "items", "pooling": "mean", "weights": None} for n in ("a", "b")},
        "embedding_dim": DIM,
        "hidden_units": [],
    }
    plain, exact = DeepFM(**shared), DeepFM(**shared, exact_fm=True)
    for model in (plain, exact):
        model.build()
    exact.set_weights([np.random.default_rng(0).normal(size=w.shape) for w in plain.get_weights()])
    plain.set_weights(exact.get_weights())
    one_value = {"a": np.array([[3]]), "b": np.array([[5]])}
    two_values = {"a": np.array([[3, 4]]), "b": np.array([[5, 0]])}
    np.testing.assert_allclose(to_numpy(exact(one_value)), to_numpy(plain(one_value)), rtol=1e-5)
    assert abs(to_numpy(exact(two_values)) - to_numpy(plain(two_values))).item() > 1e-3


def test_exact_fm_with_max_pooling_is_an_error() -> None:
    with pytest.raises(ValueError, match="field a: expected a pooling of mean, sum or sqrtn with `pairs`"):
        DeepFM(
            tables={"t": {"rows": 3, "dim": 2}},
            fields={"a": {"table": "t", "pooling": "max", "weights": None}},
            embedding_dim=2,
            exact_fm=True,
        )
