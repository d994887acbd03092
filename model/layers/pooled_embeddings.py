"""Pooled embeddings: the lookups and the pooling of all fields.

Ids of each field go in; per field one vector m_f and one linear term come out. Fields that share a
vocabulary share its table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import keras
from keras import ops

from .features import EmbeddedField, Table, check_features
from .pooling import MaskedPool, Tensor, coefficients, masked_pool

# DeepCTR's choice, and for a reason: the row of a token that train never saw, an OOV bucket often, keeps
# its first value, and that should be next to nothing. Adam's steps do not depend on the scale.
INITIAL_STDDEV = 1e-4

# What the names of the variables with the tables begin with; by it `RowwiseAdagrad` knows them.
TABLES_PREFIX = "tables_"


class _Bags(NamedTuple):
    """What `call` has of one field.

    Attributes:
        rows: Of its values in the variable with its table, int32 `[batch, max_len]`; 0 is padding.
        weights: Of its values, `[batch, max_len]`, or None.
        pooling: mean, sum, sqrtn or max.
        table: The name of its table.
    """

    rows: Tensor
    weights: Tensor | None
    pooling: str
    table: str


@keras.saving.register_keras_serializable(package="fieldpool")
class PooledEmbeddings(keras.Layer):
    """Embeds and pools all fields: `Embedding(mask_zero=True)`, then a masked pool, field by field.

    A table's row holds `dim` numbers of the embedding and, last, one linear weight, so that one lookup
    serves both; the linear term is pooled like the vector. Id 0 is padding: a bag of zeros, and a single
    value 0, give m_f = 0 and a linear term of 0, and never change the table. Where a table's `dim` is not
    the layer's, a bias-free projection follows the pool.

    Tables of one `dim` lie side by side in one variable, and on TensorFlow all their fields are looked up and pooled
    at once, without a tensor of the bags' length (`fused_lookup`). The numbers are the same.

    keras-rs has `EmbedReduce` for a lookup with a combiner, and `DistributedEmbedding` for such lookups of many
    features; `EmbedReduce(mask_zero=True)` counts the padding of a list among its values, so its means differ.

    Args:
        tables: Tables by name, in the order in which they are made.
        fields: Fields by name; their order is the order of the outputs.
        dim: Length of every m_f.
        l2: Factor λ of λ·Σ row², on TensorFlow over the rows that the batch used, each once, so that a step's cost
            does not grow with the tables; on other backends over all rows. Default 0: none.
        squares: Whether to return the third output, what an exact FM needs. Default False: it costs a little.
        **kwargs: As of `keras.Layer`.

    Call arguments:
        features: For each field its ids; for each weighted field its weights, float `[batch, max_len]`.

    Returns:
        The vectors m_f, `[batch, fields, dim]`, and the linear terms, `[batch, fields]`. With `squares` also
        Σ ‖x·v‖², `[batch, fields]`, over a field's values, where m_f = Σ x·v: v is a value's vector, x its coefficient
        in the pool.

    Raises:
        ValueError: if a field names a table that is not there, or an unknown pooling; for `squares` with max pooling.
        MissingFeatures: if a feature is not there.
    """

    def __init__(
        self,
        tables: Mapping[str, Table],
        fields: Mapping[str, EmbeddedField],
        dim: int,
        *,
        l2: float = 0.0,
        squares: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, field in fields.items():
            if squares and field["pooling"] == "max":
                raise ValueError(f"field {name}: expected a pooling of mean, sum or sqrtn with `squares`; received max")
            if field["table"] not in tables:
                raise ValueError(
                    f"field {name}: expected a table of {', '.join(tables) or 'none'}; received {field['table']!r}"
                )
        self.table_settings: dict[str, Table] = {name: Table(**table) for name, table in tables.items()}
        self.fields: dict[str, EmbeddedField] = {n: EmbeddedField(**field) for n, field in fields.items()}
        self.dim = dim
        self.l2 = l2
        self.squares = squares
        # XLA knows no `unique`.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self.variables_by_dim: dict[int, Any] = {}
        # By table. Saved models find their weights by this attribute's name and by its order.
        self.projections: dict[str, keras.layers.Dense] = {
            table: keras.layers.Dense(dim, use_bias=False, dtype=self.dtype_policy, name=f"{name}_projection")
            for table, name in _layer_names(n for n, table in tables.items() if table["dim"] != dim).items()
        }
        # By pooling.
        self.pools: dict[str, MaskedPool] = {
            pooling: masked_pool(pooling, dtype=self.dtype_policy)
            for pooling in dict.fromkeys(_pooling(field) for field in fields.values())
        }

    def build(self, input_shape: Any = None) -> None:
        """Makes the tables; their shapes do not depend on the inputs."""
        rows_by_dim: dict[int, int] = {}
        for table in self.table_settings.values():
            rows_by_dim[table["dim"]] = rows_by_dim.get(table["dim"], 0) + table["rows"]
        for dim, rows in rows_by_dim.items():
            self.variables_by_dim[dim] = self.add_weight(
                name=f"{TABLES_PREFIX}{dim}",
                shape=(rows, dim + 1),
                initializer=keras.initializers.RandomNormal(stddev=INITIAL_STDDEV),
                autocast=False,  # It would cast all rows for the few of a batch.
            )
        for name, projection in self.projections.items():
            projection.build((None, self.table_settings[name]["dim"]))
        self.built = True

    def call(self, features: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Returns m_f, `[batch, fields, dim]`, the linear terms, `[batch, fields]`, and the squares if asked for."""
        check_features(features, self.feature_ranks())
        parts: list[tuple[Tensor, ...]] = []
        order: list[str] = []
        for dim in self.variables_by_dim:
            names = [name for name, field in self.fields.items() if self.table_settings[field["table"]]["dim"] == dim]
            if names:
                parts.append(self._pooled(dim, [self._bags(name, features) for name in names]))
                order += names
        if len(parts) == 1:
            return parts[0]
        positions = [order.index(name) for name in self.fields]
        return tuple(ops.take(ops.concatenate(part, axis=1), positions, axis=1) for part in zip(*parts, strict=True))

    def compute_output_shape(self, input_shape: Mapping[str, tuple]) -> tuple[tuple, ...]:
        """Returns `[batch, fields, dim]` and `[batch, fields]`, the latter twice with `squares`."""
        batch = next(iter(input_shape.values()))[0]
        terms = (batch, len(self.fields))
        return ((batch, len(self.fields), self.dim), terms, *([terms] if self.squares else []))

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        return {
            **super().get_config(),
            "tables": {name: dict(table) for name, table in self.table_settings.items()},
            "fields": {name: dict(field) for name, field in self.fields.items()},
            "dim": self.dim,
            "l2": self.l2,
            "squares": self.squares,
        }

    @cached_property
    def first_rows(self) -> dict[str, int]:
        """The row at which each table begins in the variable of its `dim`."""
        next_rows: dict[int, int] = {}
        first_rows: dict[str, int] = {}
        for name, table in self.table_settings.items():
            first_rows[name] = next_rows.get(table["dim"], 0)
            next_rows[table["dim"]] = first_rows[name] + table["rows"]
        return first_rows

    def table(self, name: str) -> Tensor:
        """Returns a table, `[rows, dim + 1]`: embeddings, and the linear weights last."""
        settings, first = self.table_settings[name], self.first_rows[name]
        return ops.convert_to_tensor(self.variables_by_dim[settings["dim"]])[first : first + settings["rows"]]

    def feature_ranks(self) -> dict[str, int]:
        """Returns the features that `call` reads, with their ranks."""
        ranks = {}
        for name, field in self.fields.items():
            ranks[name] = 1 if field["pooling"] is None else 2
            if field["weights"] is not None:
                ranks[field["weights"]] = 2
        return ranks

    def _bags(self, name: str, features: Mapping[str, Tensor]) -> _Bags:
        """Returns what `features` have of a field."""
        field = self.fields[name]
        ids = ops.cast(ops.convert_to_tensor(features[name]), "int32")
        if field["pooling"] is None:  # A single value is a bag of one.
            ids = ops.expand_dims(ids, axis=1)
        first = self.first_rows[field["table"]]
        rows = ops.where(ops.equal(ids, 0), ids, ids + first) if first else ids
        weights = None if field["weights"] is None else features[field["weights"]]
        return _Bags(rows, weights, _pooling(field), field["table"])

    def _pooled(self, dim: int, bags: Sequence[_Bags]) -> tuple[Tensor, ...]:
        """Returns the outputs of `call` for the fields with a table in one variable. Adds the L2 of its rows."""
        pool = self._pooled_fused if keras.backend.backend() == "tensorflow" else self._pooled_dense
        pooled, penalized, *squares = pool(dim, bags)
        if self.l2:
            self.add_loss(self.l2 * ops.sum(ops.square(penalized)))
        pooled = ops.cast(pooled, self.compute_dtype)
        m = self._projected(pooled[:, :, :-1], [bag.table for bag in bags])
        return (m, pooled[:, :, -1], *squares)

    def _pooled_fused(self, dim: int, bags: Sequence[_Bags]) -> tuple[Tensor, ...]:
        """Returns the pooled rows, `[batch, len(bags), dim + 1]`, the rows that were read, and perhaps the squares."""
        from .fused_lookup import pooled_rows

        rows, weights, poolings, _ = zip(*bags, strict=True)
        norms = self._square_norms_of(dim) if self.squares else None
        pooled, rows_read, squares = pooled_rows(self.variables_by_dim[dim].value, rows, weights, poolings, norms)
        return (pooled, rows_read) if squares is None else (pooled, rows_read, squares)

    def _pooled_dense(self, dim: int, bags: Sequence[_Bags]) -> tuple[Tensor, ...]:
        """Returns the pooled rows, `[batch, len(bags), dim + 1]`, all rows of the variable, and perhaps the squares."""
        variable = ops.convert_to_tensor(self.variables_by_dim[dim])
        pooled, squares = [], []
        for bag in bags:
            mask = ops.not_equal(bag.rows, 0)
            values = ops.take(variable, bag.rows, axis=0)
            pooled.append(self.pools[bag.pooling](values, mask=mask, weights=bag.weights))
            if self.squares:
                x = coefficients(bag.pooling, mask, bag.weights)
                squares.append(ops.sum(x * x * self._square_norms(bag.table, values[:, :, :-1]), axis=1))
        return (ops.stack(pooled, axis=1), variable, *([ops.stack(squares, axis=1)] if squares else []))

    def _square_norms(self, table: str, vectors: Tensor) -> Tensor:
        """Returns ‖v‖² of a table's vectors at the layer's `dim`, without their last axis."""
        if table in self.projections:
            vectors = self.projections[table](vectors)
        return ops.sum(ops.square(ops.cast(vectors, "float32")), axis=-1)

    def _square_norms_of(self, dim: int) -> Callable[[Tensor, Tensor], Tensor]:
        """Returns the function from rows of a variable, and their positions in it, to ‖v‖², `[rows]`."""
        tables = [name for name in self.table_settings if self.table_settings[name]["dim"] == dim]

        def norms(rows: Tensor, positions: Tensor) -> Tensor:
            vectors = rows[:, :-1]
            if dim == self.dim:
                return ops.sum(ops.square(vectors), axis=-1)
            total = ops.zeros_like(vectors[:, 0])
            for table in tables:
                first = self.first_rows[table]
                inside = ops.logical_and(positions >= first, positions < first + self.table_settings[table]["rows"])
                total = ops.where(inside, self._square_norms(table, vectors), total)
            return total

        return norms

    def _projected(self, vectors: Tensor, tables: Sequence[str]) -> Tensor:
        """Returns vectors of one width, a table each, brought to the layer's: `[batch, len(tables), dim]`."""
        if not any(table in self.projections for table in tables):
            return vectors
        by_field = ops.unstack(vectors, axis=1)
        return ops.stack([self.projections[t](v) for t, v in zip(tables, by_field, strict=True)], axis=1)


def _pooling(field: EmbeddedField) -> str:
    """Returns how a field is pooled; a single value, a bag of one, by its sum."""
    return field["pooling"] or "sum"


def _layer_names(tables: Iterable[str]) -> dict[str, str]:
    """Returns a name for a layer of each table: its own without "/" and ":", each name once.

    Keras would take those for scopes and output numbers.
    """
    tables = list(tables)
    names: dict[str, str] = {}
    for table in tables:
        name = table.replace(":", "_").replace("/", "_")
        while name != table and (name in tables or name in names.values()):
            name += "_"
        names[table] = name
    return names
