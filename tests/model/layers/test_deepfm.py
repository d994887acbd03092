from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fieldpool.model.from_spec import deepfm
from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.layers.factorisation import factorisation_machine
from fieldpool.model.layers.features import MissingFeatures
from fieldpool.model.layers.pooled_embeddings import PooledEmbeddings
from fieldpool.transforms.spec import Spec

SPEC = Spec.model_validate(
    {
        "label": {"field": "label"},
        "split": {"column": "split"},
        "vocabularies": {"items": {}},
        "fields": {
            "item_id": {"type": "categorical", "vocabulary": "items"},
            "history": {"type": "multivalued", "vocabulary": "items", "max_len": 3},
            "genres": {"type": "multivalued", "max_len": 2, "weights": "w", "pooling": "sqrtn", "dim": 3},
            "age": {"type": "numeric"},
            "price": {"type": "numeric", "scale": {"quantiles": 4}},
        },
        "model": {"embedding_dim": 2, "hidden_units": [4, 3], "dropout": 0.0},
    }
)
SIZES = {"items": 7, "genres": 5}
FEATURES = {
    "item_id": np.array([2, 0, 6]),
    "history": np.array([[3, 4, 0], [0, 0, 0], [6, 6, 1]]),
    "genres": np.array([[1, 2], [4, 0], [0, 0]]),
    "genres_weights": np.array([[1.0, 2.0], [0.5, 0.0], [0.0, 0.0]], "float32"),
    "age": np.array([0.5, -1.0, 0.0], "float32"),
    "price": np.array([1, 0, 4]),
}


def to_numpy(x: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


def with_large_weights(model: DeepFM) -> DeepFM:
    """Initial weights are almost 0; larger ones make every term of the logit matter."""
    random = np.random.default_rng(7)
    model.set_weights([random.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    return model


def test_factorisation_machine_by_hand() -> None:
    # Dot products of the pairs: (1,2)·(3,4) = 11, (1,2)·(5,6) = 17, (3,4)·(5,6) = 39.
    m = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]], "float32")
    assert to_numpy(factorisation_machine(list(np.moveaxis(m, 1, 0)))).tolist() == [67.0]


def test_logit_by_hand() -> None:
    model = DeepFM(
        tables={"items": {"rows": 3, "dim": 2}},
        fields={
            "item": {"table": "items", "pooling": None, "weights": None},
            "seen": {"table": "items", "pooling": "mean", "weights": None},
        },
        numeric=["x"],
        embedding_dim=2,
        hidden_units=[],
    )
    model.build()
    model.embeddings.variables_by_dim[2].assign([[9, 9, 9], [1, 2, 10], [3, 4, 20]])
    model.bias.assign([0.5])
    model.numeric_vectors.assign([[1, -1]])
    model.numeric_linear.assign([3])

    logit = model({"item": np.array([1]), "seen": np.array([[1, 2, 0]]), "x": np.array([2.0])})

    # m: (1,2), ((1,2)+(3,4))/2 = (2,3), 2·(1,-1) = (2,-2). Pairs: 8, -2, -2. Linear: 10 + 15 + 6.
    assert to_numpy(logit).tolist() == [[0.5 + 31 + 4]]


def test_fields_of_one_vocabulary_share_its_table() -> None:
    model = deepfm(SPEC, SIZES)
    assert {name: tuple(model.embeddings.table(name).shape) for name in model.embeddings.layout.tables} == {
        "items": (7, 3),
        "genres": (5, 4),
        "price:buckets": (5, 3),
    }
    same_item = {**FEATURES, "item_id": np.array([5]), "history": np.array([[5, 0, 0]])}
    row = {name: values[:1] for name, values in same_item.items()}
    m, _ = model.fields_of(row)
    np.testing.assert_array_equal(to_numpy(m)[0, 0], to_numpy(m)[0, 1])


def test_id_zero_contributes_nothing() -> None:
    model = with_large_weights(deepfm(SPEC, SIZES))
    empty = {name: np.zeros_like(values) for name, values in FEATURES.items()}
    m, linear = model.fields_of(empty)
    assert not to_numpy(m).any()
    assert not to_numpy(linear).any()


