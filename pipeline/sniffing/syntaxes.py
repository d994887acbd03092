"""Chooses delimiter, quote and escape: those under which the sampled rows have one width and values of clear types.

The score of a candidate follows the consistency measure of van den Burg, Nazábal and Sutton (Wrangling messy CSV files
by detecting row and type patterns, 2019): the regularity of the rows times the share of values of a known type.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .csv_text import Parsed, Piece, Row, Syntax, parse
from .value_types import Type, type_of

# How much is trusted that a text is a delimiter, if rows and types are equally regular.
_PRIORS = {",": 1.0, "\t": 1.0, ";": 1.0, "|": 1.0, "\x01": 1.0, "\x1f": 0.97, "\x1e": 0.97, "~": 0.9, "^": 0.9}
_PRIORS |= {"¦": 0.9, "§": 0.9, ":": 0.5, " ": 0.5}
_PRIOR_OF_LONG = 0.95
# Only these may be a delimiter when doubled or in a longer text. Commas, tabs and semicolons also enclose empty values.
_REPEATED = re.compile(r"([:|~^#@$%&*!¦§])\1+")
_MIXED = re.compile(r"[:|~^#@$&*!,;\t ]{2,4}")

# What each type counts as evidence that values are divided in the right way.
_WEIGHTS: dict[Type, float] = {"number": 1.0, "time": 1.0, "word": 0.9, "text": 0.7, "odd": 0.1, "empty": 0.0}
_EMPTY_COLUMN = 0.4

# Rows of text alone must have at least this share of one width.
_REGULAR = 0.8
# What a first row of another width than the others, such as a title, counts.
_OTHER_FIRST_ROW = 0.75

# Scores below this one do not show a delimiter: the file has one column.
_LEAST_SCORE = 0.2

# The delimiter of files with one column.
NO_DELIMITER = "\0"

# Candidates are compared on the first rows of each piece; at most 4 that are nearly as good as the best, on all rows.
_FIRST_ROWS = 200
_FINALISTS = 4
_CLOSE = 0.6
_ALIKE = 0.8
_QUOTED_FOR_A_FAULT = 5
_TYPED_ROWS = 300
_TYPED_VALUES = 20_000
_ESCAPE = "\\"


@dataclass(frozen=True)
class Scored:
    """A candidate with its rows, and its score: 0 to 1."""

    parsed: Parsed
    score: float


def choose_syntax(pieces: Sequence[Piece], given: dict[str, str]) -> Scored:
    """Returns the best syntax for the pieces, and its rows. The delimiter is NO_DELIMITER if there is one column.

    Args:
        pieces: Samples of the files.
        given: The `delimiter`, `quote` and `escape` that the spec states: others are not tried.
    """
    scored = [_scored(pieces, syntax, _FIRST_ROWS) for syntax in _candidates(pieces, given)]
    scored.sort(key=lambda candidate: -candidate.score)
    close = [candidate for candidate in scored[:_FINALISTS] if candidate.score >= _CLOSE * scored[0].score]
    scored = [_scored(pieces, candidate.parsed.syntax) for candidate in close]
    best = max(scored, key=lambda candidate: candidate.score, default=None)
    if "delimiter" in given and best is not None and best.parsed.rows:
        return best
    if best is None or best.score < _LEAST_SCORE or best.parsed.width < 2:
        return one_column(pieces, given)
    if _is_column_of_times(pieces, best.parsed.syntax.delimiter):
        return one_column(pieces, given)
    return _most_regular(scored, best)


def _most_regular(scored: Sequence[Scored], best: Scored) -> Scored:
    """Returns the candidate with the most regular rows, of those with the best delimiter whose scores are alike.

    The types of values are those of different samples of rows, so a difference of scores says less than the rows.
    """
    delimiter = best.parsed.syntax.delimiter
    alike = [
        candidate
        for candidate in scored
        if candidate.parsed.syntax.delimiter == delimiter and candidate.score >= _ALIKE * best.score
    ]
    with_quotes = [candidate for candidate in alike if candidate.parsed.syntax.quote]
    if any(map(_has_quoted_values, with_quotes)):
        alike = with_quotes  # A few rows with faulty quotes do not make the quotes of all others a part of the values.
    return max(alike, key=lambda candidate: (candidate.parsed.share, candidate.score))


def _has_quoted_values(candidate: Scored) -> bool:
    """Returns whether many more rows have values in quotes than faults."""
    parsed = candidate.parsed
    quoted = sum(bool(row.quoted) for row in parsed.good)
    return quoted > _QUOTED_FOR_A_FAULT * (len(parsed.rows) - len(parsed.good))


def _is_column_of_times(pieces: Sequence[Piece], delimiter: str) -> bool:
    """Returns whether the lines are times, of which what follows a delimiter is a part: 10:00:07,123."""
    lines = [line for piece in pieces for line in piece.text.split("\n")[:_FIRST_ROWS] if line]
    times = [line for line in lines if type_of(line) == "time"]
    has_names = lines[0] not in times and delimiter in lines[0]
    ends = {len(line.rpartition(delimiter)[2]) for line in times if delimiter == ","}
    return not has_names and len(ends) <= 1 and len(times) > 0.9 * (len(lines) - 1) and len(times) > 0


def one_column(pieces: Sequence[Piece], given: dict[str, str]) -> Scored:
    """Returns the rows of a file with one column. The delimiter is the given one or NO_DELIMITER."""
    delimiter = given.get("delimiter", NO_DELIMITER)
    quotes = [given["quote"]] if "quote" in given else ['"', ""]
    found = [
        _scored(pieces, Syntax(delimiter, quote, escape))
        for quote in quotes
        for escape in _escapes(pieces, delimiter, quote, given)
    ]
    return max(found, key=lambda candidate: candidate.parsed.share)


def _candidates(pieces: Sequence[Piece], given: dict[str, str]) -> Iterator[Syntax]:
    """Yields the syntaxes that may be that of the pieces; of equally good ones, the first is meant."""
    for delimiter in [given["delimiter"]] if "delimiter" in given else _delimiters(pieces):
        for quote in [given["quote"]] if "quote" in given else _quotes(pieces, delimiter):
            for escape in _escapes(pieces, delimiter, quote, given):
                yield Syntax(delimiter, quote, escape)


def _delimiters(pieces: Sequence[Piece]) -> list[str]:
    found = [text for text in _PRIORS if any(text in piece.text for piece in pieces)]
    lines = [line for piece in pieces for line in piece.text[:20_000].split("\n")[:100] if line]
    counts: Counter[str] = Counter()
    for line in lines:
        runs = {match.group() for match in _REPEATED.finditer(line)}
        counts.update({run[0] * size for run in runs for size in (2, 3) if len(run) % size == 0})
        counts.update({part for match in _MIXED.finditer(line) for part in _parts(match.group())})
    common = [text for text, count in counts.most_common(8) if count >= 0.5 * len(lines)]
    times = {text: sum(piece.text.count(text) for piece in pieces) for text in common}
    # A part of a longer text that is as frequent is not the complete delimiter.
    parts = {text for text in common for other in common if text in other != text and times[text] == times[other]}
    return found + [text for text in common if text not in {*found, *parts}]


def _parts(run: str) -> Iterator[str]:
    """Yields the texts of 2 to 4 characters in a run of punctuation that may be a delimiter."""
    for size in (2, 3, 4):
        for start in range(len(run) - size + 1):
            part = run[start : start + size]
            if len(set(part)) > 1 and not part.isspace() and set(part) & set("|:~^#@$&*!,;") and part[0] != " ":
                yield part
            elif len(set(part)) > 1 and part[0] == part[-1] and len(part) > 2:
                yield part  # As in " | ".


def _quotes(pieces: Sequence[Piece], delimiter: str) -> list[str]:
    quotes = ['"']
    edge = rf"(?:^|{re.escape(delimiter)})'|'(?:$|{re.escape(delimiter)})"
    if any(re.search(edge, piece.text, re.MULTILINE) for piece in pieces):
        quotes.append("'")
    if any('"' in piece.text for piece in pieces):
        quotes.append("")
    return quotes


def _escapes(pieces: Sequence[Piece], delimiter: str, quote: str, given: dict[str, str]) -> list[str]:
    if "escape" in given:
        return [given["escape"]]
    special = re.escape(quote + delimiter[0] + _ESCAPE) + "\n"
    return ["", _ESCAPE] if any(re.search(rf"\\[{special}]", piece.text) for piece in pieces) else [""]


def _scored(pieces: Sequence[Piece], syntax: Syntax, most_rows: int = 1 << 60) -> Scored:
    parsed = parse(pieces, syntax, most_rows)
    width = parsed.width
    if not parsed.rows or not width:
        return Scored(parsed, 0.0)
    prior = _PRIORS.get(syntax.delimiter, _PRIOR_OF_LONG)
    if (
        len(syntax.delimiter) == 1
        and _REPEATED.match(syntax.delimiter * 2)
        and _is_always_doubled(pieces, syntax.delimiter)
    ):
        prior = 0.1
    if syntax.delimiter in " :" and not _is_table(parsed):
        return Scored(parsed, 0.0)
    regularity = parsed.share**2 * (1 - 1 / width) ** 0.25 if width > 1 else 0.01
    types = _type_score(parsed)
    if parsed.share < _REGULAR and types <= _WEIGHTS["text"]:
        return Scored(parsed, 0.0)  # Sentences with commas.
    first = parsed.pieces[0][:1] if pieces[0].is_start else []
    if first and len(first[0].values) != width:
        regularity *= _OTHER_FIRST_ROW
    return Scored(parsed, prior * regularity * types)


def _is_always_doubled(pieces: Sequence[Piece], character: str) -> bool:
    """Returns whether a character only occurs two or three times in a row, so that it is only a part of a delimiter."""
    runs = {len(run) for piece in pieces for run in re.findall(re.escape(character) + "+", piece.text)}
    return 1 not in runs and any(all(run % size == 0 for run in runs) for size in (2, 3))


def _is_table(parsed: Parsed) -> bool:
    """Returns whether spaces or colons divide rows into columns of clear types, rather than the parts of a text."""
    if parsed.share < 0.98 or parsed.width < 2:
        return False
    columns = zip(*(row.values for row in _sampled(parsed)), strict=True)
    common = [Counter(map(type_of, column)).most_common(1)[0][0] for column in columns]
    is_clear = common.count("text") + common.count("odd") + common.count("empty") < len(common) / 2
    return is_clear and "number" in common and common != ["time", "time"]


def _sampled(parsed: Parsed) -> list[Row]:
    step = max(1, len(parsed.good) // _TYPED_ROWS, len(parsed.good) * parsed.width // _TYPED_VALUES)
    return parsed.good[::step]


def _type_score(parsed: Parsed) -> float:
    """Returns the mean weight of the types of all columns."""
    rows = _sampled(parsed)
    weights = []
    for index in range(parsed.width):
        types = Counter(type_of(row.values[index], is_quoted=index in row.quoted) for row in rows)
        filled = sum(types.values()) - types["empty"]
        # A column of nothing but null words is evidence as well as one of words.
        weights.append(
            sum(_WEIGHTS[kind] * count for kind, count in types.items()) / filled if filled else _EMPTY_COLUMN
        )
    return sum(weights) / len(weights) if weights else 0.0
