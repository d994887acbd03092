"""`RowSums`: everything that an analysis needs to know of some rows. Exact, so the sums of parts are those of the rows.

Tokens are those that the model sees and a vocabulary counts: at most `max_len` of a list, and no empty text. The same
rules in TensorFlow, for anyone's own TFT pipeline, are `preprocessing._tokens` and `preprocessing._kept_tokens`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.spec import CategoricalField, MultivaluedField, NumericField, Spec
from ...transforms.spec.inputs import is_hashed_cross
from ...transforms.sums.exact_sums import (
    NO_VALUES,
    Histogram,
    Moments,
    add_moments,
    histogram_of,
    merge_histograms,
    moments_of,
    no_moments,
)
from ...transforms.sums.token_counts import COUNTS, summed, token_counts, with_counts
from ..arrow_lists import list_lengths, offsets
from ..rows import columns

_EMPTY = pa.scalar(b"", columns.TEXT)


@dataclass(frozen=True)
class RowSums:
    """The sums of some rows.

    Attributes:
        rows: The number of rows.
        tokens: For each vocabulary its tokens with their counts, in the schema `token_counts.COUNTS`, in any order.
        lengths: For each multivalued field the number of rows by list length, int64 `[longest + 1]`.
        moments: Of the numeric fields, in the order of the spec.
        histograms: For each numeric field with quantile buckets the counts of its values.
    """

    rows: int
    tokens: Mapping[str, pa.Table]
    lengths: Mapping[str, np.ndarray]
    moments: Moments
    histograms: Mapping[str, Histogram]


def sums_of(rows: pa.RecordBatch, spec: Spec) -> RowSums:
    """Returns the sums of valid rows (`rows.checks.Checked.rows`).

    Args:
        rows: The rows of a batch; no columns if there are none.
        spec: Their spec. A list is truncated where its `max_len` is a number, not where it is still open.
    """
    if not rows.num_rows:
        return no_rows(spec)
    lists = spec.fields_of(MultivaluedField)
    tokens = {name: _single_tokens(rows[name], field) for name, field in spec.fields_of(CategoricalField).items()}
    tokens |= {name: _kept_tokens(rows[name], field) for name, field in lists.items()}
    # A cross with hashed ids has no tokens.
    tokens = {name: values for name, values in tokens.items() if not is_hashed_cross(spec, name)}
    numbers = {name: _present_numbers(rows[name]) for name in spec.fields_of(NumericField)}
    moments = [moments_of(values) for values in numbers.values()]
    return RowSums(
        rows=rows.num_rows,
        tokens={
            vocabulary: token_counts(
                pa.chunked_array([tokens[name] for name in fields if name in tokens], columns.TEXT)
            )
            for vocabulary, fields in spec.vocabulary_fields().items()
        },
        lengths={name: np.bincount(columns.bag_lengths(rows[name])) for name in lists},
        moments=Moments(*map(np.stack, zip(*moments, strict=True))) if moments else no_moments(0),
        histograms={name: histogram_of(numbers[name]) for name in _with_buckets(spec)},
    )


def no_rows(spec: Spec) -> RowSums:
    """Returns the sums of no rows."""
    return RowSums(
        rows=0,
        tokens={vocabulary: COUNTS.empty_table() for vocabulary in spec.vocabulary_fields()},
        lengths={name: np.zeros(0, np.int64) for name in spec.fields_of(MultivaluedField)},
        moments=no_moments(len(spec.fields_of(NumericField))),
        histograms=dict.fromkeys(_with_buckets(spec), NO_VALUES),
    )


class RunningSums:
    """The sums of the parts added so far; the order of the parts does not matter."""

    def __init__(self, spec: Spec) -> None:
        nothing = no_rows(spec)
        self._tokens = {vocabulary: [table] for vocabulary, table in nothing.tokens.items()}
        self._others = nothing

    def add(self, part: RowSums) -> None:
        """Adds the sums of other rows with the same spec."""
        for vocabulary, counts in part.tokens.items():
            self._tokens[vocabulary] = with_counts(self._tokens[vocabulary], counts)
        own = self._others
        self._others = RowSums(
            rows=own.rows + part.rows,
            tokens={},
            lengths={name: _added(lengths, part.lengths[name]) for name, lengths in own.lengths.items()},
            moments=add_moments([own.moments, part.moments]),
            histograms={
                name: merge_histograms([histogram, part.histograms[name]]) for name, histogram in own.histograms.items()
            },
        )

    def total(self) -> RowSums:
        """Returns the sums of all parts."""
        own = self._others
        tokens = {vocabulary: summed(tables) for vocabulary, tables in self._tokens.items()}
        return RowSums(own.rows, tokens, own.lengths, own.moments, own.histograms)


def total(parts: Iterable[RowSums], spec: Spec) -> RowSums:
    """Returns the sums of all parts."""
    running = RunningSums(spec)
    for part in parts:
        running.add(part)
    return running.total()


def _with_buckets(spec: Spec) -> list[str]:
    return [name for name, field in spec.fields_of(NumericField).items() if field.quantiles is not None]


def _added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    longest = max(len(a), len(b))
    return np.pad(a, (0, longest - len(a))) + np.pad(b, (0, longest - len(b)))


def _single_tokens(values: pa.Array, field: CategoricalField) -> pa.Array:
    """Returns the tokens of a column; null where one is missing, unless missing values have a token."""
    return values if field.absent_token is None else values.fill_null(field.absent_token.encode())


def _kept_tokens(lists: pa.Array, field: MultivaluedField) -> pa.Array:
    """Returns the tokens of lists that the model sees, in one flat array.

    With `max_len: 2` and `keep: last`; `rank` is the position of a token among the non-empty ones of its row:

        lists      ["a", "", "b", "c"]   ["", "d"]
        rank         0        1    2           0
        lengths      3                   1
        kept                  b    c           d        lengths − 2 <= rank
    """
    values = pc.list_flatten(lists)
    is_present = np.asarray(pc.not_equal(values, _EMPTY))
    lengths = columns.bag_lengths(lists)
    longest = int(lengths.max(initial=0))
    found = values
    if isinstance(field.max_len, int) and longest > field.max_len:
        row = np.repeat(np.arange(len(lists)), list_lengths(lists))[is_present]
        rank = np.arange(len(row)) - offsets(lengths)[row]
        is_kept = rank < field.max_len if field.keep == "first" else rank >= lengths[row] - field.max_len
        found = values.take(pa.array(np.flatnonzero(is_present)[is_kept]))
    if field.absent_token is None:
        return found
    absent = pa.array([field.absent_token.encode()] * int((lengths == 0).sum()), columns.TEXT)
    return pa.concat_arrays([found.cast(columns.TEXT), absent])


def _present_numbers(values: pa.Array) -> np.ndarray:
    """Returns the numbers of a column, float32, without the missing ones; `rows.checks` rejected infinite ones."""
    return values.drop_null().to_numpy(zero_copy_only=False)
