"""Finds lists with the values of a single-valued field: they share its vocabulary, and matches are counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrow_lists import list_lengths, sum_by_row
from ..rows import columns
from .column_sample import FEW, ColumnSample
from .field_rules import DerivedField

_USERS = re.compile(r".*(user|member|visitor|customer|uid).*", re.IGNORECASE)

# A vocabulary is shared if at least this share of a list's values are values of the other field.
_MIN_MATCH = 0.8

# Settings of a field that become those of the vocabulary that it shares.
_OF_VOCABULARY = ("min_count", "hash_buckets")

# The least share of rows with a match, and of those without one, that makes matches worth a field.
_LEAST_MATCHES = 0.01


def share_vocabularies(
    spec: dict[str, Any], reasons: Mapping[str, list[str]], values: Mapping[str, ColumnSample]
) -> None:
    """Lets each list share a vocabulary with the single-valued field that has the same values, if there is one.

    Args:
        spec: The spec as plain values, which is changed.
        reasons: The reasons of each field, to which those for sharing are added.
        values: The values of each field.
    """
    fields = spec["fields"]
    singles = {n: f for n, f in fields.items() if f["type"] == "categorical"}
    for name, settings in fields.items():
        if settings["type"] != "multivalued":
            continue
        matches = [(*_match(values[name], values[n]), n) for n in singles]
        best, reason, single = max(matches, default=(0.0, "", ""))
        if best < _MIN_MATCH:
            continue
        of_single = singles[single]
        vocabulary = of_single.get("vocabulary") or re.sub(r"[_\-.]?id$", "", single) + "_vocabulary"
        for entry in _OF_VOCABULARY:
            settings.pop(entry, None)
        shared = {entry: of_single.pop(entry) for entry in _OF_VOCABULARY if entry in of_single}
        spec["vocabularies"].setdefault(vocabulary, shared)
        of_single["vocabulary"] = settings["vocabulary"] = vocabulary
        reasons[name].append(f"{reason} {single}: they share a vocabulary")


def propose_matches(spec: Mapping[str, Any], values: Mapping[str, ColumnSample]) -> dict[str, DerivedField]:
    """Returns fields that count how often a value occurs in a list with the same vocabulary, by name.

    Only if it does so in some of the rows, and not in all: the model does not see whether two ids are equal.
    """
    fields, found = spec["fields"], dict[str, DerivedField]()
    for name, settings in fields.items():
        if settings["type"] != "multivalued" or "vocabulary" not in settings:
            continue
        for single, other in fields.items():
            if other["type"] != "categorical" or other.get("vocabulary") != settings["vocabulary"]:
                continue
            share = _share_of_matches(values[single], values[name])
            if _LEAST_MATCHES <= share <= 1 - _LEAST_MATCHES:
                derivation = {"match": [single, name], "measure": "count"}
                reason = f"{single} occurs in {name} in {share:.0%} of the rows: how often"
                found[f"{single}_in_{name}"] = DerivedField({"type": "numeric", "from": derivation}, [reason])
    return found


def _share_of_matches(single: ColumnSample, lists: ColumnSample) -> float:
    """Returns the share of the rows in which the list has the single value."""
    bags = columns.bags(lists.values, None, lists.name).values
    tokens = columns.tokens(single.values, single.name).values
    lengths = list_lengths(bags)
    wanted = tokens.take(pa.array(np.repeat(np.arange(len(lengths)), lengths)))
    is_match = np.asarray(pc.equal(pc.list_flatten(bags), wanted).fill_null(False))
    return float((sum_by_row(is_match, lengths) > 0).mean())


def _match(tokens: ColumnSample, single: ColumnSample) -> tuple[float, str]:
    """Returns the confidence, 0 to 1, that a list has the values of a single-valued column, and the reason."""
    if min(len(tokens.counts), len(single.counts)) < FEW or _USERS.fullmatch(single.name):
        return 0.0, ""
    same = sum(times for token, times in tokens.counts.items() if token in single.counts)
    share = same / max(1, sum(tokens.counts.values()))
    if share < _MIN_MATCH and tokens.prefix and tokens.prefix == single.prefix:
        return _MIN_MATCH, f"its values are {tokens.prefix} followed by digits, like those of"
    return share, f"{share:.0%} of its values occur in"
