"""Converts raw Arrow columns of any type to the three forms that the transform takes: tokens, bags and numbers.

Everything is vectorised, and no row is dropped. An invalid value is marked, and the caller rejects its row with the
reason. Texts are bytes, so invalid UTF-8 is a token like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.spec import MISSING_TIME, Constant, ListForm, Spec, constants_of, weights_feature
from ...transforms.spec.inputs import changes_values
from ..arrow_lists import is_list, list_lengths, lists_of, sum_by_row
from ..sources.batches import Reason, is_utf8
from ..sources.list_texts import expected, lists_of_texts
from ..sources.paths import Steps
from .texts import PLAIN_NUMBERS, NumberRule, numbers_of, texts_of
from .texts import TEXT as TEXT

BAG = pa.large_list(pa.large_binary())
WEIGHTS = pa.large_list(pa.float32())


@dataclass(frozen=True)
class Column:
    """Converted values, the rows that could not be converted, bool `[rows]`, and the reason, which they share."""

    values: pa.Array
    bad: np.ndarray
    reason: str = ""


def tokens(column: pa.Array, name: str) -> Column:
    """Returns one token a row, large_binary; null if it is missing (an empty text is missing).

    Integers become decimal text, and so do floats without a fraction (`3.0` becomes `3`: a column of ids with missing
    values is often read as floats). A list must have at most one value.
    """
    if is_list(column.type):
        return _only_values(column, name)
    return Column(_without_empty(texts_of(column, name)), _none_bad(column))


def lists(
    column: pa.Array, name: str, separator: str | None = None, form: ListForm | None = None, steps: Steps = ()
) -> Column:
    """Returns one list a row, with unconverted elements; null if it is missing.

    A column of lists is returned unchanged. Text is split at `separator`, or parsed as a list of the given form (bad:
    it is not such a list); without both, it becomes a list of one text. `steps` are the path in the parsed lists.
    """
    if is_list(column.type):
        return Column(column, _none_bad(column))
    text = texts_of(column, name)
    if form is not None:
        found, bad = lists_of_texts(text, form, steps)
        return Column(found, bad, Reason.NO_LIST.format(expected=expected(form, steps)))
    if separator is not None:
        return Column(pc.split_pattern(text, pattern=separator), _none_bad(column))
    lengths = np.asarray(pc.is_valid(text)).astype(np.int64)
    return Column(lists_of(lengths, text.drop_null()), _none_bad(column))


def bags(
    column: pa.Array,
    separator: str | None,
    name: str,
    *,
    form: ListForm | None = None,
    steps: Steps = (),
    trim: bool = False,
) -> Column:
    """Returns one list of tokens a row, large_list<large_binary>; empty if it is missing.

    Lists are those of `lists`; with `trim`, without the ASCII white space around each element. Null elements become
    empty texts, which the transform drops, so that a parallel list of weights keeps its positions.
    `transforms.tensors.bags.to_lists` splits and trims in the same way, for pipelines that use only the
    `preprocessing_fn`.
    """
    found = lists(column, name, separator, form, steps)
    flat = texts_of(pc.list_flatten(found.values), name).fill_null(b"")
    if trim:
        any_bytes = pc.CastOptions(pa.large_string(), allow_invalid_utf8=True)
        flat = pc.ascii_trim_whitespace(pc.cast(flat, options=any_bytes)).cast(TEXT)
    return Column(lists_of(list_lengths(found.values), flat), found.bad, found.reason)


def numbers(column: pa.Array, name: str, rule: NumberRule = PLAIN_NUMBERS) -> Column:
    """Returns one number a row, float32; null if it is missing (NaN is missing). Bad: not a finite number.

    Texts are read by the rule; it does not change typed numbers.
    """
    found = doubles(column, name, rule)
    return replace(found, values=found.values.cast(pa.float32(), safe=False))


def doubles(column: pa.Array, name: str, rule: NumberRule = PLAIN_NUMBERS) -> Column:
    """Returns one number a row as `numbers` does, but as float64. Bad: not finite as float32."""
    if is_list(column.type):
        single = _only_values(column, name, as_text=False)
        inner = doubles(single.values, name, rule)
        return Column(inner.values, inner.bad | single.bad, single.reason if single.bad.any() else inner.reason)
    values, bad = _float64(column, name, rule)
    dense = values.fill_null(np.nan).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        bad = bad | np.isinf(dense.astype(np.float32))
    return Column(pa.array(dense, mask=np.isnan(dense) | bad), bad, Reason.NOT_FINITE)


def constants(spec: Spec, rows: int) -> dict[str, pa.Array]:
    """Returns a column for each field in `train_only`, and for the weights of its values, which are 1."""
    found = {}
    for name, constant in constants_of(spec).items():
        found[name] = _constant(constant, rows)
        if isinstance(constant, list) and spec.fields[name].is_weighted:
            lengths = list_lengths(found[name])
            found[weights_feature(name)] = lists_of(lengths, pa.array(np.ones(lengths.sum(), np.float32)))
    return found


def _constant(constant: Constant, rows: int) -> pa.Array:
    """Returns a column with one value in all rows: tokens, float32 numbers, null if it is missing, or bags."""
    if isinstance(constant, list):
        return lists_of(np.full(rows, len(constant)), pa.array(constant * rows, TEXT))
    if isinstance(constant, bytes):
        return pa.array([constant or None], TEXT).take(pa.array(np.zeros(rows, np.int64)))
    return pa.array(np.full(rows, constant, np.float32), mask=np.full(rows, np.isnan(constant)))


def with_values(rows: pa.RecordBatch, spec: Spec, *, texts: bool = True) -> pa.RecordBatch:
    """Returns checked rows with the values that the graph computes, so that they can be counted.

    The columns of derived fields are added, and those of normalized or limited ones replaced.

    Args:
        rows: Those of `checks.Checked`.
        spec: The spec of the rows.
        texts: Whether tokens are needed, or only how many there are, which costs less: each one is then the text `#`.
            Those of crosses with `hash_buckets` always are, because they have no text.
    """
    if not rows.num_rows or not changes_values(spec):
        return rows
    from .tft_rows import computed_values  # Imported here because it needs TensorFlow.

    found = dict(zip(rows.schema.names, rows.columns, strict=True))
    return pa.RecordBatch.from_pydict(found | computed_values(rows, spec, texts=texts))


def in_precision(number: float, kind: pa.DataType) -> float:
    """Returns a number rounded as the numbers of a column of this type, or of lists of it, are."""
    kind = kind.value_type if is_list(kind) else kind
    if not pa.types.is_floating(kind):
        return number
    with np.errstate(over="ignore"):
        return float(kind.to_pandas_dtype()(number))


def without_nulls(values: pa.Array) -> pa.Array:
    """Returns the values with nulls replaced by the transform's missing values: the empty text, NaN, the first time.

    Vectors become lists, and a missing one is all NaN.
    """
    if pa.types.is_fixed_size_list(values.type):
        return _vectors_as_lists(values)
    if values.null_count == 0 or is_list(values.type):
        return values
    if pa.types.is_integer(values.type):
        return values.fill_null(MISSING_TIME)
    return values.fill_null(b"" if values.type == TEXT else float("nan"))


def _vectors_as_lists(vectors: pa.Array) -> pa.Array:
    length = vectors.type.list_size
    numbers = np.full((len(vectors), length), np.nan, np.float32)
    numbers[np.asarray(vectors.is_valid())] = vectors.flatten().to_numpy().reshape(-1, length)
    return lists_of(np.full(len(vectors), length), pa.array(numbers.ravel()))


def as_lists(values: pa.Array) -> pa.Array:
    """Returns the Arrow form of a tf.Example feature: lists unchanged, each single value as a list of one."""
    return values if is_list(values.type) else lists_of(np.ones(len(values), np.int64), values)


def bag_lengths(lists: pa.Array) -> np.ndarray:
    """Returns the number of values in each bag, int64 `[rows]`, without empty texts, which the transform drops."""
    texts, lengths = pc.list_flatten(lists), list_lengths(lists)
    if not _has_empty(texts):
        return lengths
    return sum_by_row(np.asarray(pc.not_equal(texts, pa.scalar(b"", TEXT))), lengths)


def longer_than(values: pa.Array, limit: int) -> np.ndarray:
    """Returns which rows have a text longer than `limit` bytes, bool `[rows]`; `values` are texts or lists of texts."""

    def longer(texts: pa.Array) -> np.ndarray:
        lengths = pc.binary_length(texts)
        if (pc.max(lengths).as_py() or 0) <= limit:
            return np.zeros(len(texts), bool)
        return np.asarray(lengths.fill_null(0)) > limit

    return _any_by_row(values, longer)


def not_utf8(values: pa.Array) -> np.ndarray:
    """Returns which rows have a text that is not valid UTF-8, bool `[rows]`; `values` are texts or lists of texts."""

    def invalid(texts: pa.Array) -> np.ndarray:
        try:
            texts.cast(pa.large_string())
        except pa.ArrowInvalid:
            return np.array([text is not None and not is_utf8(text) for text in texts.to_pylist()])
        return np.zeros(len(texts), bool)

    return _any_by_row(values, invalid)


def _any_by_row(values: pa.Array, holds: Callable[[pa.Array], np.ndarray]) -> np.ndarray:
    if not is_list(values.type):
        return holds(values)
    found = holds(pc.list_flatten(values))
    return sum_by_row(found, list_lengths(values)) > 0 if found.any() else np.zeros(len(values), bool)


def _none_bad(column: pa.Array) -> np.ndarray:
    return np.zeros(len(column), bool)


def _only_values(column: pa.Array, name: str, as_text: bool = True) -> Column:
    """Returns the single value of each list, null for an empty list. Bad: lists of several values."""
    lengths = list_lengths(column)
    several = lengths > 1
    firsts = np.cumsum(lengths) - lengths
    flat = pc.list_flatten(column)
    values = flat.take(pa.array(np.where(lengths == 1, firsts, 0), mask=lengths != 1))
    if as_text:
        values = _without_empty(texts_of(values, name))
    return Column(values, several, Reason.SEVERAL_VALUES)


def _has_empty(texts: pa.Array) -> bool:
    """Returns whether a text is empty: often none is, and this costs least."""
    return pc.min(pc.binary_length(texts)).as_py() == 0


def _without_empty(text: pa.Array) -> pa.Array:
    if not _has_empty(text):
        return text
    empty = pc.equal(text, pa.scalar(b"", TEXT))
    return pc.if_else(empty, pa.scalar(None, TEXT), text)


def _float64(column: pa.Array, name: str, rule: NumberRule) -> tuple[pa.Array, np.ndarray]:
    """Returns float64 values, and which rows are not numbers, bool `[rows]`."""
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return column.cast(pa.float64(), safe=False), _none_bad(column)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64()), _none_bad(column)
    return numbers_of(texts_of(column, name), rule)