def test_length_of_padding_does_not_change_the_logit() -> None:
    model = with_large_weights(deepfm(SPEC, SIZES))
    longer = {**FEATURES, "history": np.pad(FEATURES["history"], ((0, 0), (0, 4)))}
    np.testing.assert_allclose(to_numpy(model(longer)), to_numpy(model(FEATURES)), rtol=1e-5)


def test_missing_features_are_named() -> None:
    features = {name: FEATURES[name] for name in ("item_id", "history", "age", "price")}
    with pytest.raises(MissingFeatures, match="missing: genres, genres_weights; received: item_id"):
        deepfm(SPEC, SIZES)(features)


def test_wrong_rank_is_named() -> None:
    with pytest.raises(ValueError, match=r"feature history: expected the shape \[batch, max_len\]"):
        deepfm(SPEC, SIZES)({**FEATURES, "history": np.array([1, 2, 3])})


def test_other_features_are_ignored() -> None:
    model = with_large_weights(deepfm(SPEC, SIZES))
    more = {**FEATURES, "other": np.zeros((3, 9), "float32")}
    np.testing.assert_array_equal(to_numpy(model(more)), to_numpy(model(FEATURES)))


@pytest.mark.parametrize(
    ("tables", "names"),
    [
        (["genres"], ["genres_projection"]),
        (["price:buckets"], ["price_buckets_projection"]),
        (["price_buckets", "price:buckets"], ["price_buckets_projection", "price_buckets__projection"]),
        (["a:b", "a/b", "a_b"], ["a_b__projection", "a_b___projection", "a_b_projection"]),
    ],
)
def test_projections_are_named_after_their_tables(tables: list[str], names: list[str]) -> None:
    layer = PooledEmbeddings({name: {"rows": 3, "dim": 2} for name in tables}, {}, 4)
    assert [projection.name for projection in layer.projections.values()] == names


def test_each_weight_has_its_own_path() -> None:
    """A vocabulary may have the layer name of another field's table of quantile buckets, `price_buckets`."""
    fields = {
        "price_buckets": {"type": "categorical", "dim": 3},
        "price": {"type": "numeric", "scale": {"quantiles": 4}, "dim": 5},
    }
    spec = Spec.model_validate({"label": {"field": "label"}, "split": {"column": "split"}, "fields": fields})
    paths = [weight.path for weight in deepfm(spec, {"price_buckets": 6}).weights]
    assert len(set(paths)) == len(paths)


def test_missing_vocabulary_size_is_named() -> None:
    with pytest.raises(ValueError, match="missing: genres"):
        deepfm(SPEC, {"items": 7})


def test_model_without_fields_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one of `fields`, `numeric` and `vectors`"):
        DeepFM(tables={}, fields={})


def test_unknown_table_is_named() -> None:
    with pytest.raises(ValueError, match=r"field a: expected the name of a table \(items\), received 'gone'"):
        PooledEmbeddings(
            {"items": {"rows": 3, "dim": 2}}, {"a": {"table": "gone", "pooling": None, "weights": None}}, 2
        )


def test_model_of_numeric_fields_only() -> None:
    model = DeepFM(tables={}, fields={}, numeric=["x", "y"], embedding_dim=2, hidden_units=[3])
    logit = model({"x": np.array([1.0, 2.0]), "y": np.array([0.0, 1.0])})
    assert tuple(logit.shape) == (2, 1)


def test_l2_penalizes_the_rows_of_the_batch() -> None:
    model = DeepFM(
        tables={"t": {"rows": 4, "dim": 1}},
        fields={"a": {"table": "t", "pooling": "mean", "weights": None}},
        numeric=["x"],
        embedding_dim=1,
        hidden_units=[1],
        l2_embedding=0.5,
        l2_hidden=0.25,
    )
    model.build()
    model.set_weights([np.ones(w.shape) for w in model.get_weights()])
    model({"a": np.array([[1, 3], [3, 0]]), "x": np.array([1.0, 1.0])})
    rows = 2 if keras.backend.backend() == "tensorflow" else 4
    # Embedding and linear weight of each row, v and w of the number; kernels of 2 × 1 and 1 × 1.
    assert sum(float(loss) for loss in model.losses) == pytest.approx(0.5 * (2 * rows + 2) + 0.25 * (2 + 1))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_model_is_the_same_after_saving_and_loading(tmp_path: Path, batch_norm: bool) -> None:
    settings = SPEC.model.model_copy(update={"batch_norm": batch_norm, "dropout": 0.3, "l2_hidden": 1e-3})
    model = with_large_weights(deepfm(SPEC.model_copy(update={"model": settings}), SIZES))
    assert DeepFM.from_config(model.get_config()).get_config() == model.get_config()

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)

    np.testing.assert_array_equal(to_numpy(loaded(FEATURES)), to_numpy(model(FEATURES)))


