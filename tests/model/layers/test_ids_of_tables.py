"""Tables of one `dim` are in one variable: an id that is not in its own table must not read a row of another one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fieldpool.model.layers.features import EmbeddedField, Table
from fieldpool.model.layers.pooled_embeddings import PooledEmbeddings

TABLES = {"t": Table(rows=4, dim=2), "u": Table(rows=40, dim=2), "wide": Table(rows=40, dim=3)}
FIELDS = {
    "one": EmbeddedField(table="t", pooling=None, weights=None),
    "list": EmbeddedField(table="u", pooling="mean", weights=None),
    "other": EmbeddedField(table="wide", pooling="sum", weights=None),
}
# For each field an id beyond its table, although not beyond the variable, and ids that a cast would make valid.
BEYOND = [("one", 4), ("one", 10), ("one", -1), ("one", 2**32 + 1), ("list", 40), ("list", -1), ("other", 40)]


def batch(**ids: int) -> dict[str, Any]:
    """Returns three rows of valid ids, the largest ones among them, with the given ids in the second row."""
    features = {"one": [0, 1, 3], "list": [[0, 0], [1, 0], [39, 1]], "other": [[1], [0], [39]]}
    for name, value in ids.items():
        features[name][1] = value if name == "one" else [value, *features[name][1][1:]]
    dtype = "int64" if keras.backend.backend() == "tensorflow" else "int32"
    return {name: keras.ops.convert_to_tensor(np.array(rows), dtype) for name, rows in features.items()}


@pytest.fixture(scope="module")
def layer() -> PooledEmbeddings:
    layer = PooledEmbeddings(TABLES, FIELDS, 2)
    layer.build()
    return layer


def read(layer: PooledEmbeddings, features: dict[str, Any], training: bool | None) -> np.ndarray:
    return keras.ops.convert_to_numpy(layer(features, training=training)[0])


@pytest.mark.parametrize("training", [True, False, None])
def test_ids_of_a_table_are_read(layer: PooledEmbeddings, training: bool | None) -> None:
    assert np.isfinite(read(layer, batch(), training)).all()


@pytest.mark.parametrize(("training", "repeats"), [(False, 1), (True, 1), (True, 20)])
@pytest.mark.parametrize(("field", "value"), BEYOND)
def test_ids_beyond_their_table_read_nothing(
    layer: PooledEmbeddings, field: str, value: int, training: bool, repeats: int
) -> None:
    """TensorFlow (on a CPU) and PyTorch raise their own error; JAX, which cannot raise, gives NaN.

    The batch is repeated because TensorFlow looks up large batches in training in another way.
    """
    if value > 2**31 and keras.backend.backend() != "tensorflow":
        pytest.skip("ids are int32")
    features = {name: keras.ops.repeat(x, repeats, axis=0) for name, x in batch(**{field: value}).items()}
    if keras.backend.backend() == "jax":
        assert np.isnan(read(layer, features, training)[repeats]).any()
        return
    with pytest.raises(Exception, match=r"is not in \[0|out of range|expected ids"):
        read(layer, features, training)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends cannot raise in a graph")
@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize(("field", "value"), BEYOND)
def test_error_outside_training_names_the_field(
    layer: PooledEmbeddings, field: str, value: int, in_graph: bool
) -> None:
    import tensorflow as tf

    call = tf.function(layer) if in_graph else layer
    last = TABLES[FIELDS[field]["table"]]["rows"] - 1
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=rf"(?s)field {field}: expected ids from 0 to {last}.*{value}"
    ):
        call(batch(**{field: value}), training=False)
