"""Pretrained vectors: tables whose vectors are not trained, and tables that start with given vectors.

The linear weights of tokens are trained in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .features import EmbeddedField, Layout, Table, check_features, layer_names, padded_features, rows_of_ids
from .pooled_embeddings import INITIAL_STDDEV, TABLES_PREFIX, PooledEmbeddings
from .pooling import MaskedPool, masked_pool, sum_dtype
from .weights import Tensor, coefficients

if keras.backend.backend() == "tensorflow":
    from . import fused_lookup


def set_vectors(embeddings: PooledEmbeddings, table: str, ids: np.ndarray, vectors: np.ndarray) -> None:
    """Replaces the vectors of some ids, which are then trained like any others.

    Args:
        embeddings: The layer, built.
        table: The name of the table.
        ids: The ids, int `[n]`.
        vectors: Float32 `[n, dim]`.
    """
    variable = embeddings.variables_by_dim[vectors.shape[1]]
    values = ops.convert_to_numpy(variable).copy()
    values[embeddings.layout.first_rows[table] + ids, :-1] = vectors
    variable.assign(values)


@keras.saving.register_keras_serializable(package="fieldpool")
class FrozenEmbeddings(keras.Layer):
    """Embeds and pools fields whose vectors are given and not trained; the outputs are those of `PooledEmbeddings`.

    m_f is the pooled vector of a field, m_f = Σ x·v, where x are the pooling coefficients of its values. If the `dim`
    of a table is not that of the layer, a trained projection without bias follows the pool. The linear weights are
    trained, row by row. The optimizer has no slots for the vectors: a table takes as much memory as its vectors.

    Vectors are zeros until `set_vectors`, and remain zeros for ids that it is not given: tokens without a vector, and
    OOV buckets. Of these, only the linear weight is learned.

    Args:
        tables: Tables by name, in the order in which they are created.
        fields: Fields by name, in the order of the outputs.
        dim: Length of every m_f.
        l2: Factor λ of the penalty λ·Σ w² of the linear weights: on TensorFlow over those that the batch uses, each
            once, on other backends over all. Default 0: no penalty.
        pairs: Whether to return the third output. Default False.
        **kwargs: Arguments of `keras.Layer`.

    Call arguments:
        features: As in `PooledEmbeddings`.

    Returns:
        The vectors m_f, `[batch, fields, dim]`, the linear terms, `[batch, fields]`, and with `pairs` the dot products
        of the pairs of values in each bag, `[batch, fields]`.

    Raises:
        MissingFeatures: if a feature is missing.
        InvalidArgumentError: on TensorFlow, if an id is not in the table of its field; see `PooledEmbeddings`.

    Example:
        >>> fields = {"history": {"table": "movies", "pooling": "mean", "weights": None}}
        >>> layer = FrozenEmbeddings({"movies": {"rows": 4, "dim": 2}}, fields, dim=2)
        >>> layer.build()
        >>> layer.set_vectors("movies", np.array([2, 3]), np.array([[1.0, 2.0], [3.0, 4.0]]))
        >>> vectors, linear = layer({"history": keras.ops.array([[2, 3, 0], [0, 0, 0]])})
        >>> keras.ops.convert_to_numpy(vectors)[:, 0].tolist()
        [[2.0, 3.0], [0.0, 0.0]]
    """

    def __init__(
        self,
        tables: Mapping[str, Table],
        fields: Mapping[str, EmbeddedField],
        dim: int,
        *,
        l2: float = 0.0,
        pairs: bool = False,
        **kwargs: Any,
    ) -> None:
        # No autocast of inputs, so that under a float16 policy weights are not rounded before they are normalised.
        super().__init__(autocast=False, **kwargs)
        self.layout = Layout(tables, fields)
        self.dim, self.l2, self.pairs = dim, l2, pairs
        self.checks_ids = keras.backend.backend() == "tensorflow"  # Not in an export: see `export_model`.
        self.supports_jit = keras.backend.backend() != "tensorflow"  # XLA does not support `unique`.
        self.vectors: dict[str, Any] = {}  # By table.
        self.linear: dict[str, Any] = {}
        self.projections: dict[str, keras.layers.Dense] = {
            table: keras.layers.Dense(dim, use_bias=False, dtype=self.dtype_policy, name=f"{name}_projection")
            for table, name in layer_names(n for n, table in tables.items() if table["dim"] != dim).items()
        }
        dtype = sum_dtype(self.compute_dtype)
        poolings = dict.fromkeys(self.layout.poolings(fields))
        self.pools: dict[str, MaskedPool] = {pooling: masked_pool(pooling, dtype=dtype) for pooling in poolings}

    def build(self, input_shape: Any = None) -> None:
        """Creates the tables; their shapes do not depend on the inputs."""
        for table, name in layer_names(self.layout.tables).items():
            rows, dim = self.layout.tables[table]["rows"], self.layout.tables[table]["dim"]
            self.vectors[table] = self.add_weight(
                name=f"{name}_vectors", shape=(rows, dim), initializer="zeros", trainable=False, autocast=False
            )
            self.linear[table] = self.add_weight(
                name=f"{TABLES_PREFIX}{name}_linear",
                shape=(rows, 1),
                initializer=keras.initializers.RandomNormal(stddev=INITIAL_STDDEV),
                autocast=False,
            )
        for table, projection in self.projections.items():
            projection.build((None, None, self.layout.tables[table]["dim"]))
        self.built = True

    def set_vectors(self, table: str, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Sets the vectors of some ids of a table: int `[n]` and float32 `[n, dim]`."""
        values = ops.convert_to_numpy(self.vectors[table]).copy()
        values[ids] = vectors
        self.vectors[table].assign(values)

    def call(self, features: Mapping[str, Tensor], training: bool | None = None) -> tuple[Tensor, ...]:
        """Returns m_f, `[batch, fields, dim]`, the linear terms and, with `pairs`, the pairs, `[batch, fields]`."""
        outputs, penalty = self.pooled(features, training=training)
        if penalty is not None:
            self.add_loss(penalty)
        return outputs

    def pooled(
        self, features: Mapping[str, Tensor], training: bool | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Returns the outputs of `call`, and the L2 penalty, a scalar, if there is one."""
        check_features(features, self.feature_ranks())
        features = padded_features(features, self.layout.fields)
        if self.checks_ids and not training:
            features = fused_lookup.with_checked_ids(features, self.layout)
        parts: list[tuple[Tensor, ...]] = []
        order: list[str] = []
        penalty = None
        for table in self.layout.tables:
            names = [name for name, field in self.layout.fields.items() if field["table"] == table]
            if not names:
                continue
            outputs, penalized = self._pooled(table, names, features)
            if self.l2:
                of_table = self.l2 * ops.sum(ops.square(penalized))
                penalty = of_table if penalty is None else penalty + of_table
            parts.append(outputs)
            order += names
        positions = [order.index(name) for name in self.layout.fields]
        outputs = tuple(ops.take(ops.concatenate(part, axis=1), positions, axis=1) for part in zip(*parts, strict=True))
        return outputs, penalty

    def compute_output_shape(self, input_shape: Mapping[str, tuple]) -> tuple[tuple, ...]:
        """Returns `[batch, fields, dim]` and `[batch, fields]`, with `pairs` the latter twice."""
        batch = next(iter(input_shape.values()))[0]
        terms = (batch, len(self.layout.fields))
        return ((batch, len(self.layout.fields), self.dim), terms, *([terms] if self.pairs else []))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments for `from_config`."""
        return {
            **super().get_config(),
            "tables": {name: dict(table) for name, table in self.layout.tables.items()},
            "fields": {name: dict(field) for name, field in self.layout.fields.items()},
            "dim": self.dim,
            "l2": self.l2,
            "pairs": self.pairs,
        }

    def feature_ranks(self) -> dict[str, int]:
        """Returns the names of the features that `call` reads, with their ranks."""
        return self.layout.feature_ranks

    def _pooled(
        self, table: str, names: Sequence[str], features: Mapping[str, Tensor]
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Returns the outputs of `call` for the fields of one table, and the linear weights to penalize."""
        bags = []
        for name in names:
            ids = ops.convert_to_tensor(features[name])
            if self.layout.fields[name]["pooling"] is None:  # A single value is a bag of one.
                ids = ops.expand_dims(ids, axis=1)
            rows = self.layout.tables[table]["rows"]
            weights = features[w] if (w := self.layout.fields[name]["weights"]) else None
            bags.append((rows_of_ids(ids, rows, 0, rows), weights))
        pool = self._pooled_fused if keras.backend.backend() == "tensorflow" else self._pooled_dense
        vectors, linear, penalized, squares = pool(table, bags, self.layout.poolings(names))
        m = self._projected(table, ops.cast(vectors, self.compute_dtype))
        if squares is None:
            return (m, linear), penalized
        norms = _squared_norm(m if table in self.projections else vectors)
        # One value has no pairs; the rounding of its two squares could exceed all other terms.
        lengths = ops.stack([ops.sum(ops.cast(rows != 0, "int32"), axis=1) for rows, _ in bags], axis=1)
        return (m, linear, ops.where(lengths > 1, 0.5 * (norms - squares), ops.zeros_like(norms))), penalized

    def _pooled_fused(
        self, table: str, bags: Sequence[tuple[Tensor, Tensor | None]], poolings: Sequence[str]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Returns the pooled vectors and linear weights, the weights that were read, and Σ ‖x·v‖² or None."""

        def square_norms(vectors: Tensor, _: Tensor) -> Tensor:
            return _squared_norm(self._projected(table, vectors))

        rows, weights = zip(*bags, strict=True)
        lookup = fused_lookup.lookup_of(rows, weights, poolings)
        norms = square_norms if self.pairs else None
        vectors, _, *squares = fused_lookup.pooled_rows(self.vectors[table].value, lookup, poolings, norms)
        linear, penalized = fused_lookup.pooled_rows(self.linear[table].value, lookup, poolings)
        return vectors, linear[:, :, 0], penalized, squares[0] if squares else None

    def _pooled_dense(
        self, table: str, bags: Sequence[tuple[Tensor, Tensor | None]], poolings: Sequence[str]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Returns the pooled vectors and linear weights, all weights of the table, and Σ ‖x·v‖² or None."""
        vectors, linear, squares = [], [], []
        for (rows, w), pooling in zip(bags, poolings, strict=True):
            mask, pool = ops.not_equal(rows, 0), self.pools[pooling]
            values = ops.take(self.vectors[table], rows, axis=0)
            vectors.append(pool(values, mask=mask, weights=w))
            linear.append(pool(ops.take(self.linear[table], rows, axis=0), mask=mask, weights=w))
            if self.pairs:
                x = coefficients(pooling, mask, w)
                squares.append(ops.sum(x * x * _squared_norm(self._projected(table, values)), axis=1))
        of_bags = ops.stack(squares, axis=1) if squares else None
        weights_of_table = ops.convert_to_tensor(self.linear[table])
        return ops.stack(vectors, axis=1), ops.stack(linear, axis=1)[:, :, 0], weights_of_table, of_bags

    def _projected(self, table: str, vectors: Tensor) -> Tensor:
        return self.projections[table](vectors) if table in self.projections else vectors


def _squared_norm(vectors: Tensor) -> Tensor:
    return ops.sum(ops.square(ops.cast(vectors, "float32")), axis=-1)
