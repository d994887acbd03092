from __future__ import annotations

import doctest

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fieldpool.model.layers import pooling
from fieldpool.model.layers.pooling import MaskedMaxPool, MaskedMeanPool, MaskedSqrtNPool, MaskedSumPool, masked_pool

POOLS = {"mean": MaskedMeanPool, "sum": MaskedSumPool, "sqrtn": MaskedSqrtNPool, "max": MaskedMaxPool}
NAN, INF = float("nan"), float("inf")


def to_numpy(x) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


def reference(kind: str, x: np.ndarray, mask: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
    """The formulas of the docstrings, one bag at a time: x [b, t, d], mask and w [b, t]."""
    w = np.ones(mask.shape) if w is None else w
    result = np.zeros((x.shape[0], x.shape[2]))
    for row in range(x.shape[0]):
        values, weights = x[row][mask[row]].astype("float64"), w[row][mask[row]].astype("float64")
        if len(values) == 0:
            continue
        total = (weights[:, None] * values).sum(axis=0)
        if kind == "max":
            result[row] = values.max(axis=0)
        elif kind == "sum":
            result[row] = total
        elif kind == "mean" and weights.sum() != 0:
            result[row] = total / weights.sum()
        elif kind == "sqrtn" and (weights**2).sum() != 0:
            result[row] = total / np.sqrt((weights**2).sum())
    return result


X = np.array([[[1.0, 2.0], [3.0, 6.0], [50.0, 60.0]], [[7.0, 8.0], [70.0, 80.0], [90.0, 99.0]]], "float32")
MASK = np.array([[True, True, False], [True, False, False]])


# -- by hand -----------------------------------------------------------------------------------------


def test_mean_of_steps_that_masking_leaves():
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
def test_values_by_hand(kind, expected):
    np.testing.assert_allclose(to_numpy(masked_pool(kind)(X, mask=MASK)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mean", [[(1 + 9) / 4, (2 + 18) / 4], [7, 8]]),
        ("sum", [[10, 20], [14, 16]]),
        ("sqrtn", [[10 / 10**0.5, 20 / 10**0.5], [7, 8]]),
    ],
)
def test_weighted_values_by_hand(kind, expected):
    weights = np.array([[1.0, 3.0, 5.0], [2.0, 5.0, 5.0]], "float32")
    pooled = masked_pool(kind)(X, mask=MASK, weights=weights)
    np.testing.assert_allclose(to_numpy(pooled), expected, rtol=1e-6)


def test_docstring_example():
    assert doctest.testmod(pooling) == doctest.TestResults(failed=0, attempted=4)


# -- padding -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", POOLS)
def test_all_padding_row_gives_zeros(kind, gradients):
    mask = np.array([[True, True, False], [False, False, False]])
    pool = masked_pool(kind)

    assert to_numpy(pool(X, mask=mask))[1].tolist() == [0, 0]
    (gradient,) = gradients(lambda x: pool(x, mask=mask), X)
    assert np.isfinite(gradient).all()
    assert (gradient[1] == 0).all()


@pytest.mark.parametrize("junk", [NAN, INF, -INF, 3e38])
@pytest.mark.parametrize("kind", POOLS)
def test_what_padding_holds_does_not_matter(kind, junk, gradients):
    pool = masked_pool(kind)
    mask = np.array([[True, True, False], [False, False, False]])
    dirty = np.where(mask[:, :, None], X, np.float32(junk))

    assert to_numpy(pool(dirty, mask=mask)).tolist() == to_numpy(pool(X, mask=mask)).tolist()
    (gradient,) = gradients(lambda x: pool(x, mask=mask), dirty)
    assert np.isfinite(gradient).all()
    assert (gradient[~mask] == 0).all()


@pytest.mark.parametrize("kind", ["mean", "sum", "sqrtn"])
def test_weights_of_padding_do_not_matter(kind, gradients):
    pool = masked_pool(kind)
    weights = np.array([[1.0, 2.0, NAN], [1.0, INF, NAN]], "float32")
    clean = np.where(MASK, weights, np.float32(0))

    pooled = pool(X, mask=MASK, weights=weights)

    np.testing.assert_allclose(to_numpy(pooled), reference(kind, X, MASK, clean), rtol=1e-6)
    for gradient in gradients(lambda x, w: pool(x, mask=MASK, weights=w), X, weights):
        assert np.isfinite(gradient).all()
        assert (gradient[~MASK] == 0).all()


@pytest.mark.parametrize("kind", ["mean", "sqrtn"])
def test_weights_of_zero_give_zeros(kind, gradients):
    pool = masked_pool(kind)
    weights = np.zeros((2, 3), "float32")

    assert to_numpy(pool(X, mask=MASK, weights=weights)).tolist() == [[0, 0], [0, 0]]
    for gradient in gradients(lambda x, w: pool(x, mask=MASK, weights=w), X, weights):
        assert (gradient == 0).all()


@pytest.mark.parametrize("kind", POOLS)
def test_empty_axis_gives_zeros(kind):
    x = np.zeros((2, 0, 3), "float32")
    assert to_numpy(masked_pool(kind)(x)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_mean_gradient_is_one_over_count(gradients):
    (gradient,) = gradients(lambda x: MaskedMeanPool()(x, mask=MASK), X)
    assert gradient.tolist() == [[[0.5, 0.5], [0.5, 0.5], [0, 0]], [[1, 1], [0, 0], [0, 0]]]


# -- any bag, against the slow reference -------------------------------------------------------------

NUMBERS = st.floats(-100, 100, width=32)
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 3))


