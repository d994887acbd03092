"""Fields of vectors: each has a projection to the length of embeddings, and a linear weight for each of its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from .factorisation import FieldTerms, stacked
from .features import check_features, layer_names
from .pooled_embeddings import INITIAL_STDDEV
from .pooling import sum_dtype
from .weights import Tensor


@keras.saving.register_keras_serializable(package="fieldpool")
class VectorFields(keras.Layer):
    """m_f = x·V_f and linear_f = x·w_f for the vector x of each field; V_f is `[length, dim]`, w_f is `[length]`.

    For length 1, this is what DeepFM does with a number.

    Args:
        lengths: The length of each field's vectors, by name, in the order of the outputs.
        dim: Length of every m_f.
        l2: L2 factor of V and w. Default 0.
        pairs: Whether to return the third output, as `PooledEmbeddings` does. Default False.
        **kwargs: Arguments of `keras.Layer`.

    Call arguments:
        features: For each field float `[batch, length]`.

    Returns:
        The vectors m_f, `[batch, fields, dim]`, and the linear terms, `[batch, fields]`; with `pairs` also zeros of
        the same shape, because a vector has no pairs of values. All are float32 under mixed precision, too.

    Raises:
        MissingFeatures: if a feature is missing.
        ValueError: if a feature has another rank.

    Example:
        >>> layer = VectorFields({"title": 3}, dim=2)
        >>> vectors, linear = layer({"title": keras.ops.array([[0.5, 1.0, -1.0], [0.0, 0.0, 0.0]])})
        >>> tuple(vectors.shape), tuple(linear.shape)
        ((2, 1, 2), (2, 1))
    """

    def __init__(
        self, lengths: Mapping[str, int], dim: int, *, l2: float = 0.0, pairs: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # Under a float16 policy, numbers are not rounded.
        self.lengths, self.dim, self.l2, self.pairs = dict(lengths), dim, l2, pairs
        self.kernels: dict[str, Any] = {}

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights; their shapes do not depend on the inputs."""
        for field, name in layer_names(self.lengths).items():
            self.kernels[field] = self.add_weight(
                name=f"{name}_kernel",  # V and, in the last column, w.
                shape=(self.lengths[field], self.dim + 1),
                initializer=keras.initializers.RandomNormal(stddev=INITIAL_STDDEV),
                regularizer=keras.regularizers.L2(self.l2) if self.l2 else None,
                autocast=False,
            )
        self.built = True

    def call(self, features: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Returns m_f, `[batch, fields, dim]`, the linear terms and, with `pairs`, zeros, `[batch, fields]`."""
        check_features(features, self.feature_ranks())
        return stacked(self.terms(features))

    def terms(self, features: Mapping[str, Tensor]) -> list[FieldTerms]:
        """Returns the terms of each field."""
        dtype = sum_dtype(self.compute_dtype)
        products = [ops.matmul(ops.cast(features[n], dtype), kernel) for n, kernel in self.kernels.items()]
        terms = [(product[:, :-1], product[:, -1]) for product in products]
        return [FieldTerms(m, linear, ops.zeros_like(linear) if self.pairs else None) for m, linear in terms]

    def compute_output_shape(self, input_shape: Mapping[str, tuple]) -> tuple[tuple, ...]:
        """Returns `[batch, fields, dim]` and `[batch, fields]`, with `pairs` the latter twice."""
        batch = next(iter(input_shape.values()))[0]
        terms = (batch, len(self.lengths))
        return ((batch, len(self.lengths), self.dim), terms, *([terms] if self.pairs else []))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments for `from_config`."""
        return {**super().get_config(), "lengths": self.lengths, "dim": self.dim, "l2": self.l2, "pairs": self.pairs}

    def feature_ranks(self) -> dict[str, int]:
        """Returns the names of the features that `call` reads, with their ranks."""
        return dict.fromkeys(self.lengths, 2)
