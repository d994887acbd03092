"""Converts lists of numbers: weights, one for each value of a parallel list, and vectors, all of one length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.spec import ListForm, Source, VectorField
from ..arrow_lists import is_list, list_lengths, lists_of, sum_by_row
from ..sources.batches import Reason
from ..sources.paths import Steps
from . import columns
from .texts import PLAIN_NUMBERS, NumberRule


@dataclass(frozen=True)
class Weights:
    """The weights of the values of a column of bags.

    Attributes:
        values: One weight for each element of the bags, large_list<float>; 0 for elements without a valid weight.
        wrong: Rows in which the weight of a value is not a finite, non-negative number, bool `[rows]`.
        differ: Rows with another number of weights than elements, bool `[rows]`.
    """

    values: pa.Array
    wrong: np.ndarray
    differ: np.ndarray


def weights_of(lists: pa.Array, bags: pa.Array, name: str, rule: NumberRule = PLAIN_NUMBERS) -> Weights:
    """Returns the weights of bags.

    The transform drops the empty elements of a bag with their weights, so their weights may be anything, also missing.
    A bag without values may have another number of weights if all of them are missing: `""` beside null.

    Args:
        lists: The weights, from `columns.lists`.
        bags: The bags, from `columns.bags`.
        name: The column's name, for errors.
        rule: How texts are read as numbers.
    """
    given = columns.numbers(pc.list_flatten(lists), name, rule)
    numbers = given.values.fill_null(np.nan).to_numpy(zero_copy_only=False)
    lengths, bag_lengths = list_lengths(lists), list_lengths(bags)
    is_same = lengths == bag_lengths
    has_weights = sum_by_row(~np.isnan(numbers) | given.bad, lengths) > 0
    differ = ~is_same & (has_weights | (columns.bag_lengths(bags) > 0))

    weights = np.zeros(bag_lengths.sum(), np.float32)
    weights[np.repeat(is_same, bag_lengths)] = numbers[np.repeat(is_same, lengths)]
    is_empty = np.asarray(pc.equal(pc.list_flatten(bags), pa.scalar(b"", columns.TEXT)))
    is_wrong = ~(weights >= 0)
    wrong = sum_by_row(is_wrong & ~is_empty, bag_lengths) > 0
    return Weights(lists_of(bag_lengths, pa.array(np.where(is_wrong, 0, weights))), wrong, differ)


def rule_of(column: pa.Array, form: ListForm | None, source: Source) -> NumberRule:
    """Returns how the numbers in the texts of a column of lists are read: those of JSON and Python have one form."""
    return NumberRule.of(source) if form is None or is_list(column.type) else PLAIN_NUMBERS


@dataclass(frozen=True)
class Vectors:
    """A column of vectors.

    Attributes:
        values: One vector a row, fixed_size_list<float>; null if it is missing or wrong.
        faults: Rows that could not be converted, bool `[rows]`, and the reason, for each kind of fault.
    """

    values: pa.Array
    faults: list[tuple[np.ndarray, str]]


def vectors_of(column: pa.Array, name: str, field: VectorField, steps: Steps, source: Source) -> Vectors:
    """Returns the vectors of a column of lists, or of texts that are lists.

    A vector is missing if its list is missing or empty, or if all of its numbers are missing.

    Args:
        column: The raw column.
        name: Its name, for errors.
        field: The field that reads it.
        steps: The path in parsed lists.
        source: How texts are read as numbers.
    """
    (length,) = field.shape
    lists = _lists(column, name, field, steps, source)
    differs = ~lists.is_missing & (lists.lengths != length)
    is_wrong = ~lists.is_missing & (sum_by_row(np.isnan(lists.numbers), lists.lengths) > 0)
    is_good = ~(lists.is_missing | differs | is_wrong | lists.given.bad)
    vectors = np.zeros((len(is_good), length), np.float32)
    vectors[is_good] = lists.numbers[np.repeat(is_good, lists.lengths)].reshape(-1, length)
    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), length, mask=pa.array(~is_good))
    faults = [
        (lists.given.bad, lists.given.reason),
        (differs, Reason.OTHER_LENGTH.format(length=length)),
        (is_wrong, Reason.NOT_FINITE),
    ]
    if field.rejects_missing:
        faults.append((lists.is_missing & ~lists.given.bad, Reason.NO_VALUE))
    return Vectors(values, faults)


def lengths_of_vectors(column: pa.Array, name: str, field: VectorField, steps: Steps, source: Source) -> np.ndarray:
    """Returns the lengths of the vectors of a column that are not missing, int64; arguments as in `vectors_of`."""
    lists = _lists(column, name, field, steps, source)
    return lists.lengths[~lists.is_missing]


@dataclass(frozen=True)
class _Lists:
    """Lists of numbers: all numbers, float32, NaN where one is missing or wrong; their lengths; which are missing."""

    given: columns.Column
    numbers: np.ndarray
    lengths: np.ndarray
    is_missing: np.ndarray


def _lists(column: pa.Array, name: str, field: VectorField, steps: Steps, source: Source) -> _Lists:
    given = columns.lists(column, name, field.separator, field.list, steps)
    found = columns.numbers(pc.list_flatten(given.values), name, rule_of(column, field.list, source))
    numbers, lengths = found.values.fill_null(np.nan).to_numpy(zero_copy_only=False), list_lengths(given.values)
    return _Lists(given, numbers, lengths, sum_by_row(~np.isnan(numbers) | found.bad, lengths) == 0)
