"""List lengths that a spec leaves open: `max_len: auto` and percentiles."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np

from ...transforms.spec import MultivaluedField, Spec


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


def percentile(rows_by_length: Mapping[float, int], percent: float) -> int:
    """Returns the smallest length that at least `percent` % of the rows do not exceed; 0 without rows."""
    if not rows_by_length:
        return 0
    lengths, rows = list(rows_by_length), list(rows_by_length.values())
    share = float(Decimal(str(percent)) / 100)  # In floating point, 99.9 / 100 is greater than 0.999.
    return int(np.quantile(lengths, share, weights=rows, method="inverted_cdf"))
