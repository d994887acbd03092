"""Features of one row beside features of many: pooled once, with the bits of repeated rows. On every backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.layers.features import Bags, EmbeddedField, Table, checked_row_count, pooled_by_side
from fieldpool.model.layers.pooled_embeddings import PooledEmbeddings

ROWS = 37
TABLES = {"users": Table(rows=9, dim=4), "items": Table(rows=50, dim=16), "words": Table(rows=30, dim=16)}
FIELDS = {
    "history": EmbeddedField(table="items", pooling="mean", weights=None),
    "item": EmbeddedField(table="items", pooling=None, weights=None),
    "user": EmbeddedField(table="users", pooling=None, weights=None),
    "seen": EmbeddedField(table="items", pooling="sqrtn", weights="seconds"),
    "tags": EmbeddedField(table="words", pooling="sum", weights=None),
}
OF_USER = ("history", "user", "seen", "seconds")


def features_of(fields: dict[str, EmbeddedField]) -> dict[str, np.ndarray]:
    """Ids and weights in which those of OF_USER have one row."""
    rng = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for name, field in fields.items():
        rows, ids = 1 if name in OF_USER else ROWS, TABLES[field["table"]]["rows"]
        found[name] = rng.integers(0, ids, rows if field["pooling"] is None else (rows, 21))
        if field["weights"] is not None:
            found[field["weights"]] = rng.random((rows, 21), dtype="float32")
    return found


def layer_of(fields: dict[str, EmbeddedField], **settings: Any) -> PooledEmbeddings:
    layer = PooledEmbeddings(TABLES, fields, dim=16, **settings)
    layer.build()
    for variable in layer.weights:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    return layer


def repeated(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.repeat(x, ROWS, axis=0) if name in OF_USER else x for name, x in features.items()}


def bits(outputs: tuple[Any, ...]) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(output).view("uint32") for output in outputs]


@pytest.mark.parametrize(
    ("without", "settings"),
    [((), {}), ((), {"pairs": True}), (("user",), {"pairs": True}), (("item", "tags", "seen"), {})],
    ids=["projected", "projected pairs", "pairs", "max"],
)
def test_one_row_is_the_row_repeated(without: tuple[str, ...], settings: dict[str, Any]) -> None:
    fields = {name: field for name, field in FIELDS.items() if name not in without}
    if "tags" in without:
        fields |= {"tags": EmbeddedField(table="words", pooling="max", weights=None)}
    layer, features = layer_of(fields, **settings), features_of(fields)
    for found, expected in zip(bits(layer(features)), bits(layer(repeated(features))), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_each_side_is_pooled_once_and_returned_in_the_order_of_the_bags() -> None:
    calls: list[list[str]] = []

    def pool(bags: Any) -> tuple[Any, ...]:
        calls.append([bag.table for bag in bags])
        return keras.ops.stack([keras.ops.cast(bag.ids, "float32") for bag in bags], axis=0), None

    ids = {"a": [[1, 2]], "b": [[3, 4], [5, 6]], "c": [[7, 8]], "d": [[9, 0]]}
    bags = [Bags(keras.ops.array(x), None, "sum", name, rows=9, first=0) for name, x in ids.items()]
    runs, _ = pooled_by_side(pool, bags)
    assert calls == [["a", "c", "d"], ["b"]]
    assert [keras.ops.convert_to_numpy(rows).tolist() for (rows,) in runs] == [
        [[[1, 2]]],
        [[[3, 4], [5, 6]]],
        [[[7, 8]], [[9, 0]]],
    ]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="models are exported on TensorFlow")
@pytest.mark.parametrize("pooling", [None, "mean", "sum", "sqrtn", "max"])
def test_an_export_reads_the_row_of_a_single_value(pooling: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the lookup that it replaces, but zeros of padding may be negative; each pooling of one value gives its row."""
    tables = {"item": "items", "word": "words"}
    fields = {name: EmbeddedField(table=table, pooling=pooling, weights=None) for name, table in tables.items()}
    layer = layer_of(fields, l2=0.1)
    ids = np.array([[3, 0], [0, 0], [49, 29], [1, 1]])
    features = {name: ids[:, [i]] if pooling else ids[:, i] for i, name in enumerate(fields)}
    expected = layer(features)
    layer.in_export = True
    monkeypatch.delattr("fieldpool.model.layers.fused_lookup.lookup_of")
    for found, of_lookup in zip(layer(features), expected, strict=True):
        np.testing.assert_array_equal(found, of_lookup)
    assert np.count_nonzero(expected[0][0, 0])  # A value.
    assert not np.count_nonzero(expected[0][1])  # Padding.


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="models are exported on TensorFlow")
def test_an_export_gives_one_row_and_single_values_the_logits_of_the_row_repeated() -> None:
    """Bit by bit: the repeated row makes all fields go through the lookup, and the single values alone do not."""
    fields = {name: FIELDS[name] for name in ("history", "item")} | {
        "word": EmbeddedField(table="words", pooling=None, weights=None)
    }
    model = DeepFM(
        tables=TABLES, fields=fields, numeric=["price"], embedding_dim=16, hidden_units=[8], l2_embedding=0.1
    )
    features = features_of(fields) | {"price": np.linspace(-2, 2, ROWS, dtype="float32")}
    features["item"][:5] = 0  # Padding.
    model(repeated(features))
    for variable in model.weights:
        if variable.dtype == "float32":
            variable.assign(np.random.default_rng(2).normal(size=variable.shape))
    for layer in model.pooled_layers:
        layer.in_export = True
    found, expected = bits((model(features), model(repeated(features))))
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) == ROWS


