"""Pools that turn a padded bag of vectors into one vector and leave the padding out.

`[batch, max_len, dim]` and a mask `[batch, max_len]` go in, `[batch, dim]` comes out. `MaskedMeanPool` is
the one that most models want; its siblings share its contract and differ in the formula alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import keras
from keras import ops

Tensor = Any
Shape = tuple[int | None, ...]


class MaskedPool(keras.Layer):
    """What all masked pools share: arguments, mask, weights, axes. A subclass is one formula.

    The contract, whatever the formula:

    - Values where the mask is false do not count, and get no gradient, even where they are NaN or infinite.
    - A bag that is all padding gives zeros, never NaN, with zero gradients.
    - Neither more padding nor another order of the values changes the result.
    - Without a mask every value counts.

    The mask may come from any source: attached by `keras.layers.Masking` or
    `keras.layers.Embedding(mask_zero=True)`, or explicit, as `mask=`; an explicit one wins. It has the shape
    of the leading dimensions of the inputs, `[batch, max_len]` for `[batch, max_len, dim]`, or their full
    shape, and masks whatever lies below.

    Sums run in float32 where the layer computes in float16 or bfloat16; the result has the layer's compute
    dtype. Integer inputs are cast before they are summed.

    Args:
        axis: The axis or axes to pool, negative ones counted from the end. Default 1: the values of a bag.
            Where there is a mask or weights, at least one axis has to be one of theirs.
        **kwargs: As of `keras.Layer`.

    Call arguments:
        inputs: `[batch, max_len, dim]`, or any other shape.
        mask: Boolean, true where a value counts. Default: the mask attached to `inputs`, if any.
        weights: One number for each value, shaped like a mask. Default: all 1.

    Raises:
        ValueError: if an axis is out of bounds, named twice, or reaches neither mask nor weights; if the
            mask or the weights do not have the shape of the leading dimensions.
    """

    def __init__(self, axis: int | Sequence[int] = 1, **kwargs: Any) -> None:
        # No autocast: under a float16 policy the sums take the inputs as they come.
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

        `inputs_mask` is Keras' way to hand over the attached mask when a second tensor is given, too.
        """
        x = ops.convert_to_tensor(inputs)
        axes = self._axes(len(x.shape))
        mask = inputs_mask if mask is None else mask
        if mask is not None:
            mask = self._leading("mask", ops.cast(ops.convert_to_tensor(mask), "bool"), x, axes)
        if weights is not None:
            weights = ops.cast(ops.convert_to_tensor(weights), self._sum_dtype)
            weights = self._leading("weights", weights, x, axes)
        if any(x.shape[axis] == 0 for axis in axes):  # Not every backend reduces an empty axis.
            outside = [size for axis, size in enumerate(ops.shape(x)) if axis not in axes]
            return ops.zeros(outside, dtype=self.compute_dtype)
        return ops.cast(self._pool(x, mask, weights, axes), self.compute_dtype)

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        """Returns None: a pooled bag has no padding.

        One mask remains: that of bags within a list, `[batch, lists, max_len]` pooled along `max_len`. A
        list is then padding if all of its values are, so that pools nest.
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
        """Returns what `from_config` needs."""
        axis = self.axis if isinstance(self.axis, int) else list(self.axis)
        return {**super().get_config(), "axis": axis}

    def _pool(self, x: Tensor, mask: Tensor | None, weights: Tensor | None, axes: tuple[int, ...]) -> Tensor:
        """Applies the formula; `mask` and `weights` have the rank of `x`, with 1 where they do not reach."""
        raise NotImplementedError

    @property
    def _sum_dtype(self) -> str:
        return "float32" if self.compute_dtype in ("float16", "bfloat16") else self.compute_dtype

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
            raise ValueError(f"{type(self).__name__} {self.name!r}: axis={self.axis} names an axis twice")
        return axes

    def _leading(self, name: str, part: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Checks a mask or weights against the leading dimensions of `x`; gives them the rank of `x`."""
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
                f"{type(self).__name__} {self.name!r}: axis={self.axis} of inputs {expected} lies outside of "
                f"`{name}` {received}, which then could not leave anything out; pool an axis below {rank}, "
                f"or give `{name}` the shape of the inputs"
            )
        return ops.reshape(part, (*ops.shape(part), *[1] * (len(expected) - rank)))


class _WeightedSumPool(MaskedPool):
    """A pool of the form Σ w·x / n; a subclass says what `n` is."""

    def _pool(self, x: Tensor, mask: Tensor | None, weights: Tensor | None, axes: tuple[int, ...]) -> Tensor:
        dtype = self._sum_dtype
        x = ops.cast(x, dtype)
        w = ops.ones([1] * len(x.shape), dtype=dtype) if weights is None else weights
        if mask is not None:
            # Before the products and the sum: 0 · NaN is NaN, in the forward pass and in the gradient.
            x = ops.where(mask, x, ops.zeros_like(x))
            w = ops.where(mask, w, ops.zeros_like(w))
        total = ops.sum(x if weights is None else w * x, axis=axes)
        return self._normalise(total, x, w, axes)

    def _normalise(self, total: Tensor, x: Tensor, w: Tensor, axes: tuple[int, ...]) -> Tensor:
        raise NotImplementedError


