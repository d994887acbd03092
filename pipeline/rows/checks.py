"""Row checks: convert the raw values of a source to the input of the transform, and reject the rows that do not fit.

Every check runs before TensorFlow Transform sees a row: an error inside it would fail a whole batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.spec import (
    LABEL_FEATURE,
    LABEL_WEIGHT_FEATURE,
    SPLITS,
    MultivaluedField,
    NumericField,
    Spec,
    VectorField,
    VocabularyField,
    weights_feature,
)
from ...transforms.spec.inputs import (
    SourceInput,
    raw_columns,
    read_fields,
    source_inputs,
    split_columns,
    time_column,
)
from ..arrow_lists import list_lengths
from ..sources.batches import Reason, Rejected, SourceBatch, at_paths, raw_row, rejected_row
from . import columns
from .labels import label_weights, labels
from .splits import NO_SPLIT, assign_splits, negatives_left_out
from .texts import NumberRule
from .times import microseconds
from .weights import rule_of, vectors_of, weights_of


@dataclass(frozen=True)
class Checked:
    """A SourceBatch after the checks.

    Attributes:
        source: The file's path.
        read: The number of rows in the batch, including rejected rows.
        rows: The valid rows. The columns are those of `transforms.preprocessing.raw_feature_spec`, named by field:
            tokens, numbers and vectors that may be null, bags as lists. No columns if there are no rows.
        numbers: The number of each row in the source, `[rows]`, as in SourceBatch.
        splits: The split of each row, int8 `[rows]`: an index into SPLITS, or NO_SPLIT if it was not read.
        rejected: The rejected rows, in the order of their numbers.
        source_rows: As in SourceBatch.
        sampled_out: The number of valid rows that the spec's `sample` leaves out; they are not in `rows`.
    """

    source: str
    read: int
    rows: pa.RecordBatch
    numbers: np.ndarray
    splits: np.ndarray
    rejected: list[Rejected]
    source_rows: int | None = None
    sampled_out: int = 0

    def of_split(self, split: str) -> Checked:
        """Returns a copy with only the valid rows of one split."""
        return self._only(self.splits == SPLITS.index(split))

    def without_split(self, split: str) -> Checked:
        """Returns a copy without the rows of one split."""
        return self._only(self.splits != SPLITS.index(split))

    def _only(self, is_in: np.ndarray) -> Checked:
        if not self.rows.num_rows:
            return self
        rows = self.rows.filter(pa.array(is_in))
        return dataclasses.replace(self, rows=rows, numbers=self.numbers[is_in], splits=self.splits[is_in])


def check_rows(
    batch: SourceBatch,
    spec: Spec,
    *,
    label: bool = True,
    split: bool = True,
    sampled: Collection[str] = ("train",),
    constants: bool = True,
) -> Checked:
    """Returns the valid and the rejected rows; a row is rejected for the first fault found.

    If label and split are read, the spec's `sample` leaves out valid rows.

    Args:
        batch: Rows with the columns of `raw_columns`; those of the label and the split only if they are read.
        spec: The spec of the rows.
        label: Whether to read the label and its weight.
        split: Whether to read the split. If not, all rows have the constants of `train_only`, whose columns are not
            read.
        sampled: The splits whose negative rows are sampled.
        constants: Whether rows of eval and test have the constants of `train_only` in place of their values.
    """
    if batch.data.num_rows == 0:
        nothing, splits = pa.RecordBatch.from_pylist([]), np.array([], np.int8)
        return Checked(batch.source, batch.read, nothing, batch.numbers[:0], splits, batch.rejected, batch.source_rows)
    batch = at_paths(batch, raw_columns(spec, label=label, split=split))
    parts = [_unparsed(batch, spec, label=label, split=split), *_copied(batch, spec)]
    splits = np.full(batch.data.num_rows, NO_SPLIT, np.int8)
    if label:
        parts.append(_label(batch, spec))
    if split:
        assigned = assign_splits(batch, spec)
        splits = assigned.codes
        no_split = _Fault(next(iter(split_columns(spec)), "(file)"), splits == NO_SPLIT, assigned.reason)
        parts.append(_Converted(faults=[no_split]))
    parts += [_field(name, batch, spec) for name in read_fields(spec, requests=not split)]
    parts += [_source(name, source, batch, spec) for name, source in source_inputs(spec).items()]

    values = {name: column for part in parts for name, column in part.values.items()}
    if constants:
        in_train = pa.array(splits == SPLITS.index("train"))
        for name, column in columns.constants(spec, batch.data.num_rows).items():
            values[name] = pc.if_else(in_train, values[name], column) if split else column
    rows = pa.RecordBatch.from_arrays(list(values.values()), list(values))
    rejected, keep = _reject(batch, [fault for part in parts for fault in part.faults])
    sampled_out = 0
    if label and split and spec.sample is not None:
        is_negative = np.asarray(rows[LABEL_FEATURE].fill_null(1)) == 0
        left_out = keep & is_negative & np.isin(splits, [SPLITS.index(name) for name in sampled])
        left_out &= negatives_left_out(batch, spec, spec.sample)
        sampled_out, keep = int(left_out.sum()), keep & ~left_out
    rows = rows.filter(pa.array(keep)) if rejected or sampled_out else rows
    return Checked(
        source=batch.source,
        read=batch.read,
        rows=rows,
        numbers=batch.numbers[keep],
        splits=splits[keep],
        rejected=sorted(batch.rejected + rejected, key=Rejected.order),
        source_rows=batch.source_rows,
        sampled_out=sampled_out,
    )


@dataclass(frozen=True)
class _Fault:
    """A column, the rows that are invalid because of it, bool `[rows]`, and the reason."""

    column: str
    rows: np.ndarray
    reason: str


@dataclass(frozen=True)
class _Converted:
    """Converted columns by feature, and the faults found in them, in the order of the checks."""

    values: dict[str, pa.Array] = dataclasses.field(default_factory=dict)
    faults: list[_Fault] = dataclasses.field(default_factory=list)


def _unparsed(batch: SourceBatch, spec: Spec, *, label: bool, split: bool) -> _Converted:
    """Rejects texts on the path of a column, unless `list` says how to parse them."""
    if not batch.in_texts:
        return _Converted()
    parsed = spec.model_copy(update={"fields": {n: f for n, f in spec.fields.items() if not getattr(f, "list", None)}})
    names = [name for name in raw_columns(parsed, label=label, split=split) if name in batch.in_texts]
    return _Converted(faults=[_Fault(name, ~_is_null(batch.data[name]), Reason.TEXT_ON_PATH) for name in names])


def _copied(batch: SourceBatch, spec: Spec) -> Iterator[_Converted]:
    """Yields the columns of the key, which must have a value, and the carried ones, which may lack it."""
    for name, column in spec.copied_columns.items():
        found = columns.tokens(batch.data[column], column)
        faults = [_Fault(column, found.bad, found.reason)]
        if name in spec.key_columns:
            faults.append(_Fault(column, _is_null(found.values), Reason.NO_KEY))
        yield _Converted({name: found.values}, [*faults, _too_long(column, found.values, spec)])


def _label(batch: SourceBatch, spec: Spec) -> _Converted:
    name = spec.label.field
    label = labels(batch.data[name], spec.label, NumberRule.of(spec.source))
    faults = [
        _Fault(name, label.bad, label.reason),
        _Fault(name, _is_null(label.values), Reason.NO_LABEL),
        _Fault(name, ~np.isin(label.values.fill_null(0), (0, 1)), Reason.WRONG_LABEL),
    ]
    if spec.label.weight is None:
        return _Converted({LABEL_FEATURE: label.values}, faults)
    weight = label_weights(batch.data[spec.label.weight], spec.label.weight, NumberRule.of(spec.source))
    faults += [
        _Fault(spec.label.weight, weight.bad, weight.reason),
        _Fault(spec.label.weight, _is_null(weight.values), Reason.NO_LABEL_WEIGHT),
        _Fault(spec.label.weight, np.asarray(pc.less(weight.values.fill_null(0), 0)), Reason.WRONG_LABEL_WEIGHT),
    ]
    return _Converted({LABEL_FEATURE: label.values, LABEL_WEIGHT_FEATURE: weight.values}, faults)


def _field(name: str, batch: SourceBatch, spec: Spec) -> _Converted:
    field = spec.fields[name]
    if isinstance(field, MultivaluedField):
        return _multivalued(name, field, batch, spec)
    column = spec.column_of(name)
    if isinstance(field, VectorField):
        vectors = vectors_of(batch.data[column], column, field, batch.in_texts.get(column, ()), spec.source)
        return _Converted({name: vectors.values}, [_Fault(column, *fault) for fault in vectors.faults])
    if isinstance(field, NumericField):
        found = columns.numbers(batch.data[column], column, NumberRule.of(spec.source, percent=field.percent))
    else:
        found = columns.tokens(batch.data[column], column)
    faults = [_Fault(column, found.bad, found.reason)]
    if isinstance(field, VocabularyField):
        faults += _token_faults(column, found.values, field, spec)
    if field.rejects_missing:
        faults.append(_Fault(column, _is_null(found.values) & ~found.bad, Reason.NO_VALUE))
    return _Converted({name: found.values}, faults)


def _source(name: str, source: SourceInput, batch: SourceBatch, spec: Spec) -> _Converted:
    """Converts a column that only derived fields read."""
    column = batch.data[source.column]
    if source.form == "time":
        found = microseconds(column, source.column, time_column(spec, source.column))
    elif source.form == "number":
        found = columns.numbers(column, source.column, NumberRule.of(spec.source))
    else:
        found = columns.tokens(column, source.column)
    faults = [_Fault(source.column, found.bad, found.reason)]
    if source.form == "token":
        faults.append(_too_long(source.column, found.values, spec))
    return _Converted({name: found.values}, faults)


def _multivalued(name: str, field: MultivaluedField, batch: SourceBatch, spec: Spec) -> _Converted:
    column = spec.column_of(name)
    steps = batch.in_texts.get(column, ())
    bags = columns.bags(batch.data[column], field.separator, column, form=field.list, steps=steps, trim=field.trim)
    lengths, limit = list_lengths(bags.values), spec.limits.list_values
    faults = [
        _Fault(column, bags.bad, bags.reason),
        _Fault(column, lengths > limit, Reason.LONG_LIST.format(limit=limit)),
        *_token_faults(column, bags.values, field, spec),
    ]
    if field.rejects_missing:
        faults.append(_Fault(column, columns.bag_lengths(bags.values) == 0, Reason.EMPTY_LIST))
    if field.weights is None:
        return _Converted({name: bags.values}, faults)
    steps = batch.in_texts.get(field.weights, ())
    rule = rule_of(batch.data[field.weights], field.list, spec.source)
    given = columns.lists(batch.data[field.weights], field.weights, field.separator, field.list, steps)
    weights = weights_of(given.values, bags.values, field.weights, rule)
    faults += [
        _Fault(field.weights, given.bad, given.reason),
        _Fault(field.weights, weights.wrong, Reason.WRONG_WEIGHT),
        _Fault(field.weights, weights.differ, Reason.WRONG_WEIGHTS.format(column=repr(column))),
    ]
    return _Converted({weights_feature(name): weights.values, name: bags.values}, faults)


def _token_faults(column: str, values: pa.Array, field: VocabularyField, spec: Spec) -> list[_Fault]:
    faults = [_too_long(column, values, spec)]
    if field.text == "utf8":
        faults.append(_Fault(column, columns.not_utf8(values), Reason.INVALID_UTF8))
    return faults


def _too_long(column: str, values: pa.Array, spec: Spec) -> _Fault:
    limit = spec.limits.value_bytes
    return _Fault(column, columns.longer_than(values, limit), Reason.LONG_VALUE.format(limit=limit))


def _is_null(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.is_null(values))


def _reject(batch: SourceBatch, faults: list[_Fault]) -> tuple[list[Rejected], np.ndarray]:
    """Returns the rejected rows in order, each with its first fault, and a mask of the other rows, bool `[rows]`."""
    keep = np.ones(batch.data.num_rows, bool)
    first_faults: dict[int, _Fault] = {}
    for fault in faults:
        first_faults |= dict.fromkeys(np.flatnonzero(fault.rows & keep).tolist(), fault)
        keep &= ~fault.rows
    rejected = []
    for row, fault in sorted(first_faults.items()):
        raw, number = raw_row(batch.data, row), batch.numbers[row].item()
        rejected.append(rejected_row(batch.source, number, fault.column, fault.reason, raw))
    return rejected, keep
