"""Converts the columns of the label and of its weight to numbers.

Labels are 0 and 1 if the spec has a rule of positive labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.spec import Label
from ..sources.batches import Reason
from . import columns
from .texts import PLAIN_NUMBERS, NumberRule

_COMPARE: dict[str, Callable[[pa.Array, pa.Scalar], pa.Array]] = {
    ">=": pc.greater_equal,
    ">": pc.greater,
    "<=": pc.less_equal,
    "<": pc.less,
}


def labels(column: pa.Array, label: Label, rule: NumberRule = PLAIN_NUMBERS) -> columns.Column:
    """Returns the labels, float32, null if missing: 0 or 1 with `positive`, otherwise the numbers of the column.

    With `positive`, any text is a label, or any number for a comparison. Words are compared with the texts of tokens:
    `true` is that of a boolean, `1` that of an integer. Numbers are compared as float64, but those of float32 and
    float16 columns in their own precision, so that 4.1 is `>= 4.1` in each of them.
    """
    if label.words is not None:
        texts = columns.tokens(column, label.field)
        words = pa.array([word.encode() for word in label.words], columns.TEXT)
        is_positive = pc.if_else(texts.values.is_null(), None, pc.is_in(texts.values, value_set=words))
        return replace(texts, values=is_positive.cast(pa.float32()))
    if label.comparison is not None:
        operator, bound = label.comparison
        numbers = columns.doubles(column, label.field, rule)
        reason = Reason.NO_NUMBER.format(rule=label.positive) if numbers.reason == Reason.NOT_FINITE else numbers.reason
        is_positive = _COMPARE[operator](numbers.values, pa.scalar(columns.in_precision(bound, column.type)))
        return columns.Column(is_positive.cast(pa.float32()), numbers.bad, reason)
    found = columns.numbers(column, label.field, rule)
    return replace(found, reason=Reason.WRONG_LABEL) if found.reason == Reason.NOT_FINITE else found


def label_weights(column: pa.Array, name: str, rule: NumberRule = PLAIN_NUMBERS) -> columns.Column:
    """Returns the weights of rows, float32, null if missing. Bad: not a finite number. They may be negative."""
    found = columns.numbers(column, name, rule)
    return replace(found, reason=Reason.WRONG_LABEL_WEIGHT) if found.reason == Reason.NOT_FINITE else found
