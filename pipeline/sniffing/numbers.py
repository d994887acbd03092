"""Finds the words for missing values, and the decimal and thousands signs of numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .csv_text import Row
from .value_types import NULLS, SURE_NULLS, column_type

# Signs that fewer of a column's numbers have are mistakes.
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Column:
    """The values of a column, and which of them are in quotes."""

    name: str
    values: list[str]
    quoted: list[bool]


@dataclass
class NumberSigns:
    """Decimal sign, thousands sign, and why."""

    decimal: str = "."
    thousands: str | None = None
    reasons: dict[str, str] = field(default_factory=dict)


def columns_of(rows: Sequence[Row], names: Sequence[str]) -> list[Column]:
    """Returns the columns of rows with one value for each name."""
    return [
        Column(_in_one_line(name), [row.values[index].strip() for row in rows], [index in row.quoted for row in rows])
        for index, name in enumerate(names)
    ]


def _in_one_line(name: str) -> str:
    """Returns a name for sentences: they are comments in a spec."""
    return "".join(char if char.isprintable() else "?" for char in name[:40])


def null_words(columns: Sequence[Column]) -> tuple[list[str], list[str]]:
    """Returns the words that mean a missing value, and sentences on them and on words that may be values.

    A word means a missing value if the column's other values are numbers or times, if it is `\\N`, or if it is the bare
    NULL in a column of quoted values. A word that may be a value in another column, such as NA, is not proposed.
    """
    found: dict[str, str] = {}
    doubtful: dict[str, str] = {}
    for column in columns:
        counts = Counter(value for value in column.values if value in NULLS)
        others = [value for value in column.values if value and value not in NULLS]
        is_typed = len(others) >= 2 and column_type(others) in ("number", "time")
        for word, count in counts.items():
            where = f"{count} of {len(column.values)} sampled values of `{column.name}`"
            bare = [quoted for value, quoted in zip(column.values, column.quoted, strict=True) if value == word]
            if word == "\\N":
                found.setdefault(word, where)
            elif is_typed:
                found.setdefault(word, f"{where}; the others are {_kind(others)}")
            elif word.upper() == "NULL" and not any(bare) and _all_quoted(column):
                found.setdefault(word, f"{where}; the others are in quotes")
            elif not (word in SURE_NULLS and not any(bare)):
                doubtful.setdefault(word, where)
    words = [word for word in found if word not in doubtful]
    notes = [f"{word}: {found[word]}" for word in words]
    notes += [f"{word} may be a word: {where}" for word, where in doubtful.items()]
    return words, notes


def _kind(values: Sequence[str]) -> str:
    return "numbers" if column_type(values) == "number" else "times"


def _all_quoted(column: Column) -> bool:
    others = [q for value, q in zip(column.values, column.quoted, strict=True) if value and value not in NULLS]
    return len(others) >= 2 and all(others)


def number_signs(columns: Sequence[Column], delimiter: str) -> NumberSigns:
    """Returns the signs in columns of numbers; `.` and none where they are not certain."""
    by_decimal: dict[str, list[str]] = {".": [], ",": []}
    by_thousands: dict[str, list[str]] = {}
    unclear: list[str] = []
    for column in columns:
        values = [value for value in column.values if value and value not in NULLS]
        if column_type(values) != "number":
            continue
        signs_of = Counter(_signs(value) for value in values)
        least = _LEAST_SHARE * (signs_of.total() - signs_of["", ""])
        found = {signs for signs, count in signs_of.items() if count >= least or signs == ("", "")}
        decimals, groups = ({sign for sign in signs if sign} for signs in zip(*found, strict=True))
        if decimals == {"?"} and delimiter != "," and not groups:
            decimals = {"!"}  # Such as 1,234 where no other number says what the comma is.
        elif "?" in decimals and (decimals == {"?"} or "," in groups):
            groups |= {","}
        decimals -= {"?"}
        if len(decimals) > 1 or len(groups) > 1 or decimals & groups or "!" in decimals:
            unclear.append(column.name)
            continue
        for signs, into in ((decimals, by_decimal), (groups, by_thousands)):
            for sign in signs:
                into.setdefault(sign, []).append(column.name)
    return _common_signs(columns, by_decimal, by_thousands, unclear)


def _common_signs(
    columns: Sequence[Column], by_decimal: dict[str, list[str]], by_thousands: dict[str, list[str]], unclear: list[str]
) -> NumberSigns:
    """Returns the signs of the file from the names of the columns that have each."""
    signs = NumberSigns()
    commas, points = by_decimal[","], by_decimal["."]
    if len(commas) > len(points):
        signs.decimal = ","
        signs.reasons["decimal"] = f"`{commas[0]}` has values such as {_example(columns, commas[0], ',')}"
    if commas and points:
        signs.reasons["decimal"] = f"not certain: `{commas[0]}` has decimal commas, `{points[0]}` has decimal points"
    for sign, names in sorted(by_thousands.items(), key=lambda item: -len(item[1])):
        if sign != signs.decimal and signs.thousands is None:
            signs.thousands = sign
            signs.reasons["thousands"] = f"`{names[0]}` has values such as {_example(columns, names[0], sign)}"
    if unclear:
        signs.reasons.setdefault("thousands", f"not certain: commas and points of `{unclear[0]}` may be either sign")
    return signs


def _signs(value: str) -> tuple[str, str]:
    """Returns the decimal and the thousands sign of a number: "" if it has none, "?" if they are not certain, "!" if
    they contradict each other.
    """
    digits = re.split(r"[,.' ]", number := re.sub(r"[^\d,.' ]", "", _with_plain_spaces(value)).strip())
    used = [sign for sign in number if not sign.isdigit()]
    if not used:
        return "", ""
    in_groups = all(len(group) == 3 for group in digits[1:]) and 1 <= len(digits[0]) <= 3
    *before, last = used
    if before and last in ".," and last not in before:
        is_clear = len(set(before)) == 1 and all(len(group) == 3 for group in digits[1:-1])
        return (last, before[0]) if is_clear else ("!", "")
    if before or last not in ".,":
        return ("", last) if in_groups and len(set(used)) == 1 else ("!", "")
    return ("?", "") if last == "," and in_groups and digits[0] != "0" else (last, "")


def _example(columns: Sequence[Column], name: str, sign: str) -> str:
    values = next(column.values for column in columns if column.name == name)
    return next(value for value in values if sign in _with_plain_spaces(value))


def _with_plain_spaces(value: str) -> str:
    """Returns a value with spaces for no-break spaces, which `source.thousands` does not distinguish."""
    return re.sub("[\u00a0\u202f]", " ", value)
