"""Finds the separator of lists that are written as texts."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import columns

# Separators to try, in this order, and the share of the texts that must contain one: `|` and the control characters of
# Hive are rarely used otherwise. With a separator of two characters, no value may contain the first of them.
_SEPARATORS = {"||": 0.05, "::": 0.2, "\x02": 0.05, "\x1f": 0.05, "\x1e": 0.05, "|": 0.05, "^": 0.2, "~": 0.2}
_SEPARATORS |= {";": 0.2, "\t": 0.2, ">": 0.2, "、": 0.2, "，": 0.2, ",": 0.2, "/": 0.2, " ": 0.2}
_RARE = {"\x02", "\x1f", "\x1e", "|", "||"}


@dataclass(frozen=True)
class JoinedLists:
    """Texts that look like joined lists.

    Attributes:
        separator: The separator, with the spaces around it.
        share: The share of texts that contain it.
        texts: The number of distinct texts.
        values: The number of distinct values that they are made of.
        untidy: Values that have spaces around them or still contain the separator's character: the lists are not
            joined in one way, so that one token has several spellings.
    """

    separator: str
    share: float
    texts: int
    values: int
    untidy: list[bytes]


def joined_lists(texts: pa.Array, least_share: float = 0.0) -> JoinedLists | None:
    """Returns how texts are joined lists; None if they do not look like it.

    Args:
        texts: large_binary, without nulls and empty texts.
        least_share: The share of the texts that must contain the separator; some separators need more than 0.
    """
    for character, at_least in _SEPARATORS.items():
        share = float(np.mean(pc.match_substring(texts, character.encode()))) if len(texts) else 0.0
        if share < max(at_least, least_share):
            continue
        spaced = [character] if character.isspace() else [character, f"{character} ", f" {character} "]
        _, found = min((_split(texts, separator, character[0], share) for separator in spaced), key=itemgetter(0))
        if len(character) > 1 and found.untidy:
            continue
        # In lists, the same values occur in several texts.
        if character in _RARE or min(found.values, _trimmed_values(texts, character, found)) <= found.texts / 2:
            return found
    return None


def _trimmed_values(texts: pa.Array, character: str, found: JoinedLists) -> int:
    """Returns the number of distinct values if untidy lists are split at the character alone, and trimmed."""
    if not found.untidy:
        return found.values
    return int(pc.count_distinct(present_values(columns.bags(texts, character, "", trim=True).values)).as_py())


def present_values(texts_or_lists: pa.Array) -> pa.Array:
    """Returns all tokens of a column of tokens or bags, lists flattened, without missing ones, large_binary."""
    is_text = texts_or_lists.type == columns.TEXT
    flat = texts_or_lists.drop_null() if is_text else pc.list_flatten(texts_or_lists)
    return flat.filter(pc.not_equal(flat, pa.scalar(b"", columns.TEXT)))


def _split(texts: pa.Array, separator: str, character: str, share: float) -> tuple[int, JoinedLists]:
    """Returns how often untidy values occur, and the result of `joined_lists` for a separator."""
    values = present_values(columns.bags(texts, separator, "").values)
    spaced = pc.match_substring_regex(values, r"^\s|\s$")
    joined = pc.match_substring(values, character.encode())
    untidy = values.filter(pc.or_(spaced, joined))
    distinct = pc.count_distinct(texts).as_py(), pc.count_distinct(values).as_py()
    return len(untidy), JoinedLists(separator, share, *distinct, pc.unique(untidy).to_pylist())
