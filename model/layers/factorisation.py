"""What fields add to the logit of DeepFM, and the factorisation machine: the dot products of all pairs of fields.

Each field has tensors of its own, `[batch, dim]`: in a tensor `[batch, fields, dim]` its vectors would not be next to
each other in memory. Some fields may have one row beside others of many: see `features`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import keras
from keras import ops

from .features import in_all_rows, row_count
from .pooling import sum_dtype
from .weights import Tensor


class FieldTerms(NamedTuple):
    """What a field adds to the logit.

    Attributes:
        vector: m_f, `[batch, dim]`; of tables, it has the compute dtype of their layer.
        linear: linear_f, `[batch]`, which is float32 under mixed precision, too, like all others.
        pairs: The sum of the dot products of all pairs of values within the field, `[batch]`; None if it is not needed.
    """

    vector: Tensor
    linear: Tensor
    pairs: Tensor | None = None


def terms_by_field(vectors: Sequence[Tensor], linear: Tensor, pairs: Tensor | None = None) -> list[FieldTerms]:
    """Returns the terms of each field, from one tensor `[batch, dim]` per field and the others as `[fields, batch]`."""
    terms = [vectors, *(ops.unstack(x, axis=0) for x in (linear, pairs) if x is not None)]
    return [FieldTerms(*of_field) for of_field in zip(*terms, strict=True)]


class Terms(NamedTuple):
    """What all fields add to the logit, and the input of the MLP; float32 or float64.

    Attributes:
        linear: Σ_f linear_f, `[batch, 1]`.
        fm: The factorisation machine and, if fields have them, Σ_f pairs_f, `[batch, 1]`.
        mlp_input: All m_f, one after the other, `[batch, fields · dim]`; None if there is no MLP.
    """

    linear: Tensor
    fm: Tensor
    mlp_input: Tensor | None


def summed(fields: Sequence[FieldTerms], *, mlp: bool) -> Terms:
    """Returns the sums of the terms of fields and, if there is an `mlp`, its input. All vectors are float32."""
    vectors = [field.vector for field in fields]
    linear, fm = sum_of([field.linear for field in fields]), factorisation_machine(vectors)
    if fields[0].pairs is not None:
        fm = fm + sum_of([field.pairs for field in fields])
    return Terms(ops.expand_dims(linear, 1), ops.expand_dims(fm, 1), _in_a_row(vectors) if mlp else None)


def stacked(fields: Sequence[FieldTerms]) -> tuple[Tensor, ...]:
    """Returns the terms of fields as tensors of all: `[batch, fields, dim]`, then one or two `[batch, fields]`."""
    batch = row_count([field.vector for field in fields])
    return tuple(
        ops.stack([in_all_rows(x, batch) for x in terms], axis=1)
        for terms in zip(*fields, strict=True)
        if terms[0] is not None
    )


def _in_a_row(vectors: Sequence[Tensor]) -> Tensor:
    """Returns the vectors of all fields one after the other, in all rows: `[batch, fields · dim]`."""
    batch = row_count(vectors)
    if batch is None:
        return ops.concatenate(vectors, axis=1)
    # One broadcast for several vectors of one row: each would take as long as the concatenation.
    runs = [list(run) for _, run in groupby(vectors, key=lambda vector: vector.shape[0] == 1)]
    return ops.concatenate([in_all_rows(ops.concatenate(run, axis=1), batch) for run in runs], axis=1)


def factorisation_machine(vectors: Sequence[Tensor]) -> Tensor:
    """Returns Σ_{f<g} m_f·m_g, `[batch]`.

    It is computed as Σ_g (Σ_{f<g} m_f)·m_g. The usual ½(‖Σ_f m_f‖² − Σ_f ‖m_f‖²) takes the same time, but where one
    field is much larger than the others, the rounding of its square exceeds all pairs.

    Args:
        vectors: m_f of each field, float32 `[batch, dim]`.
    """
    first, *others = vectors
    # Sums by subtraction, which TensorFlow does not reorder: see `sum_of`, whose stack would take half of the time.
    products, minus_total = ops.zeros_like(first), -first
    for vector in others:
        products = products - minus_total * vector
        minus_total = minus_total - vector
    return ops.sum(products, axis=1)


def sum_of(terms: Sequence[Tensor]) -> Tensor:
    """Returns the sum of tensors, in all rows, always in the same order.

    TensorFlow reorders a chain of additions if it knows that the shapes are equal. Two graphs of the same model, such
    as two signatures of an export, would then round differently.
    """
    batch = row_count(terms)
    return ops.sum(ops.stack([in_all_rows(term, batch) for term in terms], axis=0), axis=0)


def at_least_float32(x: Tensor) -> Tensor:
    """Returns float16 and bfloat16 as float32."""
    x = ops.convert_to_tensor(x)
    return ops.cast(x, sum_dtype(keras.backend.standardize_dtype(x.dtype)))


def squared_norm(vectors: Tensor) -> Tensor:
    """Returns ‖v‖² along the last axis, float32."""
    return ops.sum(ops.square(ops.cast(vectors, "float32")), axis=-1)
