"""Random tables, written as CSV in random dialects by Python, pandas, Arrow, Polars and DuckDB."""

from __future__ import annotations

import csv
import io
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv

Value = str | int | float | None

WORDS = [
    "red",
    "Green",
    "blue sky",
    "Café",
    "naïve",
    "x1",
    "Sci-Fi",
    "Rock 'n' Roll",
    "Größe",
    "o'clock",
    "A&B",
    "No. 5",
]
UNICODE = ["日本", "Привет", "𝒳", "é", "→", "¿qué?"]
PIECES = [
    *WORDS,
    ", ",
    "; ",
    "\t",
    "|",
    '"',
    "'",
    "\n",
    "::",
    " ",
    " - ",
    '5" pipe',
    '"quoted"',
    "100%",
    "a,b;c",
    "(1995)",
]
NAMES = [
    *("id", "user_id", "item", "Title", "price", "clicked", "created at", "tags", "label", "value", "Länge", "x", "c7"),
    *("text", "session", "rate (%)", "country", "lat", "lon", "review", "category", "position", "is_new", "age"),
]
DELIMITERS = [",", "\t", ";", "|", "\x01"]
LONG_DELIMITERS = ["::", "||", "|~|", "^|^", "~~"]


@dataclass(frozen=True)
class Table:
    """Columns of texts, whole numbers or floats, with their names; None is a missing value."""

    names: list[str]
    columns: list[list[Value]]

    @property
    def rows(self) -> list[tuple[Value, ...]]:
        """The rows."""
        return list(zip(*self.columns, strict=True))

    def has(self, text: str) -> bool:
        """Whether a value has a text."""
        return any(isinstance(value, str) and text in value for column in self.columns for value in column)


@dataclass(frozen=True)
class Written:
    """A table as CSV.

    Attributes:
        content: The bytes.
        source: The entries of `source` that describe the dialect.
        options: The options of the writer, for messages.
    """

    content: bytes
    source: dict[str, Any]
    options: dict[str, Any]


def random_table(rng: random.Random, most_rows: int = 200) -> Table:
    """Returns a table of 2 to 8 columns and 1 to `most_rows` rows; small ones are as frequent as large ones."""
    width, rows = rng.randint(2, 8), int(most_rows ** rng.random())
    kinds = [rng.choice(list(KINDS)) for _ in range(width)]
    missing = [rng.choice([0, 0, 0.1, 0.5]) for _ in range(width)]
    columns = [
        [None if rng.random() < share else value for value in KINDS[kind](rng, rows)]
        for kind, share in zip(kinds, missing, strict=True)
    ]
    return Table(rng.sample(NAMES, width), columns)


def _texts(rng: random.Random, rows: int) -> list[Value]:
    def text() -> str:
        return "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 8))).strip() or "x"

    return [text() for _ in range(rows)]


def _words(rng: random.Random, rows: int) -> list[Value]:
    words = rng.sample(WORDS + UNICODE, rng.randint(2, 8))
    return [rng.choice(words) for _ in range(rows)]


def _lists(rng: random.Random, rows: int) -> list[Value]:
    lists = [rng.sample(WORDS, rng.randint(0, 4)) for _ in range(rows)]
    how: Callable[[list[str]], str] = rng.choice(["|".join, ", ".join, " ".join, json.dumps, repr])
    return [how(values) or None for values in lists]


KINDS: dict[str, Callable[[random.Random, int], list[Value]]] = {
    "texts": _texts,
    "words": _words,
    "lists": _lists,
    "whole": lambda rng, rows: [rng.randint(-5, 10 ** rng.randint(1, 9)) for _ in range(rows)],
    "bits": lambda rng, rows: [rng.randint(0, 1) for _ in range(rows)],
    "floats": lambda rng, rows: [rng.randint(-400, 4000) + rng.choice([0.25, 0.5, 0.125]) for _ in range(rows)],
    "seconds": lambda rng, rows: [1_500_000_000 + rng.randint(0, 10**8) for _ in range(rows)],
    "dates": lambda rng, rows: [f"20{rng.randint(10, 25)}-03-{rng.randint(10, 28)}" for _ in range(rows)],
    "times": lambda rng, rows: [f"2024-03-{rng.randint(10, 28)} 12:{rng.randint(10, 59)}:07" for _ in range(rows)],
    "codes": lambda rng, rows: [f"{rng.getrandbits(32):08x}" for _ in range(rows)],
}


def _source(delimiter: str, header: bool, options: dict[str, Any] | None = None, null: str = "") -> dict[str, Any]:
    """Returns the entries of `source` for options of Python's csv."""
    options = options or {}
    escape = options.get("escapechar")
    return (
        {"format": "csv", "delimiter": delimiter, "header": header, "quote": options.get("quotechar", '"')}
        | ({"escape": escape} if escape else {})
        | {"null_values": ["", null]}
    )


def _null_word(table: Table, rng: random.Random) -> str:
    """Returns a text for missing values: one that may be a word only if all of them are in columns of numbers."""
    numbers = [sum(isinstance(value, int | float) for value in column) for column in table.columns]
    missing = [column.count(None) for column in table.columns]
    is_clear = all(
        not lost or count > max(1, len(column) - lost - 1)
        for lost, count, column in zip(missing, numbers, table.columns, strict=True)
    )
    return rng.choice(["", "", "\\N", *(["NULL", "NA", "nan"] if is_clear else [])])