def model_and_features(*, exact_fm: bool = False) -> tuple[DeepFM, dict[str, np.ndarray]]:
    """A model of ids, numbers and a vector, and a batch in which all have ROWS rows."""
    fields = {name: FIELDS[name] for name in ("history", "item", "user")}
    options: dict[str, Any] = {"numeric": ["price", "age"], "vectors": {"title": 3}, "exact_fm": exact_fm}
    model = DeepFM(tables=TABLES, fields=fields, embedding_dim=16, hidden_units=[8], **options)
    rng = np.random.default_rng(3)
    features = repeated(features_of(fields)) | {"title": rng.normal(size=(ROWS, 3)).astype("float32")}
    features |= {name: rng.normal(size=ROWS).astype("float32") for name in options["numeric"]}
    model(features)
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    return model, features


ONE_ROW = pytest.mark.parametrize(
    "one_row", [("history", "user"), ("history", "item", "user"), ("price", "history"), ("price", "age"), ("title",)]
)


@ONE_ROW
@pytest.mark.parametrize("exact_fm", [False, True])
def test_a_model_takes_features_of_one_row_for_all_rows(one_row: tuple[str, ...], exact_fm: bool) -> None:
    model, features = model_and_features(exact_fm=exact_fm)
    first = {name: x[:1] if name in one_row else x for name, x in features.items()}
    same = {name: np.repeat(x, ROWS, axis=0) if name in one_row else x for name, x in first.items()}
    found, expected = (keras.ops.convert_to_numpy(model(x)) for x in (first, same))
    assert found.shape == (ROWS, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@ONE_ROW
def test_training_needs_as_many_rows_in_all_features(one_row: tuple[str, ...]) -> None:
    model, features = model_and_features()
    batch = {name: x[:1] if name in one_row else x for name, x in features.items()}
    message = rf"feature ({'|'.join(one_row)}): expected as many rows as the others have in training, received one"
    with pytest.raises(ValueError, match=message):
        model(batch, training=True)


def test_training_a_layer_needs_as_many_rows_in_all_features() -> None:
    with pytest.raises(ValueError, match="feature history: expected as many rows as the others have in training"):
        layer_of(FIELDS)(features_of(FIELDS), training=True)


@pytest.mark.parametrize(("rows", "expected"), [((1, 1), None), ((3, 3), None), ((1, 3), 3), ((3, 1), 3)])
def test_batches_of_one_row_are_like_any_other(rows: tuple[int, int], expected: int | None) -> None:
    features = {name: np.zeros((size, 2)) for name, size in zip("ab", rows, strict=True)}
    found = checked_row_count(features, training=False)
    assert (None if found is None else int(found)) == expected
