"""Pooling layers: each turns a padded bag of vectors into one vector, without the padding.

From `[batch, max_len, dim]` and a mask `[batch, max_len]` they compute `[batch, dim]`. `MaskedMeanPool` suits most
models; the others differ only in the formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any

import keras
from keras import ops

from .ragged import is_ragged, is_value, padded
from .weights import Tensor, nonzero, weight_unit

Shape = tuple[int | None, ...]


def sum_dtype(dtype: str) -> str:
    """Returns the dtype of sums of a dtype: float32 for float16 and bfloat16, whose few digits a sum soon exceeds."""
    return "float32" if dtype in ("float16", "bfloat16") else dtype


class MaskedPool(keras.Layer):
    """Base of the masked pools: arguments, mask, weights and axes. A subclass has the formula.

    For every formula:

    - Values where the mask is false do not count, and get no gradient, even where they are NaN or infinite.
    - A bag that contains only padding gives zeros, never NaN, with zero gradients.
    - The length of the padding and the order of the values do not change the result.
    - Without a mask all values count.

    The mask is the one that `keras.layers.Masking` or `keras.layers.Embedding(mask_zero=True)` attached to the inputs,
    or the explicit argument `mask`, which takes precedence. It has the shape of the leading dimensions of the inputs,
    `[batch, max_len]` for `[batch, max_len, dim]`, or their full shape, and is broadcast to the other dimensions. On
    TensorFlow inputs, mask and weights may be ragged, `[batch, (lengths), dim]`: padding is added, and does not count.

    Sums are computed in float32 if the compute dtype of the layer is float16 or bfloat16; the result has the compute
    dtype. Integer inputs are cast before they are summed.

    Args:
        axis: The axis or axes to pool; negative ones count from the end. Default 1: the values of a bag. At least one
            must be an axis of the mask and of the weights, if these are given.
        **kwargs: Arguments of `keras.Layer`.

    Call arguments:
        inputs: `[batch, max_len, dim]`, or any other shape.
        mask: Boolean, true where a value counts. Default: the mask attached to `inputs`, if any.
        weights: One number per value, in the shape of a mask. Default: all 1.

    Raises:
        ValueError: if an axis is out of bounds or given twice; if no axis is one of the mask or of the weights; if the
            mask or the weights do not have the shape of the leading dimensions.
    """

    def __init__(self, axis: int | Sequence[int] = 1, **kwargs: Any) -> None:
        # No autocast, so that under a float16 policy the sums get the inputs before they are rounded.
        super().__init__(autocast=False, **kwargs)
        self.axis: int | tuple[int, ...] = axis if isinstance(axis, int) else tuple(axis)
        if self.axis == ():
            raise ValueError(f"{type(self).__name__}: expected `axis` to name at least one axis, received ()")
        self.supports_masking = True

    def call(
        self,
        inputs: Tensor,
        mask: Tensor | None = None,
        weights: Tensor | None = None,
        inputs_mask: Tensor | None = None,
    ) -> Tensor:
        """Returns `inputs` without the pooled axes.

        `inputs_mask` is the attached mask: Keras uses this name if the call has a second tensor.
        """
        x = ops.convert_to_tensor(padded(inputs))
        axes = self._axes(len(x.shape))
        given = [inputs_mask if mask is None else mask, is_value(inputs) if is_ragged(inputs) else None]
        bools = [ops.cast(ops.convert_to_tensor(padded(m, inputs)), "bool") for m in given if m is not None]
        masks = [self._leading("mask", m, x, axes) for m in bools]
        mask = reduce(ops.logical_and, masks) if masks else None
        if weights is not None:
            weights = ops.cast(ops.convert_to_tensor(padded(weights, inputs)), self._sum_dtype)
            weights = self._leading("weights", weights, x, axes)
        if any(x.shape[axis] == 0 for axis in axes):  # Not every backend can reduce an empty axis.
            outside = [size for axis, size in enumerate(ops.shape(x)) if axis not in axes]
            return ops.zeros(outside, dtype=self.compute_dtype)
        return ops.cast(self._pool(x, mask, weights, axes), self.compute_dtype)

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        """Returns None: a pooled bag has no padding.

        The exceptions are lists of bags, `[batch, lists, max_len]`, pooled along `max_len`: a bag is then padding if
        all of its values are, so that a second pool can pool the list.
        """
        if isinstance(mask, (list, tuple)):
            mask = ops.convert_to_tensor(mask)
        if mask is None or len(mask.shape) < 3:
            return None
        axes = [axis for axis in self._axes(len(inputs.shape)) if axis < len(mask.shape)]
        is_nested = len(inputs.shape) > len(mask.shape) > len(axes) + 1 and 0 not in axes
        return ops.any(ops.cast(mask, "bool"), axis=tuple(axes)) if is_nested else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns `input_shape` without the pooled axes."""
        axes = self._axes(len(input_shape))
        return tuple(size for axis, size in enumerate(input_shape) if axis not in axes)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments for `from_config`."""
        axis = self.axis if isinstance(self.axis, int) else list(self.axis)
        return {**super().get_config(), "axis": axis}

    def _pool(self, x: Tensor, mask: Tensor | None, weights: Tensor | None, axes: tuple[int, ...]) -> Tensor:
        """Applies the formula. `mask` and `weights` have the rank of `x`, with size 1 in the axes that they lacked."""
        raise NotImplementedError

    @property
    def _sum_dtype(self) -> str:
        return sum_dtype(self.compute_dtype)

    def _axes(self, rank: int) -> tuple[int, ...]:
        given = (self.axis,) if isinstance(self.axis, int) else self.axis
        for axis in given:
            if not -rank <= axis < rank:
                raise ValueError(
                    f"{type(self).__name__} {self.name!r}: expected `axis` from {-rank} to {rank - 1} for "
                    f"inputs of rank {rank}, received axis={self.axis}"
                )
        axes = tuple(sorted({axis % rank for axis in given}))
        if len(axes) != len(given):
            raise ValueError(f"{type(self).__name__} {self.name!r}: axis={self.axis} has the same axis twice")
        return axes

    def _leading(self, name: str, part: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Checks that a mask or weights have the leading dimensions of `x`; returns them with the rank of `x`."""
        expected, received = tuple(x.shape), tuple(part.shape)
        rank = len(received)
        unequal = any(None not in (e, r) and e != r for e, r in zip(expected, received, strict=False))
        if not 1 <= rank <= len(expected) or unequal:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: expected `{name}` with the shape of the leading "
                f"dimensions of the inputs, such as {expected[:2]} or {expected}; received {received}"
            )
        if min(axes) >= rank:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: axis={self.axis} of inputs {expected} is not an axis of "
                f"`{name}` {received}, so `{name}` would have no effect; pool an axis below {rank}, or give "
                f"`{name}` the shape of the inputs"
            )
        return ops.reshape(part, (*ops.shape(part), *[1] * (len(expected) - rank)))


