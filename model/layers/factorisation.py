"""The factorisation machine of DeepFM: the dot products of all pairs of fields."""

from __future__ import annotations

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
    products, total = ops.zeros_like(first), first
    for vector in others:
        products = products + total * vector
        total = total + vector
    result = ops.sum(products, axis=1, keepdims=True)
    return result if pairs is None else result + ops.sum(pairs, axis=1, keepdims=True)


def at_least_float32(x: Tensor) -> Tensor:
    """Returns float16 and bfloat16 as float32."""
    x = ops.convert_to_tensor(x)
    return ops.cast(x, sum_dtype(keras.backend.standardize_dtype(x.dtype)))
