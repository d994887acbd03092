"""Ragged tensors, which only TensorFlow has, as padded ones. Their own methods suffice: nothing imports TensorFlow."""

from __future__ import annotations

from keras import ops

from .weights import Tensor


def padded(x: Tensor, other: Tensor = None) -> Tensor:
    """Returns a ragged tensor `[batch, (lengths), …]` padded with 0 or False; any other tensor unchanged.

    Args:
        x: The tensor.
        other: If both are ragged, a tensor that must have the same row lengths. Default: none.

    Raises:
        ValueError: if several dimensions are ragged.
        InvalidArgumentError: if the row lengths differ.
    """
    if not is_ragged(x):
        return x
    if is_ragged(other):
        ones = _ones(other)  # Operators of ragged tensors compare their lengths.
        x = x & ones if x.dtype == "bool" else x * ops.cast(ones, x.dtype)
    return x.to_tensor()


def is_ragged(x: Tensor) -> bool:
    """Returns whether a tensor is ragged, in its second dimension.

    Raises:
        ValueError: if several dimensions are ragged.
    """
    if not hasattr(x, "row_splits"):
        return False
    if x.ragged_rank > 1:
        raise ValueError(
            f"expected a ragged tensor with rows of different lengths, [batch, (lengths), …]; received one with "
            f"{x.ragged_rank} ragged dimensions. Pad it with `to_tensor()`, and pass a mask"
        )
    return True


def is_value(x: Tensor) -> Tensor:
    """Returns which elements of a padded ragged tensor are not padding, boolean `[batch, max length]`."""
    return _ones(x).to_tensor()


def _ones(x: Tensor) -> Tensor:
    return x.with_values(ops.ones(ops.shape(x.values)[:1], dtype="bool"))
