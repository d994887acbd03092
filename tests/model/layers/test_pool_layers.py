"""The pools as Keras layers: attached and explicit masks, axes, shapes, saving, graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from pool_reference import MASK, POOLS, X, reference, to_numpy

from fieldpool.model.layers.pooling import MaskedMaxPool, MaskedMeanPool, MaskedSumPool, masked_pool

Axis = int | Sequence[int]


# -- where the mask comes from ------------------------------------------------------------------------


def test_no_mask_is_the_plain_mean() -> None:
    np.testing.assert_allclose(to_numpy(MaskedMeanPool()(X)), X.mean(axis=1), rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_mask_of_an_embedding(weighted: bool) -> None:
    ids = np.array([[1, 2, 0], [3, 0, 0], [0, 0, 0]])
    embedding = keras.layers.Embedding(4, 2, mask_zero=True)
    weights = np.array([[1, 3, 9], [2, 9, 9], [9, 9, 9]], "float32") if weighted else None

    pooled = to_numpy(MaskedMeanPool()(embedding(ids), weights=weights))

    table = to_numpy(embedding.embeddings)
    np.testing.assert_allclose(pooled, reference("mean", table[ids], ids != 0, weights), rtol=1e-5, atol=1e-7)


def test_explicit_mask_takes_precedence_over_the_attached_one() -> None:
    x = keras.layers.Masking(mask_value=-1.0)(X)
    explicit = np.array([[False, False, True], [False, True, False]])
    assert to_numpy(MaskedMeanPool()(x, mask=explicit)).tolist() == [[50, 60], [70, 80]]


def test_mask_as_nested_lists_of_integers() -> None:
    assert to_numpy(MaskedMeanPool()(X, mask=[[1, 1, 0], [1, 0, 0]])).tolist() == [[2, 4], [7, 8]]


def test_mask_of_the_full_shape() -> None:
    mask = np.array([[[True, False], [True, True], [False, False]]])
    assert to_numpy(MaskedMeanPool()(X[:1], mask=mask)).tolist() == [[2, 6]]


def test_functional_model_with_a_mask_and_weights() -> None:
    ids = keras.Input((3,), dtype="int32")
    weights = keras.Input((3,))
    rows = keras.layers.Embedding(5, 2, mask_zero=True, embeddings_initializer="ones")(ids)
    model = keras.Model([ids, weights], MaskedSumPool()(rows, weights=weights))

    pooled = model.predict([np.array([[1, 2, 0]]), np.array([[1.0, 2.0, 4.0]])], verbose=0)

    assert pooled.tolist() == [[3, 3]]


def test_pooled_bag_has_no_mask() -> None:
    pooled = MaskedMeanPool()(keras.layers.Masking()(X))
    assert getattr(pooled, "_keras_mask", None) is None


def test_pools_can_be_nested() -> None:
    ids = np.array([[[1, 2], [3, 0], [0, 0]]])
    rows = keras.layers.Embedding(4, 2, mask_zero=True, embeddings_initializer="ones")(ids)
    lists = MaskedMeanPool(axis=2)(rows)
    assert to_numpy(MaskedMeanPool(axis=1)(lists)).tolist() == [[1, 1]]


# -- axes ---------------------------------------------------------------------------------------------


AXES = [0, 1, 2, 3, -1, -2, -3, -4, (1, 2), (2, 3), (-1, 1), (0, 1, 2, 3), [1, 2]]
NOT_IN_MASK = [(3, 3), (-1, 3)]  # Not an axis of the mask: an error, tested below.


@pytest.mark.parametrize(("axis", "mask_rank"), [(a, r) for a in AXES for r in (0, 3, 4) if (a, r) not in NOT_IN_MASK])
def test_mean_over_any_axes(axis: Axis, mask_rank: int) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 3, 4, 5)).astype("float32")
    mask = random.random(x.shape[:mask_rank]) < 0.6
    numpy_axis = axis if isinstance(axis, int) else tuple(axis)
    full = np.broadcast_to(mask.reshape(mask.shape + (1,) * (4 - mask_rank)) if mask_rank else True, x.shape)
    expected = np.ma.masked_array(x, ~full).mean(axis=numpy_axis)

    pool = MaskedMeanPool(axis=axis)
    pooled = to_numpy(pool(x, mask=mask if mask_rank else None))

    np.testing.assert_allclose(pooled, np.ma.filled(expected, 0), rtol=1e-4, atol=1e-6)
    assert pool.compute_output_shape(x.shape) == pooled.shape


@pytest.mark.parametrize(
    ("axis", "mask_shape", "message"),
    [
        (3, (2, 3), "expected `axis` from -3 to 2"),
        (-4, None, "expected `axis` from -3 to 2"),
        ((1, -2), None, "has the same axis twice"),
        (2, (2, 3), "is not an axis of `mask`"),
        (1, (2,), "is not an axis of `mask`"),
        (1, (2, 4), r"expected `mask` with the shape of the leading dimensions.*received \(2, 4\)"),
        (1, (2, 3, 2, 1), "expected `mask` with the shape of the leading dimensions"),
    ],
)
def test_wrong_axis_or_mask_is_named(axis: Axis, mask_shape: tuple[int, ...] | None, message: str) -> None:
    mask = None if mask_shape is None else np.ones(mask_shape, bool)
    with pytest.raises(ValueError, match=message):
        MaskedMeanPool(axis=axis)(X, mask=mask)


def test_empty_axis_tuple_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one axis"):
        MaskedMeanPool(axis=())


def test_wrong_weights_are_named() -> None:
    with pytest.raises(ValueError, match="expected `weights` with the shape of the leading dimensions"):
        MaskedMeanPool()(X, weights=np.ones((2, 2), "float32"))
    with pytest.raises(ValueError, match="expected no `weights`"):
        MaskedMaxPool()(X, weights=np.ones((2, 3), "float32"))


def test_unknown_pooling_is_named() -> None:
    with pytest.raises(ValueError, match="mean, sum, sqrtn, max; received 'median'"):
        masked_pool("median")


# -- as a Keras layer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("axis", [1, -2, (1, 2)])
def test_layer_is_the_same_after_serialization(kind: str, axis: Axis) -> None:
    layer = masked_pool(kind, axis=axis, name="pool")
    config = keras.saving.serialize_keras_object(layer)
    deserialized = keras.saving.deserialize_keras_object(config)

    assert config["registered_name"] == f"fieldpool>{type(layer).__name__}"
    assert deserialized.get_config() == layer.get_config()
    np.testing.assert_array_equal(to_numpy(deserialized(X)), to_numpy(layer(X)))


def test_saved_model_gives_the_same_numbers(tmp_path: Path) -> None:
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, MaskedMeanPool()(keras.layers.Masking()(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_shape_of_an_unknown_batch_and_length() -> None:
    assert MaskedMeanPool()(keras.Input((None, 8))).shape == (None, 8)
    assert MaskedMeanPool(axis=(1, 2))(keras.Input((None, 4, 8))).shape == (None, 8)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow graphs and XLA")
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("kind", POOLS)
def test_pool_in_a_tensorflow_graph_with_and_without_xla(kind: str, jit_compile: bool) -> None:
    import tensorflow as tf

    pool = masked_pool(kind)
    signature = [tf.TensorSpec([None, None, 2]), tf.TensorSpec([None, None], tf.bool)]
    function = tf.function(lambda x, mask: pool(x, mask=mask), input_signature=signature, jit_compile=jit_compile)
    np.testing.assert_allclose(function(tf.constant(X), tf.constant(MASK)).numpy(), reference(kind, X, MASK), rtol=1e-6)