def _sum_as_wide_as(x: Tensor, w: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Returns Σ w along `axes`, a `w` that is 1 wide counted as often as `x` is wide there."""
    repeats = prod(ops.shape(x)[axis] for axis in axes if w.shape[axis] == 1)
    return ops.sum(w, axis=axes) * ops.cast(repeats, w.dtype)


def _or_one(n: Tensor) -> Tensor:
    """Returns `n` with 1 for 0: a divisor whose gradient is finite as well."""
    return ops.where(n == 0, ops.ones_like(n), n)


@keras.saving.register_keras_serializable(package="fieldpool")
class MaskedMeanPool(_WeightedSumPool):
    """Mean of the values that are not padding: Σ w·x / Σ w, zeros where Σ w is 0.

    Weights are meant to be 0 or more. A negative one is taken as the formula has it; where weights cancel
    out to Σ w = 0, the result is zeros.

    Args, call arguments, errors: see `MaskedPool`.

    Example:
        >>> import numpy as np
        >>> x = np.array([[[10.0], [20.0], [0.0]], [[0.0], [0.0], [0.0]]])
        >>> pooled = MaskedMeanPool()(keras.layers.Masking()(x))
        >>> keras.ops.convert_to_numpy(pooled).tolist()
        [[15.0], [0.0]]
    """

    def _normalise(self, total: Tensor, x: Tensor, w: Tensor, axes: tuple[int, ...]) -> Tensor:
        n = _sum_as_wide_as(x, w, axes)
        return ops.where(n == 0, ops.zeros_like(total), total / _or_one(n))


@keras.saving.register_keras_serializable(package="fieldpool")
class MaskedSumPool(_WeightedSumPool):
    """Sum of the values that are not padding: Σ w·x.

    Args, call arguments, errors: see `MaskedPool`.
    """

    def _normalise(self, total: Tensor, x: Tensor, w: Tensor, axes: tuple[int, ...]) -> Tensor:
        return total


@keras.saving.register_keras_serializable(package="fieldpool")
class MaskedSqrtNPool(_WeightedSumPool):
    """Sum over the square root of the count: Σ w·x / √(Σ w²), zeros where all weights are 0.

    Between mean and sum: long bags weigh more, yet the variance of the result does not grow with them.
    `combiner="sqrtn"` in TensorFlow.

    Args, call arguments, errors: see `MaskedPool`.
    """

    def _normalise(self, total: Tensor, x: Tensor, w: Tensor, axes: tuple[int, ...]) -> Tensor:
        n = _sum_as_wide_as(x, w * w, axes)
        return ops.where(n == 0, ops.zeros_like(total), total / ops.sqrt(_or_one(n)))


@keras.saving.register_keras_serializable(package="fieldpool")
class MaskedMaxPool(MaskedPool):
    """Largest of the values that are not padding, element by element; zeros for an all-padding bag.

    It takes no weights. Args, call arguments, other errors: see `MaskedPool`.

    Raises:
        ValueError: if `weights` are given.
    """

    def _pool(self, x: Tensor, mask: Tensor | None, weights: Tensor | None, axes: tuple[int, ...]) -> Tensor:
        if weights is not None:
            raise ValueError(
                f"MaskedMaxPool {self.name!r}: expected no `weights`, for a maximum has none; received some. "
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
    """Returns the pool that the spec's `pooling:` names: `mean`, `sum`, `sqrtn` or `max`.

    Raises:
        ValueError: if it names none of them.
    """
    if pooling not in _KINDS:
        raise ValueError(f"expected a pooling of {', '.join(_KINDS)}; received {pooling!r}")
    return _KINDS[pooling](**kwargs)


def coefficients(pooling: str, mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns x, `[batch, max_len]`, with pool(v) = Σ x·v, 0 at padding.

    w / Σ w for `mean`, w for `sum`, w / √(Σ w²) for `sqrtn`.

    Args:
        pooling: Not `max`, which is not a sum.
        mask: True where a value is, `[batch, max_len]`.
        weights: w, `[batch, max_len]`; default: 1 each.

    Raises:
        ValueError: for `max`.
    """
    if pooling == "max":
        raise ValueError("expected a pooling of mean, sum, sqrtn; received 'max', which is not a weighted sum")
    w = ops.ones_like(ops.cast(mask, "float32")) if weights is None else ops.cast(weights, "float32")
    w = ops.where(mask, w, ops.zeros_like(w))
    if pooling == "sum":
        return w
    n = ops.sum(w if pooling == "mean" else w * w, axis=1, keepdims=True)
    divisor = _or_one(n) if pooling == "mean" else ops.sqrt(_or_one(n))
    return ops.where(n == 0, ops.zeros_like(w), w / divisor)
