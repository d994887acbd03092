"""Determines the one dialect of several CSV files, or reports in which entries they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...transforms.errors import SourceError
from .csv_dialect import FoundDialect, sniff_dialect
from .csv_text import Piece

_SYNTAX = ("delimiter", "quote", "escape", "comment")
# The first of two values that one file has and another one shows no sign of.
_DEFAULTS: dict[str, Any] = {"decimal": ".", "thousands": None}


def difference(path: str, other: str, found: Mapping[str, tuple[Any, Any]]) -> SourceError:
    """Returns the error for two files that differ in entries of `source`: by entry, the values of both."""
    entries = "; ".join(f"`{name}` is {ours!r} and {theirs!r}" for name, (ours, theirs) in found.items())
    return SourceError(
        f"{path} and {other} are written in different ways: {entries}. Pass files of one kind, or state the entries in "
        f"`source` if this is not so"
    )


def common_dialect(files: Sequence[tuple[str, Sequence[Piece]]], given: dict[str, Any]) -> FoundDialect:
    """Returns the dialect in which all files can be read.

    Args:
        files: The path and a sample of each file.
        given: Entries of `source` that the spec states.

    Raises:
        SourceError: there is none.
    """
    path, pieces = files[0]
    found = sniff_dialect(pieces, given)
    for other, sample in files[1:]:
        found = _with_other(path, pieces, found, other, sample, given)
    return found


def _with_other(
    path: str, pieces: Sequence[Piece], found: FoundDialect, other: str, sample: Sequence[Piece], given: dict[str, Any]
) -> FoundDialect:
    theirs = sniff_dialect(sample, given)
    if _differences(found, theirs, _SYNTAX):
        # A file without escapes, for example, shows no sign of them: try each file's syntax on the other one.
        for syntax in (found, theirs):
            fixed = given | {name: getattr(syntax, name) for name in _SYNTAX}
            both = sniff_dialect(pieces, fixed), sniff_dialect(sample, fixed)
            if all(_reads_as_well(new, old) for new, old in zip(both, (found, theirs), strict=True)):
                reasons = {name: reason for name, reason in syntax.reasons.items() if name in _SYNTAX}
                found, theirs = replace(both[0], reasons=reasons | both[0].reasons), both[1]
                break
        else:
            raise difference(path, other, _differences(found, theirs, _SYNTAX))
    if found.header != theirs.header:
        doubts = ["not certain" in file.reasons.get("header", "") for file in (found, theirs)]
        if doubts == [False, False]:
            raise difference(path, other, _differences(found, theirs, ("header",)))
        sure = theirs if doubts[0] else found
        found.header, found.reasons["header"] = sure.header, sure.reasons.get("header", "")
    if _differences(found, theirs, ("skip_rows",)):
        raise difference(path, other, _differences(found, theirs, ("skip_rows",)))
    found.null_values = list(dict.fromkeys(found.null_values + theirs.null_values))
    signs = _differences(found, theirs, tuple(_DEFAULTS))
    for name, default in _DEFAULTS.items():
        if getattr(found, name) == default:
            setattr(found, name, getattr(theirs, name))
    if found.decimal == found.thousands:
        raise difference(path, other, signs)
    return replace(found, reasons=theirs.reasons | found.reasons)


def _differences(found: FoundDialect, theirs: FoundDialect, names: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    values = {name: (getattr(found, name), getattr(theirs, name)) for name in names}
    return {name: both for name, both in values.items() if both[0] != both[1]}


def _reads_as_well(new: FoundDialect, old: FoundDialect) -> bool:
    return new.width == old.width and new.share >= old.share - 0.01
