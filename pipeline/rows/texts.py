"""Converts typed values to the texts of tokens, and texts to numbers.

Equal values have equal texts in every type and file format:

| value | text |
|---|---|
| text, bytes | unchanged, byte for byte |
| boolean | `true`, `false` |
| integer, decimal | its digits |
| float | the fewest digits that give the same number in its own precision; whole numbers as integers: `3.0` is `3` |
| timestamp | ISO 8601 in UTC without trailing zeros: `2024-01-31T10:00:00.5Z`; without a time zone, taken as UTC |
| date | `2024-01-31` |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.errors import SourceError
from ...transforms.spec import Source
from ..sources.batches import is_utf8

TEXT = pa.large_binary()

# Every float64 below this number that has no fraction fits in int64.
_INT64 = 2.0**63

# Seconds since 1970 of the first days of the years -32767 and 32767.
_YEARS = (-1_096_193_779_200, 971_859_427_200)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6}

# Characters that are the same sign: spaces that do not break a line, and the typographic apostrophe.
_SAME_SIGN = {" ": " \u00a0\u202f", "'": "'\u2019"}


@dataclass(frozen=True)
class NumberRule:
    """How texts are read as numbers: see the entries of `source`, and `percent` of numeric fields."""

    decimal: str = "."
    thousands: str | None = None
    percent: bool = False

    @classmethod
    def of(cls, source: Source, *, percent: bool = False) -> NumberRule:
        """Returns the rule of files."""
        return cls(source.decimal, source.thousands, percent)


PLAIN_NUMBERS = NumberRule()


def numbers_of(texts: pa.Array, rule: NumberRule = PLAIN_NUMBERS) -> tuple[pa.Array, np.ndarray]:
    """Returns the numbers in texts, float64, null or NaN if blank; and which texts are not numbers, bool `[rows]`.

    Args:
        texts: large_binary.
        rule: A thousands sign must be between groups of three digits, the first of one to three without a leading zero:
            `1,002.5`, not `1,2,3`.
    """
    if rule == PLAIN_NUMBERS:
        return _plain_numbers(texts)
    texts = pc.utf8_trim_whitespace(_as_utf8(texts))
    is_percent = pc.match_substring_regex(texts, r"[0-9.,]\s*%$") if rule.percent else None
    if is_percent is not None:
        texts = pc.if_else(is_percent, pc.replace_substring_regex(texts, r"\s*%$", ""), texts)
    is_bad = pc.match_substring(texts, ".") if rule.decimal != "." else pa.scalar(False)
    if rule.thousands is not None:
        sign = f"[{_SAME_SIGN.get(rule.thousands, rule.thousands)}]"
        grouped = rf"^[+-]?[1-9][0-9]{{0,2}}({sign}[0-9]{{3}})+([{rule.decimal}][0-9]*)?([eE][+-]?[0-9]+)?$"
        is_grouped, has_sign = pc.match_substring_regex(texts, grouped), pc.match_substring_regex(texts, sign)
        is_bad = pc.and_not(pc.or_(is_bad, has_sign), is_grouped)
        texts = pc.if_else(is_grouped, pc.replace_substring_regex(texts, sign, ""), texts)
    if rule.decimal != ".":
        texts = pc.replace_substring(texts, rule.decimal, ".")
    is_bad = pc.fill_null(pc.and_(pc.is_valid(texts), is_bad), False)
    values, others = _plain_numbers(pc.if_else(is_bad, None, texts).cast(TEXT))
    if is_percent is not None:
        values = pc.if_else(is_percent, pc.divide(values, 100.0), values)
    return values, others | np.asarray(is_bad)


def _plain_numbers(texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
    try:
        trimmed = pc.utf8_trim_whitespace(texts.cast(pa.large_string()))
        trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
        return trimmed.cast(pa.float64()), np.zeros(len(texts), bool)
    except pa.ArrowInvalid:
        parsed = [_float_or_none(value) for value in texts.to_pylist()]
        bad = np.array([value is None for value in parsed])
        return pa.array([0.0 if value is None else value for value in parsed], pa.float64()), bad


def _float_or_none(text: bytes | None) -> float | None:
    """Returns the number in `text`, NaN if it is missing or blank, None if it is not a number."""
    if text is None or not text.strip():
        return float("nan")
    try:
        return float(text.decode("ascii").replace("_", "x"))  # float() would accept "1_000", which pyarrow rejects.
    except ValueError:
        return None


def _as_utf8(texts: pa.Array) -> pa.Array:
    """Returns texts as large_string; those that are not valid UTF-8 become `?`, which is not a number."""
    try:
        return texts.cast(pa.large_string())
    except pa.ArrowInvalid:
        valid = [text if text is None or is_utf8(text) else b"?" for text in texts.to_pylist()]
        return pa.array(valid, TEXT).cast(pa.large_string())


def texts_of(values: pa.Array, name: str) -> pa.Array:
    """Returns the texts of scalars of any type, large_binary; NaN becomes null.

    Raises:
        SourceError: the values are structs, maps or lists; `name` is that of their column.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return texts_of(values.dictionary_decode(), name)
    if pa.types.is_nested(kind):
        raise SourceError(f"column {name!r}: expected text or numbers, found {kind}; flatten it first")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return values.cast(TEXT)
    if pa.types.is_floating(kind):
        return _of_floats(values)
    if pa.types.is_timestamp(kind):
        return _of_times(values)
    return values.cast(pa.large_string()).cast(TEXT)


def _of_floats(values: pa.Array) -> pa.Array:
    if pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    dense = values.cast(pa.float64()).fill_null(0.5).to_numpy(zero_copy_only=False)
    whole = (np.floor(dense) == dense) & np.isfinite(dense)
    small = whole & (np.abs(dense) < _INT64)
    integers = pa.array(np.where(small, dense, 0).astype(np.int64)).cast(pa.large_string())
    texts = pc.if_else(pa.array(small), integers, values.cast(pa.large_string()))
    large = whole & ~small
    if large.any():
        digits = pa.array([f"{number:.0f}" for number in dense[large]], pa.large_string())
        texts = pc.replace_with_mask(texts, pa.array(large), digits)
    return pc.if_else(pc.is_nan(values), None, texts).cast(TEXT)


def _of_times(values: pa.Array) -> pa.Array:
    in_utc = values.cast(pa.timestamp(values.type.unit))  # Arrow stores the time in UTC.
    texts = pc.strftime(in_utc, "%Y-%m-%dT%H:%M:%S").cast(pa.large_string())
    without_zeros = pc.replace_substring_regex(texts, r"\.?0*$", "") if values.type.unit != "s" else texts
    zone, nothing = (pa.scalar(text, pa.large_string()) for text in ("Z", ""))
    return _with_far_times(in_utc, pc.binary_join_element_wise(without_zeros, zone, nothing)).cast(TEXT)


def _with_far_times(times: pa.Array, texts: pa.Array) -> pa.Array:
    """Returns the texts with those of times beyond the year 32767, where strftime overflows, replaced.

    They become for example `<value out of range: 1000000000000>`, as dates do.
    """
    if times.type.unit == "ns":  # These end in 2262.
        return texts
    first, last = (year * _PER_SECOND[times.type.unit] for year in _YEARS)
    numbers = times.cast(pa.int64())
    is_far = pc.or_(pc.less(numbers, first), pc.greater(numbers, last))
    return pc.if_else(is_far, times.cast(pa.large_string()), texts) if pc.any(is_far).as_py() else texts
