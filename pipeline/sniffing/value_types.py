"""Classifies single values: numbers, times, words, text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Type = Literal["empty", "number", "time", "word", "text", "odd"]

# Words for a missing value. Those of the first set mean nothing else; the others are words in some columns.
SURE_NULLS = {"\\N", "NULL", "nan", "NaN", "NAN", "<NA>", "#N/A", "N/A", "n/a", "(null)", "NaT"}
POSSIBLE_NULLS = {"NA", "na", "null", "Null", "None", "none", "nil", "-", "--", "?", ".", "missing"}
NULLS = SURE_NULLS | POSSIBLE_NULLS

_SIGN = r"[+-]?"
_PLAIN_NUMBER = rf"{_SIGN}(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?"
_GROUPED_NUMBER = rf"{_SIGN}\d{{1,3}}(?:(?P<sign>[,. '\u00a0\u202f])\d{{3}})(?:(?P=sign)\d{{3}})*(?:[.,]\d+)?"
_NUMBER = re.compile(rf"[$€£¥]?\s?(?:{_PLAIN_NUMBER}|{_GROUPED_NUMBER})\s?[%$€£¥]?")
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}))?"
_DATE = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}[- ][A-Z][a-z]{2}[- ]\d{2,4})"
_TIME = re.compile(rf"(?:{_DATE}(?:[T ]{_CLOCK})?|{_CLOCK}|\d{{4}}-\d{{2}})")
_WORD = re.compile(r"[\w.@:/+&?=%#*!()\[\]{}<>'-]+")
_DELIMITERS = re.compile(r"[,;|\t\x01~^¦§\x1e\x1f]|::")


def type_of(value: str, *, is_quoted: bool = False) -> Type:
    """Returns the type of a value. `odd`: it has a character that often is a delimiter, and no quotes."""
    if not value or value in NULLS:
        return "empty"
    if _NUMBER.fullmatch(value):
        return "number"
    if _TIME.fullmatch(value):
        return "time"
    if is_quoted:
        return "text"
    if value[0] in "\"'" and len(value) > 1 and value[-1] == value[0]:
        return "odd"
    if _WORD.fullmatch(value):
        return "text" if value[0] in "\"'" or value[-1] in "\"'" else "word"
    return "odd" if _DELIMITERS.search(value) else "text"


def column_type(values: Iterable[str]) -> Type:
    """Returns the type of at least 90 % of the values that are not empty: number or time, otherwise text; or empty."""
    types: list[Type] = [found for value in values if (found := type_of(value.strip())) != "empty"]
    wanted: tuple[Type, ...] = ("number", "time")
    least = 0.9 * len(types)
    return next((kind for kind in wanted if types and types.count(kind) >= least), "text" if types else "empty")
