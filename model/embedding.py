"""Pooled embeddings: the lookups and the pooling of all fields, in one place.

Ids of each field go in; per field one vector m_f and one linear term come out. Fields that share a
vocabulary share its table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import keras
from keras import ops

from .pooling import MaskedPool, Tensor, masked_pool

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

    Args:
        tables: Tables by name, in the order in which they are made.
        fields: Fields by name; their order is the order of the outputs.
        dim: Length of every m_f.
        l2: Factor λ of λ·Σ table², over all rows whether the batch used them or not. Default 0: none.
        **kwargs: As of `keras.Layer`.

    Call arguments:
        features: For each field its ids; for each weighted field its weights, float `[batch, max_len]`.

    Returns:
        The vectors m_f, `[batch, fields, dim]`, and the linear terms, `[batch, fields]`.

    Raises:
        ValueError: if a field names a table that is not there, or an unknown pooling.
        MissingFeatures: if a feature is not there.
    """

    def __init__(
        self,
        tables: Mapping[str, Table],
        fields: Mapping[str, EmbeddedField],
        dim: int,
        *,
        l2: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, field in fields.items():
            if field["table"] not in tables:
                raise ValueError(
                    f"field {name}: expected a table of {', '.join(tables) or 'none'}; received {field['table']!r}"
                )
        self.table_settings: dict[str, Table] = {name: Table(**table) for name, table in tables.items()}
        self.fields: dict[str, EmbeddedField] = {n: EmbeddedField(**field) for n, field in fields.items()}
        self.dim = dim
        self.l2 = l2
        self.tables: dict[str, keras.layers.Embedding] = {}
        self.projections: dict[str, keras.layers.Dense] = {}
        for name, table in tables.items():
            # "/" and ":" would be taken for scopes and output numbers.
            layer_name = name.replace(":", "_").replace("/", "_")
            self.tables[name] = keras.layers.Embedding(
                table["rows"],
                table["dim"] + 1,
                mask_zero=True,
                embeddings_initializer=keras.initializers.RandomNormal(stddev=INITIAL_STDDEV),
                embeddings_regularizer=keras.regularizers.L2(l2) if l2 else None,
                dtype=self.dtype_policy,
                name=layer_name,
            )
            if table["dim"] != dim:
                self.projections[name] = keras.layers.Dense(
                    dim, use_bias=False, dtype=self.dtype_policy, name=f"{layer_name}_projection"
                )
        self.pools: dict[str, MaskedPool] = {
            name: masked_pool(field["pooling"] or "sum", dtype=self.dtype_policy) for name, field in fields.items()
        }

    def build(self, input_shape: Any = None) -> None:
        """Makes the tables; their shapes do not depend on the inputs."""
        for table in self.tables.values():
            table.build()
        for name, projection in self.projections.items():
            projection.build((None, self.table_settings[name]["dim"]))
        self.built = True

    def call(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Returns m_f, `[batch, fields, dim]`, and the linear terms, `[batch, fields]`."""
        check_features(features, self.feature_ranks())
        vectors, linear = [], []
        for name in self.fields:
            vector, weight = self._embed(name, features)
            vectors.append(vector)
            linear.append(weight)
        return ops.stack(vectors, axis=1), ops.stack(linear, axis=1)

    def compute_output_shape(self, input_shape: Mapping[str, tuple]) -> tuple[tuple, tuple]:
        """Returns `[batch, fields, dim]` and `[batch, fields]`."""
        batch = next(iter(input_shape.values()))[0]
        return (batch, len(self.fields), self.dim), (batch, len(self.fields))

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        return {
            **super().get_config(),
            "tables": {name: dict(table) for name, table in self.table_settings.items()},
            "fields": {name: dict(field) for name, field in self.fields.items()},
            "dim": self.dim,
            "l2": self.l2,
        }

    def feature_ranks(self) -> dict[str, int]:
        """Returns the features that `call` reads, with their ranks."""
        ranks = {}
        for name, field in self.fields.items():
            ranks[name] = 1 if field["pooling"] is None else 2
            if field["weights"] is not None:
                ranks[field["weights"]] = 2
        return ranks

    def _embed(self, name: str, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Returns m_f, `[batch, dim]`, and the linear term, `[batch]`, of one field."""
        field = self.fields[name]
        table = field["table"]
        ids = ops.convert_to_tensor(features[name])
        if field["pooling"] is None:  # A single value is a bag of one.
            ids = ops.expand_dims(ids, axis=1)
        weights = None if field["weights"] is None else features[field["weights"]]
        rows = self.tables[table](ids)
        pooled = self.pools[name](rows, mask=ops.not_equal(ids, 0), weights=weights)
        vector, linear = pooled[:, :-1], pooled[:, -1]
        if table in self.projections:
            vector = self.projections[table](vector)
        return vector, linear
