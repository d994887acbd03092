"""A shape: a small file as people have it, and its rows as an independent reader (csv, json, pandas) reads them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
ROWS = 300


@dataclass(frozen=True)
class Shape:
    """A file, and what must be found in it.

    Attributes:
        file: Its name, perhaps with folders.
        content: Its bytes.
        rows: Its rows as an independent reader reads them; missing values are None.
        label: The column for --label; None if the file has no label.
        positive: Whether a value of the label's column is positive.
        lists: The tokens of each list column, by the column that a field must read, such as `shelves[].name`.
        numbers: How texts of a column are read as numbers, if not by `float`.
        weights: The weights of each list column that has some, by the column of the weights.
        rejected: The numbers of the rows that do not fit, which are not in `rows`.
        times: The column of times, and how its values are read as something that can be ordered.
    """

    file: str
    content: bytes
    rows: Sequence[Row]
    label: str | None = None
    positive: Callable[[Any], bool] = lambda value: value in ("1", 1, True)
    lists: Mapping[str, Callable[[Row], list[str]]] = field(default_factory=dict)
    numbers: Mapping[str, Callable[[Any], float]] = field(default_factory=dict)
    weights: Mapping[str, Callable[[Row], list[float]]] = field(default_factory=dict)
    rejected: Sequence[int] = ()
    times: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


def value_of(row: Row, column: str) -> Any:
    """Returns the value of a column, or of a dotted path into nested objects; None if there is none."""
    if column in row or "." not in column:
        return row.get(column)
    value: Any = row
    for name in column.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def csv_rows(
    content: bytes,
    names: Sequence[str] | None = None,
    *,
    encoding: str = "utf-8-sig",
    skip: int = 0,
    null: Sequence[str] = ("",),
    width: int | None = None,
    **dialect: Any,
) -> list[Row]:
    """Returns the rows of a delimited text as the module `csv` reads them.

    Args:
        content: The text.
        names: The columns of a text without a header.
        encoding: Its encoding.
        skip: The number of lines before the header.
        null: Texts that mean a missing value.
        width: Rows with another number of values are left out.
        dialect: Options of `csv.reader`.
    """
    text = io.StringIO(content.decode(encoding), newline="")
    for _ in range(skip):
        text.readline()
    return named(csv.reader(text, **dialect), names, null, width)


def split_rows(
    content: bytes,
    delimiter: str,
    names: Sequence[str] | None = None,
    *,
    encoding: str = "utf-8",
    comment: str | None = None,
    null: Sequence[str] = ("",),
) -> list[Row]:
    """Returns the rows of a text without quotes, by `str.split`."""
    lines = content.decode(encoding).splitlines()
    lists = (line.split(delimiter) for line in lines if not (comment and line.startswith(comment)))
    return named(lists, names, null)


def named(
    lists: Iterator[list[str]] | Any, names: Sequence[str] | None, null: Sequence[str] = ("",), width: int | None = None
) -> list[Row]:
    """Returns rows of texts by column: `c0`, `c1`, … if `names` is empty, the first row if it is None."""
    filled = [row for row in lists if row]
    if names is None:
        names = unique(filled.pop(0))
    names = list(names) or [f"c{i}" for i in range(len(filled[0]))]
    kept = [row for row in filled if width is None or len(row) == width]
    return [{n: None if v in null else v for n, v in zip(names, row, strict=False)} for row in kept]


def unique(names: Sequence[str]) -> list[str]:
    """Returns names of which each occurs once: a second `tags` is `tags.1`, as in pandas."""
    return [name if (n := list(names[:i]).count(name)) == 0 else f"{name}.{n}" for i, name in enumerate(names)]


def json_rows(content: bytes) -> list[Row]:
    """Returns the objects of JSON lines, or of an array, as the module `json` reads them."""
    text = content.decode("utf-8-sig")
    found = json.loads(text) if text.lstrip().startswith("[") else map(json.loads, text.splitlines())
    return list(found)


def parts(column: str, separator: str) -> Callable[[Row], list[str]]:
    """Returns the function that splits a list; without spaces around its elements, and without empty elements."""
    return lambda row: [p.strip() for p in (row[column] or "").split(separator) if p.strip()]


def parsed(column: str, parse: Callable[[str], Any], member: str | None = None) -> Callable[[Row], list[str]]:
    """Returns the function that parses a list; of objects, it takes a member."""
    return lambda row: [str(item[member] if member else item) for item in parse(row[column])]