@st.composite
def bags(draw):
    b, t, d = draw(SHAPES)
    x = draw(hnp.arrays("float32", (b, t, d), elements=NUMBERS))
    mask = draw(hnp.arrays(bool, (b, t)))
    w = draw(hnp.arrays("float32", (b, t), elements=st.floats(0.125, 8, width=32)))
    return x, mask, w


@pytest.mark.parametrize("kind", POOLS)
@settings(max_examples=40, deadline=None)
@given(bag=bags(), use_weights=st.booleans())
def test_equals_reference(kind, bag, use_weights):
    x, mask, w = bag
    w = w if use_weights and kind != "max" else None
    pooled = to_numpy(masked_pool(kind)(x, mask=mask, weights=w))
    np.testing.assert_allclose(pooled, reference(kind, x, mask, w), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", POOLS)
@settings(max_examples=20, deadline=None)
@given(bag=bags(), more=st.integers(1, 5), seed=st.integers(0, 99))
def test_longer_padding_and_another_order_change_nothing(kind, bag, more, seed):
    x, mask, _ = bag
    b, t, d = x.shape
    longer = np.concatenate([x, np.full((b, more, d), NAN, "float32")], axis=1)
    longer_mask = np.concatenate([mask, np.zeros((b, more), bool)], axis=1)
    order = np.random.default_rng(seed).permutation(t + more)
    pool = masked_pool(kind)

    pooled = to_numpy(pool(longer[:, order], mask=longer_mask[:, order]))

    np.testing.assert_allclose(pooled, to_numpy(pool(x, mask=mask)), rtol=1e-5, atol=1e-4)


# -- where the mask comes from -----------------------------------------------------------------------


def test_no_mask_is_the_plain_mean():
    np.testing.assert_allclose(to_numpy(MaskedMeanPool()(X)), X.mean(axis=1), rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_mask_of_an_embedding(weighted):
    ids = np.array([[1, 2, 0], [3, 0, 0], [0, 0, 0]])
    embedding = keras.layers.Embedding(4, 2, mask_zero=True)
    weights = np.array([[1, 3, 9], [2, 9, 9], [9, 9, 9]], "float32") if weighted else None

    pooled = to_numpy(MaskedMeanPool()(embedding(ids), weights=weights))

    table = to_numpy(embedding.embeddings)
    np.testing.assert_allclose(pooled, reference("mean", table[ids], ids != 0, weights), rtol=1e-5, atol=1e-7)


def test_explicit_mask_wins_over_the_attached_one():
    x = keras.layers.Masking(mask_value=-1.0)(X)
    explicit = np.array([[False, False, True], [False, True, False]])
    assert to_numpy(MaskedMeanPool()(x, mask=explicit)).tolist() == [[50, 60], [70, 80]]


def test_mask_of_numbers_and_lists():
    assert to_numpy(MaskedMeanPool()(X, mask=[[1, 1, 0], [1, 0, 0]])).tolist() == [[2, 4], [7, 8]]


def test_mask_of_each_number():
    mask = np.array([[[True, False], [True, True], [False, False]]])
    assert to_numpy(MaskedMeanPool()(X[:1], mask=mask)).tolist() == [[2, 6]]


def test_functional_model_with_a_mask_and_weights():
    ids = keras.Input((3,), dtype="int32")
    weights = keras.Input((3,))
    rows = keras.layers.Embedding(5, 2, mask_zero=True, embeddings_initializer="ones")(ids)
    model = keras.Model([ids, weights], MaskedSumPool()(rows, weights=weights))

    pooled = model.predict([np.array([[1, 2, 0]]), np.array([[1.0, 2.0, 4.0]])], verbose=0)

    assert pooled.tolist() == [[3, 3]]


def test_pooled_bag_has_no_mask():
    pooled = MaskedMeanPool()(keras.layers.Masking()(X))
    assert getattr(pooled, "_keras_mask", None) is None


def test_pools_nest():
    ids = np.array([[[1, 2], [3, 0], [0, 0]]])
    rows = keras.layers.Embedding(4, 2, mask_zero=True, embeddings_initializer="ones")(ids)
    lists = MaskedMeanPool(axis=2)(rows)
    assert to_numpy(MaskedMeanPool(axis=1)(lists)).tolist() == [[1, 1]]


# -- axes --------------------------------------------------------------------------------------------


AXES = [0, 1, 2, 3, -1, -2, -3, -4, (1, 2), (2, 3), (-1, 1), (0, 1, 2, 3), [1, 2]]
OUTSIDE = [(3, 3), (-1, 3)]  # Not an axis of the mask: an error, tested below.


@pytest.mark.parametrize(("axis", "mask_rank"), [(a, r) for a in AXES for r in (0, 3, 4) if (a, r) not in OUTSIDE])
def test_any_axis(axis, mask_rank):
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
        ((1, -2), None, "names an axis twice"),
        (2, (2, 3), "lies outside of `mask`"),
        (1, (2,), "lies outside of `mask`"),
        (1, (2, 4), r"expected `mask` with the shape of the leading dimensions.*received \(2, 4\)"),
        (1, (2, 3, 2, 1), "expected `mask` with the shape of the leading dimensions"),
    ],
)
def test_wrong_axis_or_mask_is_named(axis, mask_shape, message):
    mask = None if mask_shape is None else np.ones(mask_shape, bool)
    with pytest.raises(ValueError, match=message):
        MaskedMeanPool(axis=axis)(X, mask=mask)