def write(table: Table, writer: str, rng: random.Random) -> Written | None:
    """Returns the table as CSV in a random dialect of a writer, None if the writer cannot write it so."""
    return WRITERS[writer](table, rng)


def _by_csv(table: Table, rng: random.Random) -> Written | None:
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE])
    doubled = quoting != csv.QUOTE_NONE and rng.random() < 0.7
    options: dict[str, Any] = dict(
        delimiter=rng.choice(DELIMITERS),
        quotechar=rng.choice(['"', '"', '"', "'"]),
        quoting=quoting,
        doublequote=doubled,
        escapechar=None if doubled else "\\",
        # With the line end "\r", Python does not quote "\n".
        lineterminator=rng.choice(["\n", "\n", "\r\n"] if table.has("\n") else ["\n", "\r\n", "\r"]),
    )
    has_header = rng.random() < 0.7
    text = io.StringIO(newline="")
    out = csv.writer(text, **options)
    out.writerows([table.names] * has_header)
    out.writerows(table.rows)
    return Written(text.getvalue().encode(), _source(options["delimiter"], has_header, options), options)


def _by_join(table: Table, rng: random.Random) -> Written | None:
    """Writes with a delimiter of several characters, as programs without a CSV library do: no value may have it."""
    delimiter = rng.choice(LONG_DELIMITERS)
    has_header = rng.random() < 0.5
    rows = [tuple(table.names)] * has_header + table.rows
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    has_special = any(set(value) & {*delimiter, "\n", '"'} for row in texts for value in row)
    if has_special:
        return None
    text = "".join(delimiter.join(row) + "\n" for row in texts)
    return Written(text.encode(), _source(delimiter, has_header), {})


def _by_pandas(table: Table, rng: random.Random) -> Written | None:
    frame = pd.DataFrame(dict(zip(table.names, (pd.Series(c, dtype=object) for c in table.columns), strict=True)))
    doubled = rng.random() < 0.8
    options: dict[str, Any] = dict(
        sep=rng.choice(DELIMITERS),
        quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        doublequote=doubled,
        escapechar=None if doubled else "\\",
        lineterminator=rng.choice(["\n", "\r\n"]),
        header=rng.random() < 0.7,
        na_rep=_null_word(table, rng) if doubled else "",
    )
    source = _source(options["sep"], options["header"], options, options["na_rep"])
    return Written(frame.to_csv(index=False, **options).encode(), source, options)


def _by_arrow(table: Table, rng: random.Random) -> Written | None:
    arrow = pa.table(dict(zip(table.names, table.columns, strict=True)))
    options: dict[str, Any] = dict(
        delimiter=rng.choice([",", "\t", ";", "|"]),
        include_header=rng.random() < 0.7,
        quoting_style=rng.choice(["needed", "needed", "all_valid", "none"]),
    )
    sink = io.BytesIO()
    try:
        pa.csv.write_csv(arrow, sink, pa.csv.WriteOptions(**options))
    except pa.ArrowInvalid:  # Values need quotes.
        return None
    return Written(sink.getvalue(), _source(options["delimiter"], options["include_header"]), options)


def _by_polars(table: Table, rng: random.Random) -> Written | None:
    frame = pl.DataFrame(dict(zip(table.names, table.columns, strict=True)))
    options: dict[str, Any] = dict(
        separator=rng.choice(DELIMITERS),
        include_header=rng.random() < 0.7,
        line_terminator=rng.choice(["\n", "\r\n"]),
        quote_style=rng.choice(["necessary", "necessary", "always", "non_numeric"]),
        include_bom=rng.random() < 0.2,
        null_value=_null_word(table, rng),
    )
    source = _source(options["separator"], options["include_header"], null=options["null_value"])
    return Written(frame.write_csv(**options).encode(), source, options)


def _by_duckdb(table: Table, rng: random.Random) -> Written | None:
    arrow = pa.table(dict(zip(table.names, table.columns, strict=True)))
    has_header, escape = rng.random() < 0.7, rng.choice(['"', '"', "\\"])
    delimiter = rng.choice([*DELIMITERS, *LONG_DELIMITERS[:2]])
    force = rng.choice(["", "", ", FORCE_QUOTE *"])
    null = _null_word(table, rng) if escape == '"' else ""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        path = Path(folder, "t.csv")
        database.register("t", arrow)
        options = (
            f"HEADER {has_header}, DELIMITER '{delimiter}', QUOTE '\"', ESCAPE '{escape}'{force}, NULLSTR '{null}'"
        )
        database.execute(f"COPY t TO '{path}' (FORMAT csv, {options})")
        source = _source(delimiter, has_header, {"escapechar": escape if escape != '"' else None}, null)
        return Written(path.read_bytes(), source, {"options": options})


WRITERS: dict[str, Callable[[Table, random.Random], Written | None]] = {
    "csv": _by_csv,
    "join": _by_join,
    "pandas": _by_pandas,
    "Arrow": _by_arrow,
    "Polars": _by_polars,
    "DuckDB": _by_duckdb,
}
