"""Pooled embeddings: the lookups and the pooling of all fields.

From the ids of each field it computes one vector m_f and one linear term per field. Fields that share a vocabulary
share its table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from .factorisation import FieldTerms, squared_norm, stacked, terms_by_field
from .features import (
    Bags,
    EmbeddedField,
    Layout,
    Pooled,
    Table,
    are_single,
    check_features,
    checked_row_count,
    in_all_rows,
    layer_names,
    padded_features,
    pooled_by_side,
    row_count,
    rows_of_ids,
    single_rows,
)
from .pooling import MaskedPool, masked_pool, sum_dtype
from .weights import Tensor, coefficients

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
if TYPE_CHECKING or ON_TENSORFLOW:
    from . import fused_lookup

# As in DeepCTR. Rows that no training example uses, often those of OOV buckets, keep their initial value, so this
# should be close to 0. The size of Adam's steps does not depend on it.
INITIAL_STDDEV = 1e-4

# Prefix of the names of the variables that hold the tables; `RowwiseAdagrad` recognises tables by it.
TABLES_PREFIX = "tables_"


@keras.saving.register_keras_serializable(package="fieldpool")
class PooledEmbeddings(keras.Layer):
    """Embeds and pools all fields: the same as `Embedding(mask_zero=True)` and a masked pool for each field.

    A row of a table has `dim` numbers of the embedding and, last, one linear weight, so that one lookup reads both; the
    linear term is pooled like the vector. Id 0 is padding: a bag of zeros or a single value 0 gives m_f = 0 and a
    linear term of 0, and never changes the table. If the `dim` of a table is not that of the layer, a projection
    without bias follows the pool.

    Tables of the same `dim` are concatenated in one variable. On TensorFlow all their fields are looked up and pooled
    at once, without a `[batch, max_len, dim]` tensor (`fused_lookup`). The results are the same.

    Args:
        tables: Tables by name, in the order in which they are created.
        fields: Fields by name, in the order of the outputs.
        dim: Length of every m_f.
        l2: Factor λ of the penalty λ·Σ row²: on TensorFlow over the rows that the batch uses, each once, so that the
            time of a step does not grow with the tables; on other backends over all rows. Default 0: no penalty.
        pairs: Whether to return the third output, which an exact FM needs. Default False, which is a little faster.
        **kwargs: Arguments of `keras.Layer`.

    Call arguments:
        features: For each field its ids, int `[batch]` or `[batch, max_len]`; for each weighted field also its weights,
            float `[batch, max_len]`. On TensorFlow both may be ragged. Outside training, features with one row beside
            others with more hold for all rows: on TensorFlow they are looked up and pooled once.

    Returns:
        The vectors m_f, `[batch, fields, dim]`, and the linear terms, `[batch, fields]`. With `pairs` also the sum of
        the dot products of all pairs of values in each bag, ½(‖m_f‖² − Σ ‖x·v‖²), `[batch, fields]`, where
        m_f = Σ x·v: v is the vector of a value, x its pooling coefficient. Only m_f has the compute dtype: weights,
        sums, linear terms and pairs are float32 under mixed precision, too.

    Raises:
        ValueError: for an unknown table or pooling; for `pairs` with max pooling; in training, if their rows differ.
        MissingFeatures: if a feature is missing.
        InvalidArgumentError: on TensorFlow, if an id is not in the table of its field. Other backends raise their own
            error, or, under JAX, give NaN: a row of another table is never read.

    Example:
        >>> fields = {"history": {"table": "movies", "pooling": "mean", "weights": None}}
        >>> layer = PooledEmbeddings({"movies": {"rows": 100, "dim": 16}}, fields, dim=16)
        >>> vectors, linear = layer({"history": keras.ops.array([[5, 7, 0], [0, 0, 0]])})
        >>> tuple(vectors.shape), tuple(linear.shape)
        ((2, 1, 16), (2, 1))
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
        for name, field in fields.items():
            if pairs and field["pooling"] == "max":
                raise ValueError(f"field {name}: expected a pooling of mean, sum or sqrtn with `pairs`; received max")
        self.layout = Layout(tables, fields)
        self.dim, self.l2, self.pairs = dim, l2, pairs
        self.in_export = False  # Set by `export_model`: all ids are in their tables, and there is no loss.
        self.supports_jit = not ON_TENSORFLOW  # XLA does not support `unique`.
        self.variables_by_dim: dict[int, Any] = {}
        # By table. Saved models find their weights by the name and the order of this attribute.
        self.projections: dict[str, keras.layers.Dense] = {
            table: keras.layers.Dense(dim, use_bias=False, dtype=self.dtype_policy, name=f"{name}_projection")
            for table, name in layer_names(n for n, table in tables.items() if table["dim"] != dim).items()
        }
        poolings, dtype = dict.fromkeys(self.layout.poolings(fields)), sum_dtype(self.compute_dtype)
        self.pools: dict[str, MaskedPool] = {pooling: masked_pool(pooling, dtype=dtype) for pooling in poolings}

    def build(self, input_shape: Any = None) -> None:
        """Creates the tables; their shapes do not depend on the inputs."""
        for dim, rows in self.layout.rows_by_dim.items():
            self.variables_by_dim[dim] = self.add_weight(
                name=f"{TABLES_PREFIX}{dim}",
                shape=(rows, dim + 1),
                initializer=keras.initializers.RandomNormal(stddev=INITIAL_STDDEV),
                autocast=False,  # Autocast would cast all rows, although a batch uses few.
            )
        self._build_projections()

    def _build_projections(self) -> None:
        for name, projection in self.projections.items():
            projection.build((None, self.layout.tables[name]["dim"]))
        self.built = True

    def call(self, features: Mapping[str, Tensor], training: bool | None = None) -> tuple[Tensor, ...]:
        """Returns m_f, `[batch, fields, dim]`, the linear terms and, with `pairs`, the pairs, `[batch, fields]`."""
        pooled, penalty = self.pooled(features, training=training)
        if penalty is not None:
            self.add_loss(penalty)
        return stacked(self.terms(pooled))

    def pooled(
        self, features: Mapping[str, Tensor], training: bool | None = None
    ) -> tuple[list[Pooled], Tensor | None]:
        """Looks up and pools the rows of all fields: the first part of `call`, and the only one that needs the tables.

        Args:
            features: Those of `call`.
            training: Whether to look up large batches faster, and not to check the ids: see `fused_lookup.lookup_of`.

        Returns:
            The pooled rows, in parts for successive fields of `layout.names_by_dim`; the L2 penalty, a scalar, or None.
        """
        check_features(features, self.feature_ranks())
        features = padded_features(features, self.layout.fields)
        if ON_TENSORFLOW and not (training or self.in_export):
            features = fused_lookup.with_checked_ids(features, self.layout)
        batch = checked_row_count(features, training)
        if (self.pairs and self.projections) or not ON_TENSORFLOW:  # There rows round by how many they are.
            features = {name: in_all_rows(x, batch) for name, x in features.items()}
        pool = partial(self._pooled_fused, in_groups=bool(training)) if ON_TENSORFLOW else self._pooled_dense
        results: list[Pooled] = []
        penalties = []
        for dim, names in self.layout.names_by_dim.items():
            runs, penalized = pooled_by_side(partial(pool, dim), [self.layout.bags(name, features) for name in names])
            if self.l2 and not self.in_export:
                penalties.append(self.l2 * ops.sum(ops.square(penalized)))
            results += [Pooled(*run) for run in runs]
        return results, sum(penalties) if penalties else None

    def terms(self, pooled: Sequence[Pooled]) -> list[FieldTerms]:
        """Returns the terms of each field from the result of `pooled`: the second part of `call`."""
        batch = row_count([part.rows for part in pooled], axis=1)
        names = iter(name for names in self.layout.names_by_dim.values() for name in names)
        of_fields: dict[str, FieldTerms] = {}
        for part in pooled:
            of_part = list(islice(names, part.rows.shape[0]))
            of_fields |= zip(of_part, self._terms(of_part, part, batch), strict=True)
        return [of_fields[name] for name in self.layout.fields]

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

    def table(self, name: str) -> Tensor:
        """Returns a table, `[rows, dim + 1]`: the embeddings and, in the last column, the linear weights."""
        settings, first = self.layout.tables[name], self.layout.first_rows[name]
        return self._rows(settings["dim"], np.arange(first, first + settings["rows"]))

    def feature_ranks(self) -> dict[str, int]:
        """Returns the names of the features that `call` reads, with their ranks."""
        return self.layout.feature_ranks

    def set_vectors(self, table: str, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Sets the vectors of some ids of a table, int `[n]` and float32 `[n, dim]`: pretrained ones, for example."""
        variable = self._vectors(vectors.shape[1])
        values = ops.convert_to_numpy(variable).copy()
        values[self.layout.first_rows[table] + ids, : vectors.shape[1]] = vectors
        variable.assign(values)

    def _vectors(self, dim: int) -> Any:
        """Returns the variable that has the vectors of the tables of this `dim`."""
        return self.variables_by_dim[dim]

    def _rows(self, dim: int, positions: Tensor) -> Tensor:
        """Returns the rows at some positions, `[…]`, of the tables of this `dim`: `[…, dim + 1]`."""
        return gathered(self.variables_by_dim[dim], positions)

    def _penalized(self, dim: int, rows_read: Tensor = None) -> Tensor:
        """Returns the numbers to penalize: of the rows that were read, or of all rows."""
        return ops.convert_to_tensor(self.variables_by_dim[dim]) if rows_read is None else rows_read

    def _pooled_fused(self, dim: int, bags: Sequence[Bags], *, in_groups: bool) -> tuple[Tensor, ...]:
        """Returns the pooled rows, `[len(bags), batch, dim + 1]`, the numbers to penalize, and terms of `Pooled`."""
        if self.in_export and not self.pairs and are_single(bags):
            return single_rows(bags, partial(self._rows, dim)), None
        lookup = fused_lookup.lookup_of(bags, self.layout.rows_by_dim[dim], in_groups=in_groups)
        rows_read = self._rows(dim, lookup.ids_read)  # Each once, so that a penalty has a sparse gradient.
        square_norms = self._square_norms_of(dim) if self.pairs else None
        pooled, *terms = fused_lookup.pooled_rows(rows_read, lookup, [bag.pooling for bag in bags], square_norms)
        return pooled, self._penalized(dim, rows_read), *terms

    def _pooled_dense(self, dim: int, bags: Sequence[Bags]) -> tuple[Tensor, ...]:
        """Returns the same as `_pooled_fused`, but the numbers to penalize are those of all rows."""
        pooled, squares, lengths = [], [], []
        for bag in bags:
            mask = ops.not_equal(bag.ids, 0)
            values = self._rows(dim, rows_of_ids(bag.ids, bag.rows, bag.first, self.layout.rows_by_dim[dim]))
            pooled.append(self.pools[bag.pooling](values, mask=mask, weights=bag.weights))
            if self.pairs:
                x = coefficients(bag.pooling, mask, bag.weights)
                squares.append(ops.sum(x * x * self._square_norms(bag.table, values[:, :, :-1]), axis=1))
                lengths.append(ops.sum(ops.cast(mask, "int32"), axis=1))
        rows, *terms = (ops.stack(x, axis=0) for x in (pooled, squares, lengths) if x)
        return rows, self._penalized(dim), *terms

    def _terms(self, names: Sequence[str], pooled: Pooled, batch: Tensor | None) -> list[FieldTerms]:
        """Returns the terms of some fields whose tables have the same `dim`."""
        is_projected = pooled.rows.shape[2] != self.dim + 1
        if self.pairs or is_projected:  # Norms and projections may round by how many rows there are.
            pooled = Pooled(*(x if x is None else in_all_rows(x, batch, axis=1) for x in pooled))
        vectors, linear = pooled.rows[:, :, :-1], pooled.rows[:, :, -1]
        m = ops.unstack(ops.cast(vectors, self.compute_dtype), axis=0)
        if is_projected:
            m = [self.projections[self.layout.fields[name]["table"]](x) for name, x in zip(names, m, strict=True)]
        if not self.pairs:
            return terms_by_field(m, linear)
        norms = squared_norm(ops.stack(m, axis=0) if is_projected else vectors)
        # One value has no pairs; the rounding of its two squares could exceed all other terms.
        pairs = ops.where(pooled.lengths > 1, 0.5 * (norms - pooled.squares), ops.zeros_like(norms))
        return terms_by_field(m, linear, pairs)

    def _square_norms(self, table: str, vectors: Tensor) -> Tensor:
        """Returns ‖v‖² along the last axis, for vectors v of a table after their projection to the layer's `dim`."""
        return squared_norm(self.projections[table](vectors) if table in self.projections else vectors)

    def _square_norms_of(self, dim: int) -> Callable[[Tensor, Tensor], Tensor]:
        """Returns the function from rows of the variable, and their positions in it, to ‖v‖², `[rows]`."""

        def square_norms(rows: Tensor, positions: Tensor) -> Tensor:
            vectors = rows[:, :-1]
            if dim == self.dim:
                return squared_norm(vectors)
            result = ops.zeros_like(vectors[:, 0])
            for table, settings in self.layout.tables.items():
                if settings["dim"] == dim:
                    first = self.layout.first_rows[table]
                    in_table = ops.logical_and(positions >= first, positions < first + settings["rows"])
                    result = ops.where(in_table, self._square_norms(table, vectors), result)
            return result

        return square_norms


def gathered(variable: Any, positions: Tensor) -> Tensor:
    """Returns rows of a variable; on TensorFlow their gradient is sparse."""
    return fused_lookup.gathered(variable.value, positions) if ON_TENSORFLOW else ops.take(variable, positions, axis=0)