def test_no_axis_is_an_error():
    with pytest.raises(ValueError, match="at least one axis"):
        MaskedMeanPool(axis=())


def test_wrong_weights_are_named():
    with pytest.raises(ValueError, match="expected `weights` with the shape of the leading dimensions"):
        MaskedMeanPool()(X, weights=np.ones((2, 2), "float32"))
    with pytest.raises(ValueError, match="expected no `weights`"):
        MaskedMaxPool()(X, weights=np.ones((2, 3), "float32"))


def test_unknown_pooling_is_named():
    with pytest.raises(ValueError, match="mean, sum, sqrtn, max; received 'median'"):
        masked_pool("median")


# -- dtypes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["mean", "sqrtn"])
def test_half_precision_sums_in_float32(kind, dtype):
    # 4096 + 1 is 4096 in both, and 4096 · 100 is infinite in float16.
    x = np.full((1, 4096, 1), 64.0, "float32")
    pooled = masked_pool(kind, dtype=dtype)(keras.ops.cast(x, dtype), mask=np.ones((1, 4096), bool))

    assert keras.backend.standardize_dtype(pooled.dtype) == dtype
    expected = {"mean": 64.0, "sqrtn": 4096.0}[kind]
    assert to_numpy(keras.ops.cast(pooled, "float32")).tolist() == [[expected]]


def test_mixed_precision_returns_the_compute_dtype():
    pooled = MaskedMeanPool(dtype="mixed_float16")(X, mask=MASK)
    assert keras.backend.standardize_dtype(pooled.dtype) == "float16"


@pytest.mark.parametrize("kind", POOLS)
def test_integers_are_cast(kind):
    pooled = masked_pool(kind)(X.astype("int32"), mask=MASK)
    assert keras.backend.standardize_dtype(pooled.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(pooled), reference(kind, X, MASK), rtol=1e-6)


# -- as a Keras layer --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("axis", [1, -2, (1, 2)])
def test_serialises(kind, axis):
    layer = masked_pool(kind, axis=axis, name="pool")
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)

    assert config["registered_name"] == f"fieldpool>{type(layer).__name__}"
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(to_numpy(again(X)), to_numpy(layer(X)))


def test_saved_model_gives_the_same_numbers(tmp_path):
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, MaskedMeanPool()(keras.layers.Masking()(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_shape_of_an_unknown_batch_and_length():
    assert MaskedMeanPool()(keras.Input((None, 8))).shape == (None, 8)
    assert MaskedMeanPool(axis=(1, 2))(keras.Input((None, 4, 8))).shape == (None, 8)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="graphs and XLA as TensorFlow has them")
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("kind", POOLS)
def test_tensorflow_graph_and_xla(kind, jit_compile):
    import tensorflow as tf

    pool = masked_pool(kind)
    signature = [tf.TensorSpec([None, None, 2]), tf.TensorSpec([None, None], tf.bool)]
    function = tf.function(lambda x, mask: pool(x, mask=mask), input_signature=signature, jit_compile=jit_compile)
    np.testing.assert_allclose(function(tf.constant(X), tf.constant(MASK)).numpy(), reference(kind, X, MASK), rtol=1e-6)
