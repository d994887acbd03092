"""Weights of the values of a bag: pooling coefficients, and divisors that neither overflow nor vanish."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def coefficients(pooling: str, mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the pooling coefficients x, float32 `[batch, max_len]`: pool(v) = Σ x·v; 0 at padding.

    They are w / Σ w for `mean`, w for `sum`, w / √(Σ w²) for `sqrtn`.

    Args:
        pooling: Not `max`, which is not a weighted sum.
        mask: Boolean `[batch, max_len]`, true where a value counts.
        weights: w, `[batch, max_len]`. Default: all 1.

    Raises:
        ValueError: for `max`.
    """
    if pooling == "max":
        raise ValueError("pooling: expected mean, sum or sqrtn; received 'max', which is not a weighted sum")
    w = ops.ones_like(ops.cast(mask, "float32")) if weights is None else ops.cast(weights, "float32")
    w = ops.where(mask, w, ops.zeros_like(w))
    if pooling == "sum":
        return w
    w = w * weight_unit(ops.max(ops.abs(w), axis=1, keepdims=True))
    n = ops.sum(w if pooling == "mean" else w * w, axis=1, keepdims=True)
    divisor = nonzero(n) if pooling == "mean" else ops.sqrt(nonzero(n))
    return ops.where(n == 0, ops.zeros_like(w), w / divisor)


def weight_unit(largest: Tensor) -> Tensor:
    """Returns a factor for the weights of a bag whose largest magnitude is `largest`; a mean does not depend on it.

    With it, neither the weights of a bag nor their squares overflow or vanish in float32. A power of two, so that it
    rounds nothing, and 1 for magnitudes between 2^-50 and 2^50.
    """
    one = ops.ones_like(largest)
    return ops.where(largest > 2.0**50, one * 2.0**-80, ops.where(largest < 2.0**-50, one * 2.0**76, one))


def nonzero(n: Tensor) -> Tensor:
    """Returns `n` with each 0 replaced by 1: a divisor with a finite gradient."""
    return ops.where(n == 0, ops.ones_like(n), n)
