"""Tables whose vectors are given, pretrained ones for example, and not trained."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .pooled_embeddings import INITIAL_STDDEV, TABLES_PREFIX, PooledEmbeddings, gathered
from .weights import Tensor


@keras.saving.register_keras_serializable(package="fieldpool")
class FrozenEmbeddings(PooledEmbeddings):
    """The same as `PooledEmbeddings`, with vectors that are given and not trained; linear weights are trained.

    The optimizer has no slots for the vectors: a table takes as much memory as its vectors. A projection, if there is
    one, is trained. The L2 penalty is that of the linear weights.

    Vectors are zeros until `set_vectors`, and remain zeros for ids that it is not given: tokens without a vector, and
    OOV buckets. Of these, only the linear weight is learned.

    Example:
        >>> import numpy as np
        >>> fields = {"history": {"table": "movies", "pooling": "mean", "weights": None}}
        >>> layer = FrozenEmbeddings({"movies": {"rows": 4, "dim": 2}}, fields, dim=2)
        >>> layer.build()
        >>> layer.set_vectors("movies", np.array([2, 3]), np.array([[1.0, 2.0], [3.0, 4.0]]))
        >>> vectors, linear = layer({"history": keras.ops.array([[2, 3, 0], [0, 0, 0]])})
        >>> keras.ops.convert_to_numpy(vectors)[:, 0].tolist()
        [[2.0, 3.0], [0.0, 0.0]]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.vectors_by_dim: dict[int, Any] = {}
        self.linear_by_dim: dict[int, Any] = {}

    def build(self, input_shape: Any = None) -> None:
        """Creates the tables; their shapes do not depend on the inputs."""
        for dim, rows in self.layout.rows_by_dim.items():
            self.vectors_by_dim[dim] = self.add_weight(
                name=f"vectors_{dim}", shape=(rows, dim), initializer="zeros", trainable=False, autocast=False
            )
            self.linear_by_dim[dim] = self.add_weight(
                name=f"{TABLES_PREFIX}{dim}_linear",
                shape=(rows, 1),
                initializer=keras.initializers.RandomNormal(stddev=INITIAL_STDDEV),
                autocast=False,
            )
        self._build_projections()

    def _vectors(self, dim: int) -> Any:
        return self.vectors_by_dim[dim]

    def _rows(self, dim: int, positions: Tensor) -> Tensor:
        parts = [gathered(of_dim[dim], positions) for of_dim in (self.vectors_by_dim, self.linear_by_dim)]
        return ops.concatenate(parts, axis=-1)

    def _penalized(self, dim: int, rows_read: Tensor = None) -> Tensor:
        return ops.convert_to_tensor(self.linear_by_dim[dim]) if rows_read is None else rows_read[..., -1:]
