"""Pooled embeddings: the lookups and the pooling of all fields, in one place.

Ids of each field go in; per field one vector m_f and one linear term come out. Fields that share a
vocabulary share its table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import keras
from keras import ops

from .pooling import MaskedPool, Tensor, coefficients, masked_pool

# DeepCTR's choice, and for a reason: the row of a token that train never saw, an OOV bucket often, keeps
# its first value, and that should be next to nothing. Adam's steps do not depend on the scale.
INITIAL_STDDEV = 1e-4


class MissingFeatures(ValueError):
    """The features dict lacks features that the model reads."""


class Table(TypedDict):
    """An embedding table: `rows` ids (0, the padding, among them), `dim` numbers each."""

    rows: int
    dim: int


class EmbeddedField(TypedDict):
    """A field that is looked up.

    `table` names its table. `pooling` is mean, sum, sqrtn or max for a bag, int64 `[batch, max_len]`, and
    None for a single value, int64 `[batch]`. `weights` names the feature with one weight a value, or is None.
    """

    table: str
    pooling: str | None
    weights: str | None


def check_features(features: Mapping[str, Tensor], ranks: Mapping[str, int]) -> None:
    """Checks that all features are there, and of the right rank.

    Raises:
        MissingFeatures: names those that are not there.
        ValueError: names one with another rank.
    """
    missing = [name for name in ranks if name not in features]
    if missing:
        raise MissingFeatures(
            f"expected the features {', '.join(ranks)}; missing: {', '.join(missing)}; received: "
            f"{', '.join(features) or 'none'}. `fieldpool.model.examples.read_examples` reads them from a run"
        )
    for name, rank in ranks.items():
        shape = tuple(features[name].shape)
        if len(shape) != rank:
            expected = "[batch]" if rank == 1 else "[batch, max_len]"
            raise ValueError(f"feature {name}: expected the shape {expected}, received {list(shape)}")


@keras.saving.register_keras_serializable(package="fieldpool")
class PooledEmbeddings(keras.Layer):
    """Embeds and pools all fields: `Embedding(mask_zero=True)`, then a masked pool, field by field.

    A table's row holds `dim` numbers of the embedding and, last, one linear weight, so that one lookup
    serves both; the linear term is pooled like the vector. Id 0 is padding: a bag of zeros, and a single
    value 0, give m_f = 0 and a linear term of 0, and never change the table. Where a table's `dim` is not
    the layer's, a bias-free projection follows the pool.

    Tables of one `dim` lie side by side in one variable, and on TensorFlow all their fields are looked up and pooled
    at once, without a tensor of the bags' length (`fused_lookup`). The numbers are the same.

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
        Σ ‖x·v‖², `[batch, fields]`, over a field's values: v is a value's vector, x what m_f = Σ x·v has it times.

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
        self.first_rows: dict[str, int] = {}
        self.variables_by_dim: dict[int, Any] = {}
        self.projections: dict[str, keras.layers.Dense] = {}
        rows_by_dim: dict[int, int] = {}
        for name, table in tables.items():
            self.first_rows[name] = rows_by_dim.get(table["dim"], 0)
            rows_by_dim[table["dim"]] = self.first_rows[name] + table["rows"]
            if table["dim"] != dim:
                # "/" and ":" would be taken for scopes and output numbers.
                layer_name = name.replace(":", "_").replace("/", "_")
                self.projections[name] = keras.layers.Dense(
                    dim, use_bias=False, dtype=self.dtype_policy, name=f"{layer_name}_projection"
                )
        self._rows_by_dim = rows_by_dim
        self.pools: dict[str, MaskedPool] = {
            name: masked_pool(field["pooling"] or "sum", dtype=self.dtype_policy) for name, field in fields.items()
        }

    def build(self, input_shape: Any = None) -> None:
        """Makes the tables; their shapes do not depend on the inputs."""
        for dim, rows in self._rows_by_dim.items():
            self.variables_by_dim[dim] = self.add_weight(
                name=f"tables_{dim}",
                shape=(rows, dim + 1),
                initializer=keras.initializers.RandomNormal(stddev=INITIAL_STDDEV),
                autocast=False,  # A whole table cast for the few rows of a batch.
            )
        for name, projection in self.projections.items():
            projection.build((None, self.table_settings[name]["dim"]))
        self.built = True

    def table(self, name: str) -> Tensor:
        """Returns a table, `[rows, dim + 1]`: embeddings, and the linear weights last."""
        settings, first = self.table_settings[name], self.first_rows[name]
        return ops.convert_to_tensor(self.variables_by_dim[settings["dim"]])[first : first + settings["rows"]]

    def call(self, features: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Returns m_f, `[batch, fields, dim]`, the linear terms, `[batch, fields]`, and the squares if asked for."""
        check_features(features, self.feature_ranks())
        parts: list[tuple[Tensor, ...]] = []
        order: list[str] = []
        for dim in self.variables_by_dim:
            names = [name for name, field in self.fields.items() if self.table_settings[field["table"]]["dim"] == dim]
            if names:
                pooled, squares = self._pooled(dim, names, features)
                pooled = ops.cast(pooled, self.compute_dtype)
                m = self._projected(pooled[:, :, :-1], names)
                parts.append((m, pooled[:, :, -1], *([] if squares is None else [squares])))
                order += names
        if len(parts) == 1:
            return parts[0]
        places = [order.index(name) for name in self.fields]
        return tuple(ops.take(ops.concatenate(part, axis=1), places, axis=1) for part in zip(*parts, strict=True))

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

    def feature_ranks(self) -> dict[str, int]:
        """Returns the features that `call` reads, with their ranks."""
        ranks = {}
        for name, field in self.fields.items():
            ranks[name] = 1 if field["pooling"] is None else 2
            if field["weights"] is not None:
                ranks[field["weights"]] = 2
        return ranks

    def _pooled(self, dim: int, names: Sequence[str], features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Returns the pooled rows, `[batch, len(names), dim + 1]`, of fields in one variable, and the squares, if any.

        Adds the L2 of the rows.
        """
        variable = self.variables_by_dim[dim]
        fields = [self.fields[name] for name in names]
        ids = [self._rows_in_variable(name, features[name]) for name in names]
        weights = [None if field["weights"] is None else features[field["weights"]] for field in fields]
        poolings = [field["pooling"] or "sum" for field in fields]
        squares = None
        if keras.backend.backend() == "tensorflow":
            from .fused_lookup import pooled_rows

            norms = self._squared_norms(dim) if self.squares else None
            result, penalized, squares = pooled_rows(variable.value, ids, weights, poolings, norms)
        else:
            table = penalized = ops.convert_to_tensor(variable)
            masks = [ops.not_equal(rows, 0) for rows in ids]
            looked_up = [ops.take(table, rows, axis=0) for rows in ids]
            pooled = [
                self.pools[name](values, mask=mask, weights=w)
                for name, values, mask, w in zip(names, looked_up, masks, weights, strict=True)
            ]
            result = ops.stack(pooled, axis=1)
            if self.squares:
                x = [coefficients(p, mask, w) for p, mask, w in zip(poolings, masks, weights, strict=True)]
                squared = [self._squared_norm(f["table"], v[:, :, :-1]) for f, v in zip(fields, looked_up, strict=True)]
                squares = ops.stack([ops.sum(x * x * n, axis=1) for x, n in zip(x, squared, strict=True)], axis=1)
        if self.l2:
            self.add_loss(self.l2 * ops.sum(ops.square(penalized)))
        return result, squares

    def _squared_norm(self, table: str, vectors: Tensor) -> Tensor:
        """Returns ‖v‖² of a table's vectors at the layer's `dim`, without their last axis."""
        if table in self.projections:
            vectors = self.projections[table](vectors)
        return ops.sum(ops.square(ops.cast(vectors, "float32")), axis=-1)

    def _squared_norms(self, dim: int) -> Callable[[Tensor, Tensor], Tensor]:
        """Returns the function from rows of a variable, and their places in it, to their squared norms."""
        tables = [name for name in self.table_settings if self.table_settings[name]["dim"] == dim]

        def norms(rows: Tensor, places: Tensor) -> Tensor:
            vectors = rows[:, :-1]
            if dim == self.dim:
                return ops.sum(ops.square(vectors), axis=-1)
            total = ops.zeros_like(vectors[:, 0])
            for table in tables:
                first = self.first_rows[table]
                inside = ops.logical_and(places >= first, places < first + self.table_settings[table]["rows"])
                total = ops.where(inside, self._squared_norm(table, vectors), total)
            return total

        return norms

    def _projected(self, vectors: Tensor, names: Sequence[str]) -> Tensor:
        """Returns vectors of one width brought to the layer's, `[batch, len(names), dim]`."""
        tables = [self.fields[name]["table"] for name in names]
        if not any(table in self.projections for table in tables):
            return vectors
        by_field = ops.unstack(vectors, axis=1)
        return ops.stack([self.projections[t](v) for t, v in zip(tables, by_field, strict=True)], axis=1)

    def _rows_in_variable(self, name: str, feature: Tensor) -> Tensor:
        """Returns the rows of a field's ids in the variable of its table, `[batch, max_len]`; 0 stays 0."""
        field = self.fields[name]
        ids = ops.cast(ops.convert_to_tensor(feature), "int32")
        if field["pooling"] is None:  # A single value is a bag of one.
            ids = ops.expand_dims(ids, axis=1)
        first = self.first_rows[field["table"]]
        return ops.where(ops.equal(ids, 0), ids, ids + first) if first else ids