def test_the_offset_is_added_except_in_training(tmp_path: Path) -> None:
    plain, shifted = deepfm(SPEC, SIZES), with_large_weights(deepfm(SPEC, SIZES, logit_offset=-2.5))
    plain.set_weights(shifted.get_weights())
    logit = to_numpy(plain(FEATURES))
    np.testing.assert_array_equal(to_numpy(shifted(FEATURES, training=True)), logit)
    np.testing.assert_array_equal(to_numpy(shifted(FEATURES)), logit + np.float32(-2.5))
    shifted.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(to_numpy(loaded(FEATURES)), logit + np.float32(-2.5))


def test_without_an_offset_earlier_versions_can_load_the_model() -> None:
    assert "logit_offset" not in deepfm(SPEC, SIZES).get_config()


def test_loss_decreases_in_training() -> None:
    keras.utils.set_random_seed(1)
    model = deepfm(SPEC, SIZES)
    model.compile(
        optimizer=keras.optimizers.Adam(0.05),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=keras.backend.backend() == "jax",
    )
    features = {name: np.tile(v, (20,) + (1,) * (v.ndim - 1)) for name, v in FEATURES.items()}
    labels = np.tile(np.array([1.0, 0.0, 1.0], "float32"), 20)
    history = model.fit(features, labels, batch_size=20, epochs=10, verbose=0)
    assert history.history["loss"][-1] < 0.1 < history.history["loss"][0]


def test_sample_weights_scale_the_loss_of_rows() -> None:
    model = with_large_weights(deepfm(SPEC, SIZES))
    model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    labels, first = np.array([1.0, 0.0, 1.0]), np.array([3.0, 0.0, 0.0])
    logit = to_numpy(model(FEATURES))[0, 0]
    penalty = sum(float(x) for x in model.losses)
    loss = model.evaluate(FEATURES, labels, sample_weight=first, verbose=0)
    assert loss == pytest.approx(np.log1p(np.exp(-logit)) + penalty, rel=1e-3)


def test_logit_is_float32_in_mixed_precision() -> None:
    model = with_large_weights(deepfm(SPEC, SIZES))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        narrow = deepfm(SPEC, SIZES)
        narrow.set_weights(model.get_weights())
        logit = narrow(FEATURES)
    finally:
        keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(logit.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(logit), to_numpy(model(FEATURES)), rtol=0.1, atol=0.2)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends have no graphs")
def test_factorisation_machine_rounds_the_same_in_a_graph_as_eagerly() -> None:
    """TensorFlow's graph optimizer must not find additions to reorder; see `sum_of`.

    It found some only in models with an L2 penalty and a number.
    """
    import tensorflow as tf

    random = np.random.default_rng(0)
    fields = {name: {"table": name, "pooling": "mean", "weights": None} for name in ("a", "b", "c", "d")}
    tables = {name: {"rows": 9, "dim": 8} for name in fields}
    model = DeepFM(tables=tables, fields=fields, numeric=["x"], embedding_dim=8, l2_embedding=1e-5)
    features = {name: tf.constant(random.integers(0, 9, (500, 3))) for name in fields}
    features["x"] = tf.constant(random.normal(size=500).astype("float32"))
    model(features)
    with_large_weights(model)
    shapes = [{name: tf.TensorSpec([None, *x.shape[1:]], x.dtype) for name, x in features.items()}]
    graph = tf.function(lambda x: model.terms(model.looked_up(x)[0]).fm, input_signature=shapes)
    np.testing.assert_array_equal(graph(features), model.terms(model.looked_up(features)[0]).fm)
