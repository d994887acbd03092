"""DeepFM over pooled fields: a factorisation machine and an MLP that share their embeddings.

From a dict of features (see `fieldpool.model.examples`) it computes one logit per row.
https://arxiv.org/abs/1703.04247
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from .calibration import Calibration
from .factorisation import FieldTerms, Terms, at_least_float32, stacked, sum_of, summed, terms_by_field
from .features import EmbeddedField, Pooled, Table, check_features, checked_row_count, in_all_rows
from .mlp import mlp_layers
from .pooled_embeddings import INITIAL_STDDEV, PooledEmbeddings
from .pooling import sum_dtype
from .pretrained import FrozenEmbeddings
from .vector_fields import VectorFields
from .weights import Tensor


class Inputs(NamedTuple):
    """What is left of a batch's features after the lookup; all tensors are dense.

    Attributes:
        pooled: The pooled rows of the tables, for each layer of `pooled_layers`: see `PooledEmbeddings.pooled`.
        vectors: The vectors of each vector field, `[batch, length]`.
        numbers: The numbers, float32 or float64 `[numeric, batch]`; None if there are no numeric fields.
    """

    pooled: list[list[Pooled]]
    vectors: dict[str, Tensor]
    numbers: Tensor | None


@keras.saving.register_keras_serializable(package="fieldpool")
class DeepFM(keras.Model):
    """logit = bias + Σ_f linear_f + FM + MLP.

    - m_f, `[dim]`, is the pooled embedding of field f; for a number x, m_f = x·v_f with a vector v_f, for
      a vector x m_f = x·V_f with a matrix V_f.
    - linear_f is the pooled linear weight of field f: one weight per value, pooled like the vectors; for a number
      or a vector x it is x·w_f.
    - FM = Σ_{f<g} m_f·m_g: the dot products of all pairs of fields (DeepFM, equation 2, with pooled fields instead of
      its features). With `exact_fm`, FM = Σ_{i<j} (x_i·v_i)·(x_j·v_j) over all values of all fields. This is Rendle's
      FM (https://doi.org/10.1109/ICDM.2010.127, equation 1) of the values with x_i = w_i/n, and also has the pairs
      within a bag. A value that is in a bag twice counts as two values.
    - The input of the MLP is the concatenation of all m_f; its last layer has one unit and no bias.

    `fieldpool.model.from_spec.deepfm` creates the model of a spec. The arguments here are plain Python, so that a saved
    model loads without its spec.

    Args:
        tables: Embedding tables by name. The vectors of a `frozen` one are given (`set_vectors`), and not trained.
        fields: Embedded fields by name.
        numeric: Names of the features that are used as numbers.
        vectors: Features that are used as vectors, with their lengths. Default: none.
        embedding_dim: Length of every m_f. A table of another `dim` is projected to it, without bias.
        hidden_units: Units of the MLP's layers; each is dense, batch norm (if any), activation, dropout.
            Empty: no MLP, a plain factorisation machine.
        activation: Activation of the MLP's layers.
        dropout: Dropout rate after each hidden layer.
        batch_norm: Whether to apply batch norm before the activation.
        l2_embedding: L2 factor of embeddings and linear weights: of the table rows that a batch uses (see
            `PooledEmbeddings`), and of the weights of numbers.
        l2_hidden: L2 factor of the MLP's kernels.
        exact_fm: Whether the FM also has the pairs of values within one bag. Not with max pooling.
        logit_offset: Added to the logit except in training. If a share w of the negative rows is trained on, ln(w)
            makes the probabilities those of all rows.
        calibration: The arguments of a `Calibration`, which is applied to that logit except in training. Default: none.
        identity: The meaning of the ids and numbers that the model is trained on, as plain values; only saved with it.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        features: Single values int `[batch]`, bags int `[batch, max_len]`, their weights float
            `[batch, max_len]`, numbers float `[batch]`, vectors float `[batch, length]`. Other features are
            ignored. Id 0 is padding and contributes nothing. Outside training, features with one row beside others
            with more hold for all rows.

    Returns:
        The logit, `[batch, 1]`: Keras' shape of a single output, needed for sample weights and metrics. It is float32
        under mixed precision, too, and so are its terms, numbers and weights of values: only the pooled vectors and
        the MLP have the compute dtype.

    Raises:
        ValueError: if `fields`, `numeric` and `vectors` are all empty; if a feature has the wrong rank or, in training,
            one row beside others with more; for `exact_fm` with max pooling.
        MissingFeatures: if a feature is missing.
    """

    def __init__(
        self,
        *,
        tables: Mapping[str, Table],
        fields: Mapping[str, EmbeddedField],
        numeric: Sequence[str] = (),
        vectors: Mapping[str, int] | None = None,
        embedding_dim: int = 16,
        hidden_units: Sequence[int] = (128, 64),
        activation: str = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        l2_embedding: float = 0.0,
        l2_hidden: float = 0.0,
        exact_fm: bool = False,
        logit_offset: float = 0.0,
        calibration: Mapping[str, Any] | None = None,
        identity: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # No autocast of inputs, so that under a float16 policy numbers and weights of values are not rounded.
        super().__init__(autocast=False, **kwargs)
        if not fields and not numeric and not vectors:
            raise ValueError("DeepFM: expected at least one of `fields`, `numeric` and `vectors`, received none")
        self._settings: dict[str, Any] = {
            "tables": {name: dict(table) for name, table in tables.items()},
            "fields": {name: dict(field) for name, field in fields.items()},
            "numeric": list(numeric),
            "embedding_dim": embedding_dim,
            "hidden_units": list(hidden_units),
            "activation": activation,
            "dropout": dropout,
            "batch_norm": batch_norm,
            "l2_embedding": l2_embedding,
            "l2_hidden": l2_hidden,
            "exact_fm": exact_fm,
            "identity": identity,
        }
        if vectors:  # Without it, earlier versions can load the model, too.
            self._settings["vectors"] = dict(vectors)
        self.logit_offset = logit_offset
        self.calibration = Calibration(**calibration) if calibration else None
        self.numeric = list(numeric)
        self.embedding_dim = embedding_dim
        self.num_fields = len(fields) + len(self.numeric) + len(vectors or {})
        frozen = {name: table for name, table in tables.items() if table.get("frozen")}
        learned = {name: table for name, table in tables.items() if name not in frozen}
        of_learned = {name: field for name, field in fields.items() if field["table"] not in frozen}
        of_frozen = {name: field for name, field in fields.items() if field["table"] in frozen}
        options: dict[str, Any] = {"l2": l2_embedding, "pairs": exact_fm, "dtype": self.dtype_policy}
        self.embeddings = PooledEmbeddings(learned, of_learned, embedding_dim, **options) if of_learned else None
        self.frozen = FrozenEmbeddings(frozen, of_frozen, embedding_dim, **options) if of_frozen else None
        self._l2_embedding = keras.regularizers.L2(l2_embedding) if l2_embedding else None
        self.vector_fields = VectorFields(vectors, embedding_dim, **options) if vectors else None
        self.mlp = mlp_layers(
            hidden_units, activation, dropout, batch_norm=batch_norm, l2=l2_hidden, policy=self.dtype_policy
        )

    def build(self, input_shape: Any = None) -> None:
        """Creates all weights; their shapes do not depend on the inputs."""
        for layer in self.field_layers:
            layer.build()
        self.bias = self.add_weight(name="bias", shape=(1,), initializer="zeros", autocast=False)
        if self.numeric:
            n = len(self.numeric)
            self.numeric_vectors = self.add_weight(
                name="numeric_vectors",
                shape=(n, self.embedding_dim),
                initializer=keras.initializers.RandomNormal(stddev=INITIAL_STDDEV),
                regularizer=self._l2_embedding,
                autocast=False,
            )
            self.numeric_linear = self.add_weight(
                name="numeric_linear",
                shape=(n,),
                initializer="zeros",
                regularizer=self._l2_embedding,
                autocast=False,
            )
        shape: tuple[int | None, ...] = (None, self.num_fields * self.embedding_dim)
        for layer in self.mlp:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, features: Mapping[str, Tensor], training: bool | None = None) -> Tensor:
        """Returns the logit, `[batch, 1]`."""
        inputs, penalty = self.looked_up(features, training=training)
        if penalty is not None:
            self.add_loss(penalty)
        return self.logit(self.terms(inputs), training=training)

    def looked_up(self, features: Mapping[str, Tensor], training: bool | None = None) -> tuple[Inputs, Tensor | None]:
        """Returns what `terms` needs, and the L2 penalty of the table rows, or None: the first part of `call`."""
        ranks = self.feature_ranks()
        check_features(features, ranks)
        batch = checked_row_count({name: features[name] for name in ranks}, training)
        results = [layer.pooled(features, training=training) for layer in self.pooled_layers]
        penalties = [penalty for _, penalty in results if penalty is not None]
        numbers = None
        of_vectors = self.vector_fields.lengths if self.vector_fields else ()
        vectors = {name: in_all_rows(features[name], batch) for name in of_vectors}
        if self.numeric:
            dtype = sum_dtype(self.compute_dtype)
            x = [in_all_rows(ops.cast(features[name], dtype), batch) for name in self.numeric]
            numbers = ops.stack(x, axis=0)
        inputs = Inputs([pooled for pooled, _ in results], vectors, numbers)
        return inputs, sum(penalties) if penalties else None

    def terms(self, inputs: Inputs) -> Terms:
        """Returns the input of `logit` from the result of `looked_up`: the second part of `call`.

        It has many small operations and no random ones: `fieldpool.model.training` compiles it with XLA.
        """
        return summed(self._field_terms(inputs), mlp=bool(self.mlp))

    def logit(self, of_fields: Terms, training: bool | None = None) -> Tensor:
        """Returns the logit, `[batch, 1]`: the third part of `call`."""
        terms = [of_fields.linear, of_fields.fm]
        if self.mlp:
            hidden = of_fields.mlp_input
            for layer in self.mlp:
                hidden = layer(hidden, training=training)
            terms.append(hidden)
        logit = sum_of([at_least_float32(term) for term in terms]) + self.bias
        if training:
            return logit
        if self.logit_offset:
            logit = logit + self.logit_offset
        return logit if self.calibration is None else self.calibration(logit)

    def compute_output_shape(self, input_shape: Mapping[str, tuple]) -> tuple[int | None, int]:
        """Returns `[batch, 1]`."""
        return (next(iter(input_shape.values()))[0], 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments for `from_config`."""
        # Without these, earlier versions can load the model, too.
        offset = {"logit_offset": self.logit_offset} if self.logit_offset else {}
        calibration = {"calibration": self.calibration.as_config()} if self.calibration else {}
        return {**super().get_config(), **self._settings, **offset, **calibration}

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """The meaning of the ids and numbers that the model is trained on, if known: `Identity.as_json` of the run."""
        identity: Mapping[str, Any] | None = self._settings["identity"]
        return identity

    @property
    def pooled_layers(self) -> list[PooledEmbeddings]:
        """The layers of all fields with ids: `embeddings` and `frozen`, if the model has them."""
        return [layer for layer in (self.embeddings, self.frozen) if layer is not None]

    @property
    def field_layers(self) -> list[PooledEmbeddings | VectorFields]:
        """The layers of all fields but numbers: `pooled_layers` and `vector_fields`, if the model has it."""
        return [*self.pooled_layers, *([] if self.vector_fields is None else [self.vector_fields])]

    def set_vectors(self, table: str, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Sets the vectors of some ids of a table, int `[n]` and float32 `[n, dim]`: pretrained ones, for example."""
        next(layer for layer in self.pooled_layers if table in layer.layout.tables).set_vectors(table, ids, vectors)

    def feature_ranks(self) -> dict[str, int]:
        """Returns the names of the features that the model reads, with their ranks."""
        ranks = {name: rank for layer in self.field_layers for name, rank in layer.feature_ranks().items()}
        return {**ranks, **dict.fromkeys(self.numeric, 1)}

    def fields_of(self, features: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Returns m_f, `[batch, fields, dim]`, and linear_f, `[batch, fields]`; vectors and numbers come last.

        With `exact_fm` also the dot products of the pairs within each field, `[batch, fields]`. All are float32 if the
        compute dtype is float16 or bfloat16.
        """
        inputs, _ = self.looked_up(features)
        return stacked(self._field_terms(inputs))

    def _field_terms(self, inputs: Inputs) -> list[FieldTerms]:
        """Returns the terms of each field, in the order of `fields_of`, from the result of `looked_up`."""
        layers = zip(self.pooled_layers, inputs.pooled, strict=True)
        fields = [field for layer, pooled in layers for field in layer.terms(pooled)]
        if self.vector_fields is not None:
            fields += self.vector_fields.terms(inputs.vectors)
        x = inputs.numbers
        if x is not None:
            vectors = ops.unstack(ops.expand_dims(x, 2) * ops.expand_dims(self.numeric_vectors, 1), axis=0)
            pairs = ops.zeros_like(x) if self._settings["exact_fm"] else None
            fields += terms_by_field(vectors, x * ops.expand_dims(self.numeric_linear, 1), pairs)
        return [field._replace(vector=at_least_float32(field.vector)) for field in fields]
