"""The field that is proposed for a column: its type and its settings, with the reasons for them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrow_lists import list_lengths
from ..rows import columns
from ..rows.separators import joined_lists
from ..rows.texts import texts_of
from .column_sample import ColumnSample

_SEQUENCES = re.compile(r".*(history|recent|last|clicked|viewed|watched|seen|sequence|session).*", re.IGNORECASE)

_WHOLE_FLOAT = re.compile(rb"(-?[1-9]\d*|0)\.0+")
_TIMESTAMP = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")

# Vocabularies with fewer tokens get no `min_count`; in others it makes at most the share _MAX_OOV of values OOV.
_SMALL_VOCABULARY = 1000
_MAX_OOV = 0.01

_SHORTEST_VECTOR = 2

# Tokens are hashed if there are at least _MANY_TOKENS, and no `min_count` leaves out most of them.
_MANY_TOKENS, _HASH_BUCKETS = 100_000, 1_000_000

# The least share of rows without a number, and of those with one, that makes the difference worth a field.
_LEAST_MISSING = 0.05


@dataclass(frozen=True)
class Guess:
    """The field proposed for a column.

    Attributes:
        settings: Its settings as plain values.
        reasons: The reasons for them.
        values: The values that the field reads from the column: lists of a multivalued field.
    """

    settings: dict[str, Any]
    reasons: list[str]
    values: ColumnSample


@dataclass(frozen=True)
class DerivedField:
    """A field to derive from others: its settings as plain values, and the reasons for it."""

    settings: dict[str, Any]
    reasons: list[str]


def propose_field(sample: ColumnSample, numbers: ColumnSample) -> Guess:
    """Returns the field proposed for a column.

    Args:
        sample: The column.
        numbers: The column without a few texts that are not numbers; the same if it has none, or many.
    """
    if sample.is_list:
        return _vector(sample) or _multivalued(sample)
    name, distinct = sample.name, len(sample.counts)
    if numbers.numbers is not None:
        if numbers.has_leading_zeros:
            return _categorical(sample, ["whole numbers with zeros before them: treated as ids"])
        if numbers.is_named_as_id and sample.is_text and not numbers.is_whole:
            return _categorical(sample, [f"texts in a column named {name}: treated as ids"])
        if numbers.is_named_as_id and numbers.is_whole:
            return _categorical(sample, [f"whole numbers in a column named {name}: treated as ids"])
        if numbers.is_category:
            return _categorical(sample, [f"whole numbers with only {distinct} distinct values: treated as categories"])
        if numbers.has_popular_ids:
            reason = f"whole numbers with {distinct:,} distinct values, some far more frequent than their neighbours"
            return _categorical(sample, [f"{reason}: treated as ids"])
        return _numeric(numbers, numbers.numbers)
    found = joined_lists(sample.texts)
    if found is not None:
        # Lists that are not all joined in one way are split at the sign alone; the rest is trimmed.
        separator = (found.untidy and found.separator.strip()) or found.separator
        makes = f"{found.values:,} values make {found.texts:,} distinct texts"
        reason = f"{found.share:.0%} of the texts contain {separator!r}: {makes}"
        settings = {"separator": separator}
        bags = columns.bags(sample.values, separator, name).values
        return _multivalued(ColumnSample(name, bags, settings=settings, reasons=[reason]))
    reasons = [f"texts with {distinct:,} distinct values"]
    if sample.is_currency:
        reasons.append("amounts with the sign of a currency are not read as numbers: remove the sign at the source")
    return _categorical(sample, reasons)


def missing_indicators(fields: Mapping[str, Any], values: Mapping[str, ColumnSample]) -> dict[str, DerivedField]:
    """Returns for the numeric fields that often have no number, and often have one, the field that says so, by name.

    The mean that replaces a missing number cannot be told from a number that is the mean. Tokens need no such field.
    """
    found: dict[str, DerivedField] = {}
    for name, settings in fields.items():
        sample = values.get(name)
        if settings["type"] != "numeric" or sample is None or sample.numbers is None:
            continue
        share = 1 - len(sample.numbers) / len(sample.values)
        if _LEAST_MISSING <= share <= 1 - _LEAST_MISSING:
            indicator = {"type": "numeric", "from": {"missing": name}, "scale": "none"}
            reason = f"{name} has no number in {share:.0%} of the rows, which get its mean: 1 in these, else 0"
            found[f"{name}_missing"] = DerivedField(indicator, [reason])
    return found


def _spellings(sample: ColumnSample) -> tuple[dict[str, Any], list[str]]:
    """Returns how to normalize values that differ only by case or by the white space around them, and the reason."""
    if sample.is_named_as_id:
        return {}, []
    candidates = (["strip"], ["lower"], ["strip", "lower"])
    variants, steps = max(((sample.variants(steps), steps) for steps in candidates), key=lambda pair: len(pair[0]))
    if not variants:
        return {}, []
    reason = f"values that are spelling variants of others: {len(variants):,}, such as {_quoted(variants)}: normalized"
    return {"normalize": steps}, [reason]


def _categorical(sample: ColumnSample, reasons: list[str]) -> Guess:
    settings, more = _thresholds(sample.counts)
    normalize, variants = _spellings(sample)
    reasons = [*reasons, *variants, *_other_spelling(sample), *more]
    return Guess({"type": "categorical", **normalize, **settings}, reasons, sample)


def _other_spelling(sample: ColumnSample) -> list[str]:
    """Returns a note if the texts of a column differ from the tokens of the same values in a typed column.

    For example, `True`, `1.0` and `2024-01-31 10:00:00` in CSV files that pandas wrote are `true`, `1` and
    `2024-01-31T10:00:00Z` in Parquet files.
    """
    if not sample.is_text:
        return []
    for text in sample.counts:
        typed = _typed_spelling(text)
        if typed is not None and typed != text:
            shown, other = text.decode(), typed.decode()
            return [f"texts such as {shown!r}: a file with typed values (Parquet, JSON Lines) gives {other!r}"]
    return []


def _typed_spelling(text: bytes) -> bytes | None:
    """Returns the token of the boolean, whole number or timestamp that a text spells, None if it spells none."""
    if text.lower() in (b"true", b"false"):
        return text.lower()
    if _TIMESTAMP.fullmatch(text):
        with contextlib.suppress(ValueError):
            token: bytes = texts_of(pa.array([datetime.fromisoformat(text.decode())]), "")[0].as_py()
            return token
        return None
    whole = _WHOLE_FLOAT.fullmatch(text)
    return whole[1] if whole else None


def _vector(sample: ColumnSample) -> Guess | None:
    """Returns a field of vectors for lists of one length, of numbers that are not whole; None for other lists."""
    lengths = list_lengths(sample.values)
    length = int(lengths.max(initial=0))
    found = columns.doubles(pc.list_flatten(sample.values), sample.name, sample.rule)
    numbers = found.values.drop_null().to_numpy()
    is_whole = (np.floor(numbers) == numbers).all()
    if length < _SHORTEST_VECTOR or not np.isin(lengths, (0, length)).all() or found.bad.any() or is_whole:
        return None
    reasons = [*sample.reasons, f"lists of {length} numbers, not all whole, in every row: vectors"]
    return Guess({"type": "vector", **sample.settings, "length": length}, reasons, sample)


def _multivalued(sample: ColumnSample) -> Guess:
    """Returns a multivalued field, for a column of lists."""
    settings, reasons = dict(sample.settings), list(sample.reasons)
    if sample.spaced:
        example = _quoted(sorted(sample.spaced, key=bytes.isspace))
        reasons.append(f"values with white space around them, such as {example}, are trimmed")
        sample = ColumnSample(sample.name, columns.bags(sample.values, None, sample.name, trim=True).values)
        settings["trim"] = True
    normalize, variants = _spellings(sample)
    settings |= normalize
    reasons = [*(reasons or [f"lists with {len(sample.counts):,} distinct values"]), *variants]
    lengths = list_lengths(sample.values)
    longest, p99 = int(lengths.max(initial=0)), int(np.percentile(lengths, 99, method="inverted_cdf"))
    max_len: int | str = "auto"
    reasons = [*reasons, f"at most {longest} values a row"]
    if longest > max(10, 1.25 * p99):
        max_len = p99
        dropped = np.maximum(lengths - p99, 0).sum() / max(1, lengths.sum())
        reasons.append(f"max_len {p99} truncates at most 1% of the rows and drops {dropped:.1%} of the values")
    settings = {"type": "multivalued", **settings, "max_len": max_len}
    if _SEQUENCES.fullmatch(sample.name) and max_len != "auto":
        settings["keep"] = "last"
        reasons.append("its name is that of a history; assuming that the newest values come last, they are kept")
    thresholds, more = _thresholds(sample.counts)
    return Guess(settings | thresholds, reasons + more, sample)


def _thresholds(counts: Mapping[bytes, int]) -> tuple[dict[str, Any], list[str]]:
    """Returns the largest `min_count` that makes few values OOV; for too many tokens `hash_buckets`; and the reason."""
    if len(counts) < _SMALL_VOCABULARY:
        return {}, []
    times = np.fromiter(counts.values(), np.int64)
    for min_count in (10, 5, 3, 2):
        lost = times[times < min_count].sum() / times.sum()
        if lost <= _MAX_OOV:
            rare = int((times < min_count).sum())
            reason = f"{rare:,} tokens occur fewer than {min_count} times: {lost:.1%} of the values"
            return {"min_count": min_count}, [reason]
    if len(counts) < _MANY_TOKENS:
        return {}, []
    reason = "too many for a vocabulary of all rows: hashed, so that some share an id"
    return {"hash_buckets": _HASH_BUCKETS}, [reason]


def _numeric(sample: ColumnSample, numbers: np.ndarray) -> Guess:
    settings = {"type": "numeric", **sample.settings}
    reasons = ["numbers with a percent sign" if "percent" in settings else "numbers", *sample.reasons]
    middle, high = np.percentile(np.abs(numbers), [50, 99])
    if high > 10 * middle + 1:
        reason = f"median of the absolute values {middle:g}, 99th percentile {high:g}: log scale"
        return Guess(settings | {"scale": "log1p"}, [*reasons, reason], sample)
    return Guess(settings | {"scale": "zscore"}, reasons, sample)


def _quoted(tokens: Sequence[bytes]) -> str:
    return repr(tokens[0].decode("utf-8", "backslashreplace"))
