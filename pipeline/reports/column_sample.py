"""A column of a sample of rows, and the properties of its values that the proposed spec depends on."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrow_lists import is_list
from ..rows import columns

# Whole numbers with at most FEW distinct values (floats: FEW_FLOATS) are treated as categories, not as amounts.
FEW, FEW_FLOATS = 50, 8

_AMOUNTS = re.compile(r"(.*_)?(age|price|cost|amount|count|num|number|score|size|duration|length)(_.*)?", re.IGNORECASE)
_IDS = re.compile(r"(.*[_\-.])?(id|ids|key|uid|code|zip)|.*(Id|ID|Key)", re.ASCII)
_LETTERS_AND_DIGITS = re.compile(rb"([A-Za-z]+[-_]?)\d+")
_TIMES = re.compile(r"(.*_)?(time|timestamp|date|datetime|ts)(_.*)?|.*_at", re.IGNORECASE)

# A column can only be found to leak the label if each of its values has at least this many rows on average: a rarer
# value may always have the same label by chance.
_LEAST_REPEATS = 20


def present_tokens(values: pa.Array) -> pa.Array:
    """Returns all tokens of a column of tokens or bags, lists flattened, without missing ones, large_binary."""
    flat = pc.list_flatten(values) if is_list(values.type) else values.drop_null()
    return flat.filter(pc.not_equal(flat, pa.scalar(b"", columns.TEXT)))


class ColumnSample:
    """A column of the sample and its properties. Expensive properties are computed once, on first use."""

    def __init__(self, name: str, values: pa.Array) -> None:
        self.name, self.values = name, values

    @cached_property
    def is_list(self) -> bool:
        """Whether the column holds lists."""
        return is_list(self.values.type)

    @cached_property
    def texts(self) -> pa.Array:
        """The values as tokens, lists flattened, without missing ones."""
        if self.is_list:
            return present_tokens(columns.bags(self.values, None, self.name).values)
        return present_tokens(columns.tokens(self.values, self.name).values)

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
        converted = columns.numbers(self.values, self.name)
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
        """Whether the name is that of an id column, for example `user_id`."""
        return _IDS.fullmatch(self.name) is not None

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

    def leaks(self, labels: np.ndarray) -> bool:
        """Whether each value always has the same label, in a column whose values repeat.

        Args:
            labels: 0 or 1, `[rows]`.
        """
        if self.is_list or self.values.null_count or len(self.counts) * _LEAST_REPEATS > len(self.values):
            return False
        codes = self.values.dictionary_encode().indices.to_numpy()
        rates = np.bincount(codes, labels) / np.bincount(codes)
        return bool(np.isin(rates, (0.0, 1.0)).all())

    @property
    def is_unique(self) -> bool:
        """Whether every row has a different value."""
        return len(self.counts) == len(self.values) and not self.is_list

    @property
    def is_time(self) -> bool:
        """Whether the values look like times: by their type, or as numbers by the column's name."""
        kind = self.values.type
        by_name = self.numbers is not None and _TIMES.fullmatch(self.name) is not None
        return pa.types.is_timestamp(kind) or pa.types.is_date(kind) or (by_name and len(self.counts) > FEW)
