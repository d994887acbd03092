"""Determines the dialect of CSV text: delimiter, quotes, header, skipped lines, comments, null words, number signs."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .csv_text import Parsed, Piece, Row, Syntax, parse
from .headers import has_header
from .numbers import columns_of, null_words, number_signs
from .syntaxes import NO_DELIMITER, choose_syntax, one_column

_COMMENTS = ("#", "//", "%")
_SEPARATOR_LINE = re.compile(r"sep=([^\w\n\"'\\])\n", re.IGNORECASE)

# A preamble has at most 20 lines and is followed by at least 3 rows, more than 4 times its lines.
_MOST_PREAMBLE = 20
_LEAST_ROWS = 3
# Without a header after it, each line of a preamble must be followed by 20 rows.
_ROWS_OF_A_TITLE = 20

# The number of values that are looked at to find missing values and the signs of numbers.
_MOST_VALUES = 100_000


@dataclass
class FoundDialect:
    """How CSV text is read, by the names of the entries of `source`; reasons by the same names.

    `delimiter` is None if there is one column. `share` is the share of sampled rows that have the common width.
    """

    delimiter: str | None = None
    quote: str = '"'
    escape: str | None = None
    header: bool = True
    skip_rows: int = 0
    comment: str | None = None
    null_values: list[str] = field(default_factory=lambda: [""])
    decimal: str = "."
    thousands: str | None = None
    width: int = 1
    share: float = 1.0
    reasons: dict[str, str] = field(default_factory=dict)


def sniff_dialect(pieces: Sequence[Piece], given: dict[str, Any]) -> FoundDialect:
    """Returns the dialect of the sampled text, with reasons for the entries that are not given.

    Args:
        pieces: Parts of files; at least one begins a file.
        given: Entries of `source` that the spec states; they are kept.
    """
    found = _sniffed([piece for piece in pieces if piece.text.strip("\n")], given)
    found.reasons = {name: reason for name, reason in found.reasons.items() if name not in given}
    return found


def _sniffed(pieces: Sequence[Piece], given: dict[str, Any]) -> FoundDialect:
    fixed = _fixed_syntax(given)
    if not pieces:
        return FoundDialect(**{name: given[name] for name in given if name in FoundDialect.__dataclass_fields__})
    found = FoundDialect()
    start = pieces[0].text
    separator = _SEPARATOR_LINE.match(start)
    if separator and "skip_rows" not in given and "delimiter" not in fixed:
        fixed["delimiter"] = separator[1]
    found.comment = given.get("comment") or (None if "comment" in given else _comment(pieces, fixed))
    skipped_by_given = given.get("skip_rows", 0)
    cleaned = [_without_comments(piece, found.comment, skipped_by_given) for piece in pieces]
    parsed = choose_syntax(cleaned, fixed).parsed
    parsed = _with_escape(cleaned, parsed, fixed)
    found.width, found.share = parsed.width, parsed.share
    _describe_syntax(found, parsed, cleaned)
    first_rows = parsed.pieces[0]
    if "skip_rows" in given:
        found.skip_rows = skipped_by_given
    elif separator:
        found.skip_rows, found.reasons["skip_rows"] = 1, f"the first line {separator[0].strip()!r} states the delimiter"
        first_rows = [row for row in first_rows if row.line > 0]
    else:
        first_rows = _skip_preamble(found, first_rows, parsed, pieces[0].text)
        if first_rows and len(first_rows[0].values) == 1 < parsed.width and "delimiter" not in fixed:
            # A header of one column; what looked like delimiters are parts of the values.
            parsed = one_column(cleaned, fixed).parsed
            found.delimiter, found.width, found.share, first_rows = None, parsed.width, parsed.share, parsed.pieces[0]
            _describe_syntax(found, parsed, cleaned)
            found.reasons["delimiter"] = f"not certain: the first row has only one value, {first_rows[0].values[0]!r}"
    if found.comment and "comment" not in given:
        _prefer_skipping(found, pieces, given)
    if not first_rows:
        return found
    first, others = first_rows[0], [row for row in parsed.good if row is not first_rows[0]]
    is_typical = len(first.values) == parsed.width
    if "header" in given or "columns" in given:
        found.header = given.get("header", "columns" not in given)
    elif is_typical:
        found.header, found.reasons["header"] = has_header(first, others)
    else:
        width = f"{found.share:.0%} of the rows have {parsed.width}"
        found.reasons["header"] = f"not certain: the first row has {len(first.values)} values, {width}"
    names = first.values if found.header and is_typical else [f"c{index}" for index in range(parsed.width)]
    rows = others if found.header else parsed.good
    columns = columns_of(rows[:: 1 + len(rows) * parsed.width // _MOST_VALUES], names)
    if "null_values" in given:
        found.null_values = given["null_values"]
    else:
        words, notes = null_words(columns)
        found.null_values = ["", *words]
        if notes:
            found.reasons["null_values"] = "; ".join(notes)
    signs = number_signs(columns, parsed.syntax.delimiter)
    found.decimal, found.thousands = given.get("decimal", signs.decimal), given.get("thousands", signs.thousands)
    found.reasons |= signs.reasons
    if "decimal" not in given and found.decimal == found.thousands:
        found.decimal = "."
    if "thousands" not in given and found.thousands in (found.decimal, found.quote):
        found.thousands = None
        found.reasons.pop("thousands")
    return found


def _fixed_syntax(given: dict[str, Any]) -> dict[str, str]:
    fixed = {}
    if given.get("delimiter"):
        fixed["delimiter"] = given["delimiter"]
    if "quote" in given:
        fixed["quote"] = "" if given["quote"] == "none" else given["quote"]
    if "escape" in given:
        fixed["escape"] = given["escape"] or ""
    return fixed


def _comment(pieces: Sequence[Piece], fixed: dict[str, str]) -> str | None:
    """Returns the text that begins comment lines: at the start of a file, where no such line is a row."""
    for mark in _COMMENTS:
        if not any(piece.is_start and piece.text.startswith(mark) for piece in pieces):
            continue
        rest = [_without_comments(piece, mark, 0) for piece in pieces]
        rest = [piece for piece in rest if piece.text.strip("\n")]
        if not rest:
            return None
        parsed = choose_syntax(rest, fixed).parsed
        lines = [line for piece in pieces for line in piece.text.split("\n") if line.startswith(mark)]
        widths = {len(row.values) for line in lines for row in parse([Piece(line)], parsed.syntax).rows}
        is_sign = not set(mark) & set(parsed.syntax.delimiter)
        if is_sign and parsed.width > 1 and parsed.share > 0.9 and parsed.width not in widths:
            return mark
    return None


def _without_comments(piece: Piece, mark: str | None, skip: int) -> Piece:
    """Returns a piece with empty lines instead of comments and skipped lines: line numbers stay the same."""
    if not skip and (mark is None or mark not in piece.text):
        return piece
    lines = piece.text.split("\n")
    skip = skip if piece.is_start else 0
    kept = ["" if number < skip or (mark and line.startswith(mark)) else line for number, line in enumerate(lines)]
    return Piece("\n".join(kept), piece.is_start, piece.is_end, piece.file)


def _prefer_skipping(found: FoundDialect, pieces: Sequence[Piece], given: dict[str, Any]) -> None:
    """States comment lines that only precede the header of one file as skipped lines: later lines are then all rows."""
    mark = found.comment or ""
    lines = pieces[0].text.split("\n")
    block = next((number for number, line in enumerate(lines) if line and not line.startswith(mark)), 0)
    marked = [line for piece in pieces for line in piece.text.split("\n") if line.startswith(mark)]
    is_block = len({piece.file for piece in pieces}) == 1 and len(marked) == sum(map(bool, lines[:block]))
    example = f"{marked[0][:60]!r}"
    if is_block and not found.skip_rows and "skip_rows" not in given:
        found.comment, found.skip_rows = None, block
        found.reasons["skip_rows"] = f"{_not_rows(block)} before the header: {example}"
    else:
        found.reasons["comment"] = f"{_not_rows(len(marked))} in the sample: {example}"


def _skip_preamble(found: FoundDialect, rows: list[Row], parsed: Parsed, text: str) -> list[Row]:
    """Returns the rows without those before the header that are clearly not rows, which `found` then states.

    Such lines have fewer values than all rows after them, and the row after them names columns of numbers or times.
    """
    least = 2 if parsed.width > 2 else 0  # A title may be followed by delimiters.
    first = next((index for index, row in enumerate(rows) if _filled(row, parsed.width) >= least), 0)
    if not first or parsed.width < 2:
        return rows
    before, after = rows[:first], rows[first:]
    others = after[1:]
    typical = sum(len(row.values) == parsed.width for row in after)
    is_far = first <= _MOST_PREAMBLE and len(after) >= max(_LEAST_ROWS, 4 * first if parsed.width == 2 else first)
    same = [row for row in others if len(row.values) == parsed.width]
    names, reason = has_header(after[0], same)
    is_names = names and not reason.startswith("not certain")
    is_regular = typical >= 0.98 * len(after)
    are_lone = all(len(row.values) - row.values.count("") <= 1 for row in before)
    are_short = all(len(row.values) == 1 for row in before)
    is_title = are_short and parsed.width > 2 and len(after) >= _ROWS_OF_A_TITLE * first
    if not (is_far and is_regular and are_lone and (is_names or is_title)):
        return rows
    found.skip_rows = after[0].line
    example = text.split("\n")[before[0].line][:60]
    found.reasons["skip_rows"] = f"{_not_rows(found.skip_rows)} before the header, such as {example!r}"
    return after


def _filled(row: Row, width: int) -> int:
    """Returns the number of values of a row that are not empty, -1 if the row has another width."""
    return width - row.values.count("") if len(row.values) == width else -1


def _with_escape(pieces: Sequence[Piece], parsed: Parsed, fixed: dict[str, str]) -> Parsed:
    """Returns the rows with the escape `\\` if every backslash precedes a character that needs it.

    Text that can be read without escapes, such as `\\"hi\\", 3`, has no faults that would show them.
    """
    syntax = parsed.syntax
    if syntax.escape or "escape" in fixed:
        return parsed
    needs = {'"', "'", syntax.delimiter[0], "\n"}
    followers = {after for piece in pieces for after in re.findall(r"\\(.)", piece.text, re.DOTALL)}
    if not followers & needs or followers - needs - {"\\"}:
        return parsed
    literals = [value for row in parsed.good for value in row.values if "\\" in value and value[0] in "[{"]
    if literals and all(map(_is_literal, literals)):
        return parsed
    escaped = parse(pieces, Syntax(syntax.delimiter, syntax.quote, "\\"))
    return escaped if escaped.width == parsed.width and escaped.share >= parsed.share else parsed


def _is_literal(value: str) -> bool:
    """Returns whether JSON or Python writes a list or an object in this way, so that its backslashes are its own."""
    with contextlib.suppress(ValueError):
        json.loads(value)
        return True
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return repr(ast.literal_eval(value)) == value
    return False


def _describe_syntax(found: FoundDialect, parsed: Parsed, pieces: Sequence[Piece]) -> None:
    syntax, width = parsed.syntax, parsed.width
    found.quote, found.escape = syntax.quote or "none", syntax.escape or None
    reasons = found.reasons
    if width < 2 and syntax.delimiter == NO_DELIMITER:
        reasons["delimiter"] = "none found: the file has one column"
    else:
        found.delimiter = syntax.delimiter
        length = f"{len(syntax.delimiter)} characters; " if len(syntax.delimiter) > 1 else ""
        rows = "every sampled row has" if parsed.share == 1 else f"{parsed.share:.1%} of the sampled rows have"
        doubt = "not certain: there is only one row; " if len(parsed.rows) == 1 else ""
        reasons["delimiter"] = f"{doubt}{length}{rows} {width - 1} of them"
    if syntax.quote == "'":
        reasons["quote"] = "values are in single quotes"
    elif not syntax.quote:
        reasons["quote"] = "quotes are part of the values: as quotes around values, they would not be closed"
    backslashes = sum(piece.text.count("\\") for piece in pieces)
    if syntax.escape:
        reasons["escape"] = "a backslash precedes quotes, delimiters or line ends that are part of values"
    elif backslashes and any(re.search(r"\\\\", piece.text) for piece in pieces):
        reasons["escape"] = "not certain: two backslashes are read as two, not as an escaped one"


def _not_rows(count: int) -> str:
    return "1 line that is not a row" if count == 1 else f"{count} lines that are not rows"
