"""Row checks: what the source holds, turned into what the transform takes; rows that cannot be are rejected.

Every check runs before TensorFlow Transform sees a row: an error inside it would fail a whole batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.spec import KEY_FEATURE, LABEL_FEATURE, CategoricalField, MultivaluedField, Spec, weights_feature
from ..sources.batches import Rejected, SourceBatch, raw_row
from . import columns
from .splits import NO_SPLIT, assign_splits, split_column

# A text longer than this is cut where a rejected row is written down, and where it is told as the reason.
_RAW_TEXT_LIMIT = 1000
_TOLD_LIMIT = 200


def raw_columns(spec: Spec) -> list[str]:
    """Returns the columns that the spec reads, each once."""
    return _each_once([spec.key, spec.label.field, split_column(spec), *feature_columns(spec)])


def feature_columns(spec: Spec) -> list[str]:
    """Returns the columns that a prediction reads, each once: neither label nor split."""
    wanted = [spec.key]
    for name, field in spec.fields.items():
        wanted.append(spec.column_of(name))
        if isinstance(field, MultivaluedField):
            wanted.append(field.weights)
    return _each_once(wanted)


def _each_once(columns: list[str | None]) -> list[str]:
    return [column for column in dict.fromkeys(columns) if column is not None]


def check_rows(batch: SourceBatch, spec: Spec) -> tuple[pa.RecordBatch, np.ndarray, list[Rejected]]:
    """Returns the rows that can be used, their splits (indices into SPLITS, int8), and the rejected rows.

    The batch has the columns of `transforms.preprocessing.raw_feature_spec`, named by field: tokens and
    numbers that may be null, bags as lists. A row is rejected for the first thing found wrong with it.
    """
    if batch.data.num_rows == 0:
        return pa.RecordBatch.from_pylist([]), np.array([], np.int8), batch.rejected
    good: dict[str, pa.Array] = {}
    checks = _check_key(batch, spec, good) + _check_label(batch, spec, good)
    split, no_split_reason = assign_splits(batch, spec)
    checks.append((split_column(spec) or "(file)", split == NO_SPLIT, no_split_reason))
    checks += _check_fields(batch, spec, good)
    rows, keep, rejected = _good_rows(batch, good, checks)
    return rows, split[keep], rejected


def check_features(batch: SourceBatch, spec: Spec) -> tuple[pa.RecordBatch, np.ndarray, list[Rejected]]:
    """Returns the rows that a prediction can be made for, their numbers in the source, and the rejected rows.

    As `check_rows`, without label and split: neither their columns nor faults in them.
    """
    if batch.data.num_rows == 0:
        return pa.RecordBatch.from_pylist([]), np.array([], np.int64), batch.rejected
    good: dict[str, pa.Array] = {}
    checks = _check_key(batch, spec, good) + _check_fields(batch, spec, good)
    rows, keep, rejected = _good_rows(batch, good, checks)
    return rows, batch.rows[keep], rejected


# A column, which of its rows cannot be used, and why.
_Check = tuple[str, np.ndarray, str]


def _check_key(batch: SourceBatch, spec: Spec, good: dict[str, pa.Array]) -> list[_Check]:
    if spec.key is None:
        return []
    key = columns.tokens(batch.data[spec.key], spec.key)
    good[KEY_FEATURE] = key.values
    return [
        (spec.key, key.bad, key.reason),
        (spec.key, _is_null(key.values), "the key is missing"),
        _not_too_long(spec.key, key.values, spec),
    ]


def _check_label(batch: SourceBatch, spec: Spec, good: dict[str, pa.Array]) -> list[_Check]:
    label = columns.numbers(batch.data[spec.label.field], spec.label.field)
    good[LABEL_FEATURE] = label.values
    return [
        (spec.label.field, label.bad, label.reason),
        (spec.label.field, _is_null(label.values), "the label is missing"),
        (spec.label.field, ~np.isin(label.values.fill_null(0), (0, 1)), "expected a label of 0 or 1"),
    ]


def _check_fields(batch: SourceBatch, spec: Spec, good: dict[str, pa.Array]) -> list[_Check]:
    """Adds the converted columns of all fields to `good`; returns what is wrong with their rows."""
    checks: list[_Check] = []
    for name, field in spec.fields.items():
        column_name = spec.column_of(name)
        column = batch.data[column_name]
        if isinstance(field, MultivaluedField):
            converted = columns.bags(column, field.separator, column_name)
            checks.append((column_name, converted.bad, converted.reason))
            checks.append(_not_too_many(column_name, converted.values, spec))
            checks += _value_checks(column_name, converted.values, field, spec)
            if field.empty == "reject":
                checks.append((column_name, columns.bag_lengths(converted.values) == 0, "the list is empty"))
            if field.weights:
                weight = columns.weights(batch.data[field.weights], field.separator, field.weights)
                lengths, expected = (
                    columns.list_lengths(weight.values),
                    columns.list_lengths(converted.values),
                )
                checks += [
                    (field.weights, weight.bad, weight.reason),
                    (
                        field.weights,
                        lengths != expected,
                        f"as many weights as values of {column_name!r} expected",
                    ),
                ]
                good[weights_feature(name)] = weight.values
        else:
            convert = columns.tokens if isinstance(field, CategoricalField) else columns.numbers
            converted = convert(column, column_name)
            checks.append((column_name, converted.bad, converted.reason))
            if isinstance(field, CategoricalField):
                checks += _value_checks(column_name, converted.values, field, spec)
            if field.missing == "reject":
                checks.append((column_name, _is_null(converted.values) & ~converted.bad, "the value is missing"))
        good[name] = converted.values
    return checks


def _good_rows(
    batch: SourceBatch, good: dict[str, pa.Array], checks: list[_Check]
) -> tuple[pa.RecordBatch, np.ndarray, list[Rejected]]:
    """Returns the rows without fault, which of the batch they are, and the rejected rows."""
    rejected, keep = _reject(batch, checks)
    rows = pa.RecordBatch.from_arrays(list(good.values()), list(good))
    every = sorted(batch.rejected + rejected, key=lambda row: row.row)
    return rows.filter(pa.array(keep)) if rejected else rows, keep, every


def _value_checks(name: str, values: pa.Array, field: CategoricalField | MultivaluedField, spec: Spec) -> list[_Check]:
    checks = [_not_too_long(name, values, spec)]
    if field.text == "utf8":
        checks.append((name, columns.not_utf8(values), "invalid UTF-8"))
    return checks


def _not_too_long(name: str, values: pa.Array, spec: Spec) -> _Check:
    limit = spec.limits.value_bytes
    return name, columns.longer_than(values, limit), f"a value is longer than limits.value_bytes, {limit:,}"


def _not_too_many(name: str, lists: pa.Array, spec: Spec) -> _Check:
    limit = spec.limits.list_values
    return name, columns.list_lengths(lists) > limit, f"the list has more values than limits.list_values, {limit:,}"


def _is_null(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.is_null(values))


def _reject(batch: SourceBatch, checks: list[_Check]) -> tuple[list[Rejected], np.ndarray]:
    """Returns the rejected rows in order, and which rows are left."""
    keep = np.ones(batch.data.num_rows, bool)
    first_fault: dict[int, tuple[str, str]] = {}
    for name, bad, reason in checks:
        for row in np.flatnonzero(bad & keep).tolist():
            first_fault[row] = (name, reason)
        keep &= ~bad
    rejected = []
    for row, (name, reason) in sorted(first_fault.items()):
        raw = {key: _plain(value) for key, value in raw_row(batch.data, row).items()}
        found = f", found {_cut(repr(raw[name]), _TOLD_LIMIT)}" if raw.get(name) is not None else ""
        rejected.append(Rejected(batch.source, int(batch.rows[row]), name, reason + found, raw))
    return rejected, keep


def _plain(value: Any) -> Any:
    """Returns a value that JSON can hold, cut to a readable length."""
    if isinstance(value, list):
        return [_plain(item) for item in value[:100]]
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, str):
        return _cut(value, _RAW_TEXT_LIMIT)
    return value if isinstance(value, int | float | bool | None) else str(value)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
