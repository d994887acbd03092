"""Converts columns of weights: one number for each value of a list, in a parallel list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrow_lists import list_lengths, lists_of, sum_by_row
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
