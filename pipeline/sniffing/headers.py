"""Determines whether the first row of a CSV file names the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import mean

from .csv_text import Row
from .value_types import NULLS, column_type, type_of

_NAME = re.compile(r"[^\W\d][\w .#%/()-]{0,60}")
_KNOWN = re.compile(
    r"(?i)(.*[_ -])?(id|ids|user|item|name|title|label|click(ed|s)?|time(stamp)?|date|rating|score|price|age|genres?|"
    r"tags?|category|categories|type|event|text|value|count|target|gender|country|city|session|query|position|url)"
)
# The number of rows and of values that are compared with the first row.
_MOST_ROWS = 1000
_MOST_VALUES = 50_000


def has_header(first: Row, rows: Sequence[Row]) -> tuple[bool, str]:
    """Returns whether the first row has the names of the columns, and why.

    Args:
        first: The first row.
        rows: Other rows with the same number of values.
    """
    names = [value.strip() for value in first.values]
    others = rows[:: 1 + max(len(rows) // _MOST_ROWS, len(rows) * len(names) // _MOST_VALUES)]
    columns = list(zip(*([value.strip() for value in row.values] for row in others), strict=True))
    if not columns:
        is_names = all(_NAME.fullmatch(name) for name in names) and len(set(names)) == len(names)
        return is_names, f"not certain: the only row is taken as {'names' if is_names else 'values'}"
    types = [column_type(column) for column in columns]
    typed = [(name, found) for name, found in zip(names, types, strict=True) if found in ("number", "time")]
    repeated = next((name for name, found in typed if found == "time" and type_of(name) == "time"), None)
    if repeated:
        return False, f"the first row has the value {_quoted(repeated)}, as other rows do"
    named = [
        (name, found)
        for name, column, found in zip(names, columns, types, strict=True)
        if found in ("number", "time") and type_of(name) in ("word", "text", "odd") and not _is_code(name, column)
    ]
    if named:
        return True, f"the first row has {_quoted(named[0][0])} above {_plural(named[0][1])}"
    counted = [name for name in names if re.fullmatch(r"\d+", name)]
    if len(counted) >= 2 and counted == [str(int(counted[0]) + index) for index in range(len(counted))]:
        if counted[0] == "0" and len(counted) == len(names) > 2 and len(rows) > 2 and not _count_on(rows):
            return True, f"not certain: the first row counts the columns from 0 to {counted[-1]}"
        if len(rows) > 2 and 1900 <= int(counted[0]) <= 2100:
            return True, f"the first row has the consecutive years {counted[0]} to {counted[-1]}"
    value = next((name for name, _ in typed if name), None)
    if value is not None:
        return False, f"the first row has the value {_quoted(value)}, as other rows do"
    score = sum(_vote(first, index, columns[index], others) for index in range(len(names)))
    score -= sum(
        2 for name, found in zip(names[1:], types[1:], strict=True) if found in ("number", "time") and not name
    )
    score -= 2 if types[0] == "time" and not names[0] else 0
    score -= 2 if len(set(names)) < len(names) else 0
    doubt = "" if score <= -4 or score >= 1.5 else "not certain: all columns are text; "
    if score <= -1:
        return False, f"{doubt}the values of the first row are like those of other rows"
    return True, f"{doubt}the first row is taken as names" if doubt else "the first row is unlike other rows"


def _vote(first: Row, index: int, column: Sequence[str], rows: Sequence[Row]) -> float:
    """Returns how much a value of the first row looks like the name of a column of text; below 0, like a value."""
    name, values = first.values[index].strip(), [value for value in column if value and value not in NULLS]
    if not name:
        return 0.5 if values and not index else -0.5  # pandas leaves the name of its index empty.
    if name in NULLS:
        return -2
    if not values:
        return 0.5 if _NAME.fullmatch(name) else 0
    repeated = values.count(name) / len(values)
    if repeated > 0:
        return -2
    vote = 0.0 if _NAME.fullmatch(name) else -1.0
    vote += 1.0 if _KNOWN.fullmatch(name) else 0.0
    if _is_code(name, values):
        return -2
    if len(values) >= 3 and _is_code(values[0], values):
        return 1.5
    shapes = {_shape(value) for value in values}
    if len(values) >= 3 and len(shapes) <= 2:
        vote += 1.5 if _shape(name) not in shapes else 0.0 if shapes == {"a"} else -1.0
    lengths = [len(value) for value in values]
    if len(values) >= 3 and (len(name) < 0.5 * min(lengths) or len(name) > 2 * max(lengths)):
        vote += 0.5
    quoted = mean(index in row.quoted for row in rows)
    if (index in first.quoted) != (quoted > 0.5) and quoted in (0.0, 1.0):
        vote += 1.0
    return vote


def _count_on(rows: Sequence[Row]) -> bool:
    """Returns whether a row has consecutive numbers."""
    numbers = [[int(value) for value in row.values if value.isdecimal()] for row in rows[:_MOST_ROWS]]
    return any(len(found) > 2 and found == list(range(found[0], found[0] + len(found))) for found in numbers)


def _is_code(name: str, column: Sequence[str]) -> bool:
    """Returns whether a text has letters, digits and the length of all values of its column, as hash codes have."""
    is_code = len(name) >= 4 and name.isalnum() and not name.isalpha()
    return is_code and {len(value) for value in column if value} == {len(name)}


def _shape(value: str) -> str:
    """Returns a value with one letter for each run of digits, letters in upper and in lower case."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", value))


def _quoted(value: str) -> str:
    return repr(value[:40])


def _plural(found: str) -> str:
    return {"number": "numbers", "time": "times"}[found]
