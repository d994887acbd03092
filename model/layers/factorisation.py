"""The factorisation machine of DeepFM: the dot products of all pairs of fields."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from .pooling import sum_dtype
from .weights import Tensor


def factorisation_machine(m: Tensor, pairs: Tensor | None = None) -> Tensor:
    """Returns Σ_{f<g} m_f·m_g + Σ_f p_f, `[batch, 1]`; float32 if `m` is float16 or bfloat16.

    It is computed as Σ_g (Σ_{f<g} m_f)·m_g. The usual ½(‖Σ_f m_f‖² − Σ_f ‖m_f‖²) takes the same time, but where one
    field is much larger than the others, the rounding of its square exceeds all pairs.

    Args:
        m: m_f, `[batch, fields, dim]`.
        pairs: p_f, `[batch, fields]`: the sum of the pairs within field f. Default: zeros.
    """
    first, *others = ops.unstack(at_least_float32(m), axis=1)
    # Sums by subtraction, which TensorFlow does not reorder: see `sum_of`, whose stack would take half of the time.
    products, minus_total = ops.zeros_like(first), -first
    for vector in others:
        products = products - minus_total * vector
        minus_total = minus_total - vector
    result = ops.sum(products, axis=1, keepdims=True)
    return result if pairs is None else result + ops.sum(pairs, axis=1, keepdims=True)


def sum_of(terms: Sequence[Tensor]) -> Tensor:
    """Returns the sum of tensors of the same shape, always in the same order.

    TensorFlow reorders a chain of additions if it knows that the shapes are equal. Two graphs of the same model, such
    as two signatures of an export, would then round differently.
    """
    return ops.sum(ops.stack(terms, axis=0), axis=0)


def at_least_float32(x: Tensor) -> Tensor:
    """Returns float16 and bfloat16 as float32."""
    x = ops.convert_to_tensor(x)
    return ops.cast(x, sum_dtype(keras.backend.standardize_dtype(x.dtype)))


def squared_norm(vectors: Tensor) -> Tensor:
    """Returns ‖v‖² along the last axis, float32."""
    return ops.sum(ops.square(ops.cast(vectors, "float32")), axis=-1)
