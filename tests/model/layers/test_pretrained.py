"""Frozen tables: the outputs of learned tables with the same values, and vectors that training does not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.layers.pooled_embeddings import PooledEmbeddings
from fieldpool.model.layers.pretrained import FrozenEmbeddings

TABLES: dict[str, Any] = {"items": {"rows": 7, "dim": 3}, "tags": {"rows": 5, "dim": 2}}
FIELDS: dict[str, Any] = {
    "item": {"table": "items", "pooling": None, "weights": None},
    "tags": {"table": "tags", "pooling": "sqrtn", "weights": None},
    "history": {"table": "items", "pooling": "mean", "weights": "seconds"},
    "liked": {"table": "items", "pooling": "sum", "weights": None},
}
FEATURES = {
    "item": np.array([2, 0, 6]),
    "tags": np.array([[1, 2], [4, 4], [0, 0]]),
    "history": np.array([[3, 4, 0], [0, 0, 0], [6, 6, 1]]),
    "seconds": np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.25, 3.0]], "float32"),
    "liked": np.array([[5], [1], [0]]),
}


def to_numpy(x: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


def layers(dim: int, fields: dict[str, Any], **options: Any) -> tuple[PooledEmbeddings, FrozenEmbeddings]:
    """Returns a learned and a frozen layer with the same vectors, linear weights and projections."""
    learned = PooledEmbeddings(TABLES, fields, dim, **options)
    frozen = FrozenEmbeddings(TABLES, fields, dim, **options)
    random = np.random.default_rng(3)
    for layer in (learned, frozen):
        layer.build()
    for name, variable in learned.variables_by_dim.items():
        variable.assign(random.normal(size=variable.shape))
        table = next(table for table, settings in TABLES.items() if settings["dim"] == name)
        values = to_numpy(variable)
        frozen.set_vectors(table, np.arange(len(values)), values[:, :-1])
        frozen.linear_by_dim[name].assign(values[:, -1:])
    for table, projection in learned.projections.items():
        projection.kernel.assign(random.normal(size=projection.kernel.shape))
        frozen.projections[table].kernel.assign(projection.kernel)
    return learned, frozen


@pytest.mark.parametrize("pairs", [False, True], ids=["plain", "pairs"])
@pytest.mark.parametrize("dim", [2, 3, 4])
def test_outputs_are_those_of_learned_tables_with_the_same_values(dim: int, pairs: bool) -> None:
    learned, frozen = layers(dim, FIELDS, pairs=pairs)
    for expected, found in zip(learned(FEATURES), frozen(FEATURES), strict=True):
        np.testing.assert_allclose(to_numpy(found), to_numpy(expected), rtol=1e-5, atol=1e-6)


def test_maximum_of_a_bag_is_that_of_a_learned_table() -> None:
    learned, frozen = layers(3, {"history": {"table": "items", "pooling": "max", "weights": None}})
    for expected, found in zip(learned(FEATURES), frozen(FEATURES), strict=True):
        np.testing.assert_allclose(to_numpy(found), to_numpy(expected), rtol=1e-5)


def test_penalty_is_that_of_the_linear_weights() -> None:
    fields = {"liked": FIELDS["liked"]}
    frozen = FrozenEmbeddings({"items": TABLES["items"]}, fields, 3, l2=0.5)
    frozen.build()
    frozen.linear_by_dim[3].assign(np.full((7, 1), 2.0))
    frozen({"liked": np.array([[5], [5], [0]])})
    rows = 1 if keras.backend.backend() == "tensorflow" else 7
    assert sum(float(loss) for loss in frozen.losses) == pytest.approx(0.5 * 4 * rows)


def model_of(embedding_dim: int = 3, **settings: Any) -> DeepFM:
    tables = {"items": {**TABLES["items"], "frozen": True}, "tags": TABLES["tags"]}
    model = DeepFM(tables=tables, fields=FIELDS, embedding_dim=embedding_dim, hidden_units=[4], **settings)
    model.build()
    model.set_vectors("items", np.arange(2, 7), np.random.default_rng(1).normal(size=(5, 3)))
    return model


@pytest.mark.parametrize("kind", ["LazyAdam", "RowwiseAdagrad", "Adam"])
@pytest.mark.parametrize("embedding_dim", [3, 4])
def test_training_changes_linear_weights_and_not_one_bit_of_the_vectors(kind: str, embedding_dim: int) -> None:
    from fieldpool.model.training import optimizers

    model = model_of(embedding_dim, l2_embedding=0.1)
    assert model.frozen is not None
    vectors, linear = to_numpy(model.frozen.vectors_by_dim[3]).copy(), to_numpy(model.frozen.linear_by_dim[3]).copy()
    optimizer = getattr(optimizers, kind, None) or getattr(keras.optimizers, kind)
    model.compile(optimizer(0.1), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    model.fit(FEATURES, np.array([1.0, 0.0, 1.0]), batch_size=3, epochs=3, verbose=0)
    np.testing.assert_array_equal(to_numpy(model.frozen.vectors_by_dim[3]), vectors)
    used = [2, 3, 4, 5, 6]
    assert (to_numpy(model.frozen.linear_by_dim[3])[used] != linear[used]).all()


def test_a_model_is_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    model = model_of(4, exact_fm=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(to_numpy(loaded(FEATURES)), to_numpy(model(FEATURES)))
    np.testing.assert_array_equal(to_numpy(loaded.frozen.vectors_by_dim[3]), to_numpy(model.frozen.vectors_by_dim[3]))


def test_vectors_of_a_learned_table_are_set_row_by_row() -> None:
    model = model_of()
    before = to_numpy(model.embeddings.table("tags")).copy()
    model.set_vectors("tags", np.array([4, 2]), np.array([[4.0, 5.0], [2.0, 3.0]]))
    after = to_numpy(model.embeddings.table("tags"))
    np.testing.assert_array_equal(after[[2, 4], :-1], [[2, 3], [4, 5]])
    np.testing.assert_array_equal(after[[0, 1, 3]], before[[0, 1, 3]])
    np.testing.assert_array_equal(after[:, -1], before[:, -1])


def test_ids_without_a_vector_have_zeros() -> None:
    m, _ = model_of().frozen({**FEATURES, "item": np.array([1, 0, 2])})
    assert (to_numpy(m)[:2, 0] == 0).all()
    assert (to_numpy(m)[2, 0] != 0).all()


def test_an_id_that_is_not_in_the_table_is_an_error_that_names_the_field() -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends raise their own error, or give NaN")
    with pytest.raises(Exception, match="field liked: expected ids from 0 to 6"):
        model_of()({**FEATURES, "liked": np.array([[7], [1], [0]])})
