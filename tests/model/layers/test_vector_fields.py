from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.layers.vector_fields import VectorFields

FEATURES = {"v": np.array([[1.0, 2.0], [0.0, 0.0]], "float32"), "x": np.array([3.0, 0.0], "float32")}


def to_numpy(x: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("pairs", [False, True])
def test_a_vector_is_projected_by_hand(pairs: bool) -> None:
    layer = VectorFields({"v": 2}, dim=2, pairs=pairs)
    layer.build()
    layer.kernels["v"].assign([[1, 2, 10], [3, 4, 20]])
    m, linear, *others = layer({"v": FEATURES["v"]})
    assert to_numpy(m).tolist() == [[[7.0, 10.0]], [[0.0, 0.0]]]
    assert to_numpy(linear).tolist() == [[50.0], [0.0]]
    assert [to_numpy(zeros).tolist() for zeros in others] == ([[[0.0], [0.0]]] if pairs else [])


def model_of(**settings: Any) -> DeepFM:
    model = DeepFM(tables={}, fields={}, numeric=["x"], vectors={"v": 2}, embedding_dim=2, hidden_units=[], **settings)
    model.build()
    return model


@pytest.mark.parametrize("exact_fm", [False, True])
def test_logit_by_hand(exact_fm: bool) -> None:
    model = model_of(exact_fm=exact_fm)
    model.vector_fields.kernels["v"].assign([[1, 2, 10], [3, 4, 20]])
    model.numeric_vectors.assign([[1, -1]])
    model.numeric_linear.assign([5])
    model.bias.assign([0.5])
    # m: (7, 10), 3·(1, -1). Their product: 21 - 30. Linear: 50 + 15.
    assert to_numpy(model(FEATURES)).tolist() == [[0.5 - 9 + 65], [0.5]]


def test_a_vector_of_one_number_is_a_number() -> None:
    model = DeepFM(tables={}, fields={}, numeric=["x"], vectors={"v": 1}, embedding_dim=2, hidden_units=[])
    model.build()
    model.vector_fields.kernels["v"].assign([[1, -2, 3]])
    model.numeric_vectors.assign([[1, -2]])
    model.numeric_linear.assign([3])
    x = np.array([0.5, -4.0], "float32")
    m, linear = model.fields_of({"x": x, "v": x[:, np.newaxis]})
    np.testing.assert_array_equal(to_numpy(m)[:, 0], to_numpy(m)[:, 1])
    np.testing.assert_array_equal(to_numpy(linear)[:, 0], to_numpy(linear)[:, 1])


def test_a_model_is_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    model = model_of(l2_embedding=0.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(to_numpy(loaded(FEATURES)), to_numpy(model(FEATURES)))


def test_l2_penalizes_all_weights() -> None:
    model = DeepFM(tables={}, fields={}, vectors={"v": 2}, embedding_dim=2, hidden_units=[], l2_embedding=0.5)
    model.build()
    model.vector_fields.kernels["v"].assign(np.full((2, 3), 2.0))
    assert sum(float(loss) for loss in model.losses) == pytest.approx(0.5 * 6 * 4)


def test_a_vector_of_another_length_is_an_error() -> None:
    with pytest.raises(Exception, match=r"[Dd]imension|[Ss]hape|size"):
        model_of()({**FEATURES, "v": np.zeros((2, 3), "float32")})


def test_without_vectors_earlier_versions_can_load_the_model() -> None:
    assert "vectors" not in DeepFM(tables={}, fields={}, numeric=["x"], embedding_dim=2).get_config()
