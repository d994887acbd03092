"""Finds the column names of CSV files."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence

from ....transforms.errors import SourceError
from ..source_file import ROW_BYTES, SourceFile
from .csv_dialect import Dialect


def header_of(file: SourceFile) -> list[str] | None:
    """Returns the column names of a CSV file, each once; None if it has no rows.

    They are those of the first row or of the spec. Without either, they are c0, c1, … by the width of the first row.

    Raises:
        SourceError: the first row is longer than the limit, or its quotes are faulty.
    """
    source, dialect = file.source, Dialect.of(file)
    with file.open_text() as content:
        text = dialect.coded(content).read(2 * ROW_BYTES)
    is_complete = len(text) < 2 * ROW_BYTES
    start = dialect.after_skipped(text)
    text = b"" if start is None else text[start:]
    begin, end, found = dialect.first_row(text)
    if begin == len(text) and is_complete:
        return None
    names, rows = source.columns, text
    if names is None:
        is_long = (start or 0) + end >= ROW_BYTES or begin == len(text)
        fault = found or (f"it does not end in the first {ROW_BYTES:,} bytes" if is_long else None)
        if fault:
            expected = ", expected to have the column names," if source.header else ""
            raise SourceError(
                f"{file.path}: cannot be read as csv: the first row{expected} is not valid: {fault}; "
                f"check `source: {{delimiter: …, quote: …}}`"
            )
        if source.header:
            names, rows = _names(file, dialect, text[begin:end].decode(errors="replace")), text[end:]
        else:
            names = [f"c{index}" for index in range(dialect.width_of(text, begin, end))]
    has_rows = dialect.first_row(rows)[0] < len(rows) or not is_complete
    return unique_names(names) if has_rows else None


def unique_names(names: Sequence[str]) -> list[str]:
    """Returns the names; each that occurred before gets a number, as in pandas: `tags`, `tags.1`."""
    given, times, found = set(names), Counter[str](), []
    for name in names:
        unique = name
        while times[name] and (unique := f"{name}.{times[name]}") in given:
            times[name] += 1
        times[name] += 1
        found.append(unique)
    return found


def _names(file: SourceFile, dialect: Dialect, header: str) -> list[str]:
    """Returns the column names of a header."""
    rows = csv.reader(
        io.StringIO(header, newline=""),
        delimiter=dialect.delimiter.decode(),
        quotechar=dialect.quote.decode() or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        escapechar=dialect.escape.decode() or None,
        doublequote=dialect.double_quote,
    )
    try:
        return [dialect.decoded(name.encode(errors="surrogatepass")).decode() for name in next(rows)]
    except csv.Error as error:
        raise SourceError(f"{file.path}: cannot be read as csv: {error} in the first row") from None
