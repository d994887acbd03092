"""The layers of DeepFM's MLP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class Dense(keras.layers.Dense):
    """Keras' layer, with the operands of its addition swapped: b + x in place of x + b.

    Keras makes x + b TensorFlow's `BiasAdd`, whose gradient on CPUs is wrong in bfloat16: it adds up the rows of a
    batch one after the other, in bfloat16, so that the sum of 4096 ones is 256. The gradient of b + x is `reduce_sum`.

    The class has the name of Keras' layer, because saved models have it in the paths of their weights.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns `activation(bias + inputs @ kernel)`, `[..., units]`."""
        if not self.use_bias:
            return super().call(inputs, training=training)
        x = keras.ops.add(self.bias, keras.ops.matmul(inputs, self.kernel))
        return x if self.activation is None else self.activation(x)


def mlp_layers(
    units: Sequence[int], activation: str, dropout: float, *, batch_norm: bool, l2: float, policy: Any
) -> list[keras.Layer]:
    """Returns the layers in the order of the call: for each of `units` dense, batch norm (if any), activation, dropout.

    The last one has one unit and no bias. None without units.

    Args:
        units: Units of the hidden layers.
        activation: Their activation.
        dropout: The dropout rate after each of them.
        batch_norm: Whether to apply batch norm before the activation.
        l2: L2 factor of the kernels.
        policy: The dtype policy.
    """
    if not units:
        return []
    regularizer = keras.regularizers.L2(l2) if l2 else None
    layers: list[keras.Layer] = []
    for size in units:
        layers.append(Dense(size, kernel_regularizer=regularizer, dtype=policy))
        if batch_norm:
            layers.append(keras.layers.BatchNormalization(dtype=policy))
        layers.append(keras.layers.Activation(activation, dtype=policy))
        if dropout:
            layers.append(keras.layers.Dropout(dropout, dtype=policy))
    layers.append(keras.layers.Dense(1, use_bias=False, kernel_regularizer=regularizer, dtype=policy))
    return layers
