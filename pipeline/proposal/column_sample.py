"""A column of a sample of rows, and the properties of its values that the proposed spec depends on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrow_lists import is_list
from ..rows import columns
from ..rows.separators import present_values
from ..rows.texts import PLAIN_NUMBERS, NumberRule
from ..sources.paths import is_text

# Whole numbers with at most FEW distinct values (floats: FEW_FLOATS) are treated as categories, not as amounts.
FEW, FEW_FLOATS = 50, 8

_AMOUNTS = re.compile(r"(.*_)?(age|price|cost|amount|count|num|number|score|size|duration|length)(_.*)?", re.IGNORECASE)
_IDS = re.compile(
    r"(.*[_\-.])?(id|ids|key|uid|code|zip)|.*(Id|ID|Key)"
    r"|(?i:(user|member|visitor|customer|session|item|product|article|news|movie|video|song|track|artist|book|app|ad|"
    r"campaign|category|brand|seller|shop|store|place|venue|device)(id)?)",
    re.ASCII,
)
# The names of columns in files without a header.
NO_NAMES = re.compile(r"_?c\d+|f\d+|col\d+|(column|field|unnamed)[_: ]*\d*|\d*", re.IGNORECASE)

# Amounts such as $9.99, 9,99 € and 12 EUR.
_CURRENCY = re.compile(r"\s*[-+(]?(US)?[$€£¥₹]\s?-?\d[\d.,' ]*\)?\s*|\s*[-+]?\d[\d.,' ]*\s?([$€£¥₹]|EUR|USD|GBP)\s*")

_BRACKETS = re.compile(rb"\s*(\[(?s:.*)\]|\{(?s:.*)\})\s*")

_LETTERS_AND_DIGITS = re.compile(rb"([A-Za-z]+[-_]?)\d+")

# A column can only be found to leak the label if each of its values has at least this many rows on average: a rarer
# value may always have the same label by chance.
_LEAST_REPEATS = 20

# Rows of one label are not by chance if this is at most their probability.
_CHANCE = 1e-6

# Numbers are ids if the variance of their counts is more than _SPREAD times the mean (it is about equal if they are
# spread evenly), and if the logarithms of the counts of neighbours correlate by less than _SMOOTH: small amounts are
# about as frequent as those next to them.
_SPREAD, _SMOOTH = 3.0, 0.5


class ColumnSample:
    """A column of the sample and its properties. Expensive properties are computed once, on first use.

    Args:
        name: The column, or the path to it.
        values: Its values.
        rule: How its texts are read as numbers.
        settings: The settings of a field that reads these values from the file.
        reasons: The reasons for these settings.
    """

    def __init__(
        self,
        name: str,
        values: pa.Array,
        rule: NumberRule = PLAIN_NUMBERS,
        *,
        settings: Mapping[str, Any] = MappingProxyType({}),
        reasons: Sequence[str] = (),
    ) -> None:
        self.name, self.values, self.rule = name, values, rule
        self.settings, self.reasons = settings, reasons

    @cached_property
    def is_list(self) -> bool:
        """Whether the column holds lists."""
        return is_list(self.values.type)

    @property
    def is_text(self) -> bool:
        """Whether the file has texts, as CSV files have, and no typed values."""
        return is_text(self.values.type)

    @cached_property
    def texts(self) -> pa.Array:
        """The values as tokens, lists flattened, without missing ones."""
        if self.is_list:
            return present_values(columns.bags(self.values, None, self.name).values)
        return present_values(columns.tokens(self.values, self.name).values)

    @cached_property
    def counts(self) -> dict[bytes, int]:
        """How often each token occurs, most frequent first."""
        counted = pc.value_counts(self.texts)
        pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
        return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """The present values as numbers; None if a value is not a number."""
        if self.is_list or pa.types.is_timestamp(self.values.type) or pa.types.is_date(self.values.type):
            return None
        converted = columns.numbers(self.values, self.name, self.rule)
        return None if converted.bad.any() else np.asarray(converted.values.drop_null())

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers."""
        return self.numbers is not None and bool(np.all(np.floor(self.numbers) == self.numbers))

    @property
    def is_binary(self) -> bool:
        """Whether all values are 0 or 1, and both occur."""
        return self.numbers is not None and set(np.unique(self.numbers).tolist()) == {0.0, 1.0}

    @property
    def is_named_as_id(self) -> bool:
        """Whether the name is that of an id column, for example `user_id` or `event.item`, or the texts are digits
        after zeros, as codes are.
        """
        return _IDS.fullmatch(re.split(r"\.(?=\D)", self.name)[-1]) is not None or self.has_leading_zeros

    @property
    def has_leading_zeros(self) -> bool:
        """Whether the column has texts of digits such as 00501, all of the same length."""
        if not self.is_text or not any(text.startswith(b"00") for text in self.counts):
            return False
        return len({len(text) for text in self.counts}) == 1 and all(text.isdigit() for text in self.counts)

    @property
    def is_category(self) -> bool:
        """Whether the values are numbers with few distinct values, which are treated as categories."""
        is_float = pa.types.is_floating(self.values.type)
        amount = _AMOUNTS.fullmatch(self.name) is not None
        return self.is_whole and not amount and len(self.counts) <= (FEW_FLOATS if is_float else FEW)

    @property
    def prefix(self) -> str | None:
        """The letters before the digits, if nearly all tokens have the same letters: N for N123 and N456."""
        matched = [_LETTERS_AND_DIGITS.fullmatch(token) for token in self.counts]
        prefixes = Counter(match[1] for match in matched if match)
        prefix, times = prefixes.most_common(1)[0] if prefixes else (b"", 0)
        return prefix.decode() if times > 0.95 * len(self.counts) else None

    @property
    def has_popular_ids(self) -> bool:
        """Whether the values are whole numbers, and their frequencies are those of ids rather than of amounts."""
        if self.numbers is None or not self.is_whole or _AMOUNTS.fullmatch(self.name) is not None:
            return False
        _, times = np.unique(self.numbers, return_counts=True)
        if len(times) <= FEW or times.var() <= _SPREAD * times.mean():
            return False
        return float(np.corrcoef(np.log(times[:-1]), np.log(times[1:]))[0, 1]) < _SMOOTH

    @property
    def spaced(self) -> list[bytes]:
        """The tokens with white space around them."""
        return [token for token in self.counts if token.strip() != token]

    def variants(self, steps: Sequence[str]) -> list[bytes]:
        """Returns the tokens that `normalize` with these steps makes equal to a more frequent one."""
        first: dict[bytes, bytes] = {}
        changed = {token: token.strip() if "strip" in steps else token for token in self.counts}
        if "lower" in steps:
            changed = {token: stripped.lower() for token, stripped in changed.items()}
        return [token for token, same in changed.items() if first.setdefault(same, token) != token]

    def leaks(self, labels: np.ndarray) -> bool:
        """Whether each value always has the same label, in a column whose values repeat, or whether all rows that have
        a value have the same label, which is not by chance.

        Args:
            labels: 0, 1, or NaN if it is missing, `[rows]`.
        """
        if self.is_list:
            return False
        tokens = columns.tokens(self.values, self.name).values
        is_missing, known = np.asarray(tokens.is_null()), ~np.isnan(labels)
        rows = known & ~is_missing
        present, missing = labels[rows], labels[known & is_missing]
        if len(np.unique(present)) == len(np.unique(missing)) == 1 and present[0] != missing[0]:
            return True
        if _is_one_label(present, labels[known]):
            return True
        if len(self.counts) * _LEAST_REPEATS > rows.sum() or len(np.unique(labels[rows])) < 2:
            return False
        codes = tokens.filter(pa.array(rows)).dictionary_encode().indices.to_numpy()
        rates = np.bincount(codes, labels[rows]) / np.bincount(codes)
        return bool(np.isin(rates, (0.0, 1.0)).all())

    @property
    def has_unknown_lists(self) -> bool:
        """Whether nearly all texts are in brackets, with spaces or commas in some: arrays of NumPy or PostgreSQL.

        Lists in the syntax of JSON and Python are no longer texts when fields are proposed.
        """
        if not self.is_text or not self.counts:
            return False
        in_brackets = [_BRACKETS.fullmatch(text) is not None for text in self.counts]
        return sum(in_brackets) >= 0.95 * len(in_brackets) and any(re.search(rb"[ ,:]", text) for text in self.counts)

    @property
    def is_currency(self) -> bool:
        """Whether nearly all texts are amounts with the sign of a currency."""
        is_amount = [
            _CURRENCY.fullmatch(text.decode("utf-8", "replace")) is not None for text in list(self.counts)[:1000]
        ]
        return bool(is_amount) and sum(is_amount) >= 0.95 * len(is_amount)

    @property
    def is_unique(self) -> bool:
        """Whether every row has a different value."""
        return self.never_repeats and len(self.texts) == len(self.values)

    @property
    def never_repeats(self) -> bool:
        """Whether no value occurs in two rows; rows may have no value."""
        return len(self.counts) == len(self.texts) and not self.is_list


def _is_one_label(labels: np.ndarray, of_all: np.ndarray) -> bool:
    """Returns whether all labels are the same, although other rows have the other label, and this is not by chance."""
    if not len(labels) or len(labels) == len(of_all) or len(np.unique(labels)) > 1:
        return False
    return bool(np.log(np.mean(of_all == labels[0])) * len(labels) <= np.log(_CHANCE))