class _WeightedSumPool(MaskedPool):
    """Base of pools of the form Σ w·x / n; a subclass defines n."""

    _has_divisor = True

    def _pool(self, x: Tensor, mask: Tensor | None, weights: Tensor | None, axes: tuple[int, ...]) -> Tensor:
        dtype = self._sum_dtype
        x = ops.cast(x, dtype)
        w = ops.ones([1] * len(x.shape), dtype=dtype) if weights is None else weights
        if mask is not None:
            # Before multiplying: 0 · NaN is NaN, in the forward pass and in the gradient.
            x = ops.where(mask, x, ops.zeros_like(x))
            w = ops.where(mask, w, ops.zeros_like(w))
        if weights is not None and self._has_divisor:
            w = w * weight_unit(ops.max(ops.abs(w), axis=axes, keepdims=True))
        total = ops.sum(x if weights is None else w * x, axis=axes)
        return self._normalise(total, x, w, axes)

    def _normalise(self, total: Tensor, x: Tensor, w: Tensor, axes: tuple[int, ...]) -> Tensor:
        raise NotImplementedError


def _broadcast_sum(w: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Returns Σ w along `axes`, as if `w` were broadcast to the shape of `x` there."""
    repeats = prod(ops.shape(x)[axis] for axis in axes if w.shape[axis] == 1)
    return ops.sum(w, axis=axes) * ops.cast(repeats, w.dtype)


@keras.saving.register_keras_serializable(package="fieldpool")
class MaskedMeanPool(_WeightedSumPool):
    """Mean of the values that are not padding: Σ w·x / Σ w, zeros where Σ w is 0.

    Weights should be 0 or more. Negative weights are not an error: the formula is applied, and the result is zeros if
    they cancel out to Σ w = 0. Values where the mask is false do not count, and get no gradient; padding only gives
    zeros, never NaN.

    Args:
        axis: The axis or axes to pool. Default 1: the values of a list.
        **kwargs: Arguments of `keras.Layer`.

    Call arguments:
        inputs: `[batch, max_len, dim]`, or any other shape.
        mask: Boolean, true where a value counts: `[batch, max_len]`. Default: the mask attached to `inputs`, by
            `keras.layers.Embedding(mask_zero=True)` for example; without one, all values count.
        weights: One number per value, in the shape of the mask. Default: all 1.

    Raises:
        ValueError: as `MaskedPool`, the base class.

    Example:
        >>> import numpy as np
        >>> x = np.array([[[10.0], [20.0], [0.0]], [[0.0], [0.0], [0.0]]])
        >>> pooled = MaskedMeanPool()(keras.layers.Masking()(x))
        >>> keras.ops.convert_to_numpy(pooled).tolist()
        [[15.0], [0.0]]
    """

    def _normalise(self, total: Tensor, x: Tensor, w: Tensor, axes: tuple[int, ...]) -> Tensor:
        n = _broadcast_sum(w, x, axes)
        return ops.where(n == 0, ops.zeros_like(total), total / nonzero(n))


@keras.saving.register_keras_serializable(package="fieldpool")
class MaskedSumPool(_WeightedSumPool):
    """Sum of the values that are not padding: Σ w·x.

    Args, call arguments, errors: see `MaskedPool`.
    """

    _has_divisor = False

    def _normalise(self, total: Tensor, x: Tensor, w: Tensor, axes: tuple[int, ...]) -> Tensor:
        return total


@keras.saving.register_keras_serializable(package="fieldpool")
class MaskedSqrtNPool(_WeightedSumPool):
    """Sum over the square root of the count: Σ w·x / √(Σ w²), zeros where all weights are 0.

    Between mean and sum: longer bags give larger results, but the variance does not grow with their length. The same
    as `combiner="sqrtn"` in TensorFlow.

    Args, call arguments, errors: see `MaskedPool`.
    """

    def _normalise(self, total: Tensor, x: Tensor, w: Tensor, axes: tuple[int, ...]) -> Tensor:
        n = _broadcast_sum(w * w, x, axes)
        return ops.where(n == 0, ops.zeros_like(total), total / ops.sqrt(nonzero(n)))


@keras.saving.register_keras_serializable(package="fieldpool")
class MaskedMaxPool(MaskedPool):
    """Elementwise maximum of the values that are not padding; zeros for a bag that contains only padding.

    It takes no weights. Args, call arguments, other errors: see `MaskedPool`.

    Raises:
        ValueError: if `weights` are given.
    """

    def _pool(self, x: Tensor, mask: Tensor | None, weights: Tensor | None, axes: tuple[int, ...]) -> Tensor:
        if weights is not None:
            raise ValueError(
                f"MaskedMaxPool {self.name!r}: expected no `weights`, because a maximum has no weights; received some. "
                "Use MaskedMeanPool, MaskedSumPool or MaskedSqrtNPool"
            )
        x = ops.cast(x, self.compute_dtype)
        if mask is None:
            return ops.max(x, axis=axes)
        largest = ops.max(ops.where(mask, x, ops.full_like(x, float("-inf"))), axis=axes)
        return ops.where(ops.any(mask, axis=axes), largest, ops.zeros_like(largest))


_KINDS: dict[str, type[MaskedPool]] = {
    "mean": MaskedMeanPool,
    "sum": MaskedSumPool,
    "sqrtn": MaskedSqrtNPool,
    "max": MaskedMaxPool,
}


def masked_pool(pooling: str, **kwargs: Any) -> MaskedPool:
    """Returns the pooling layer for a `pooling` of the spec: `mean`, `sum`, `sqrtn` or `max`.

    Raises:
        ValueError: for any other `pooling`.
    """
    if pooling not in _KINDS:
        raise ValueError(f"pooling: expected one of {', '.join(_KINDS)}; received {pooling!r}")
    return _KINDS[pooling](**kwargs)
