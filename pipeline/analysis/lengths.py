"""Lengths that a spec leaves open: `max_len: auto` and percentiles of lists, `length: auto` of vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import numpy as np

from ...transforms.errors import SpecError
from ...transforms.spec import MultivaluedField, Spec, VectorField
from ...transforms.spec.inputs import raw_columns
from ..rows.weights import lengths_of_vectors
from ..sources.batches import SourceBatch, at_paths


def open_lengths(spec: Spec) -> dict[str, MultivaluedField]:
    """Returns the fields whose `max_len` is `auto` or a percentile."""
    lists = spec.fields_of(MultivaluedField)
    return {name: field for name, field in lists.items() if not isinstance(field.max_len, int)}


def with_lengths(spec: Spec, rows_by_length: Mapping[str, Mapping[float, int]]) -> Spec:
    """Returns the spec with `auto` and percentile lengths, given the number of train rows by length of each field."""
    fields = dict(spec.fields)
    for name, field in open_lengths(spec).items():
        percent = 100.0 if field.max_len == "auto" else float(str(field.max_len)[1:])
        fields[name] = field.model_copy(update={"max_len": max(1, percentile(rows_by_length[name], percent))})
    return spec.model_copy(update={"fields": fields})


def percentile(rows_by_length: Mapping[float, int] | Mapping[int, int], percent: float) -> int:
    """Returns the smallest length that at least `percent` % of the rows do not exceed; 0 without rows."""
    if not rows_by_length:
        return 0
    lengths, rows = list(rows_by_length), list(rows_by_length.values())
    share = float(Decimal(str(percent)) / 100)  # In floating point, 99.9 / 100 is greater than 0.999.
    return int(np.quantile(lengths, share, weights=rows, method="inverted_cdf"))


def with_vector_lengths(spec: Spec, first_rows: Iterable[SourceBatch]) -> Spec:
    """Returns the spec with a number for each `length: auto`: that of the first row that has a vector.

    Args:
        spec: The spec.
        first_rows: The first rows of each file; they are read until each field has a vector.

    Raises:
        SpecError: none of these rows has a vector.
    """
    left = {name: field for name, field in spec.fields_of(VectorField).items() if field.length == "auto"}
    fields = dict(spec.fields)
    for batch in first_rows if left else ():
        if not batch.data.num_rows:
            continue
        at = at_paths(batch, raw_columns(spec))
        for name, field in list(left.items()):
            column = spec.column_of(name)
            steps = at.in_texts.get(column, ())
            lengths = lengths_of_vectors(at.data[column], column, field, steps, spec.source)
            if len(lengths):
                fields[name] = left.pop(name).model_copy(update={"length": int(lengths[0])})
        if not left:
            break
    if left:
        name = next(iter(left))
        raise SpecError(
            f"fields.{name}.length: none of the first rows has a vector in {spec.column_of(name)!r}; set it"
        )
    return spec.model_copy(update={"fields": fields}) if fields != spec.fields else spec
