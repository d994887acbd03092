"""Lets lists share the vocabulary of a single-valued field that has the same values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .column_sample import FEW, ColumnSample

_USERS = re.compile(r".*(user|member|visitor|customer|uid).*", re.IGNORECASE)

# A vocabulary is shared if at least this share of a list's values are values of the other field.
_MIN_MATCH = 0.8


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
        settings.pop("min_count", None)
        shared = {"min_count": of_single.pop("min_count")} if "min_count" in of_single else {}
        spec["vocabularies"].setdefault(vocabulary, shared)
        of_single["vocabulary"] = settings["vocabulary"] = vocabulary
        reasons[name].append(f"{reason} {single}: they share a vocabulary")


def _match(tokens: ColumnSample, single: ColumnSample) -> tuple[float, str]:
    """Returns the confidence, 0 to 1, that a list has the values of a single-valued column, and the reason."""
    if min(len(tokens.counts), len(single.counts)) < FEW or _USERS.fullmatch(single.name):
        return 0.0, ""
    same = sum(times for token, times in tokens.counts.items() if token in single.counts)
    share = same / max(1, sum(tokens.counts.values()))
    if share < _MIN_MATCH and tokens.prefix and tokens.prefix == single.prefix:
        return _MIN_MATCH, f"its values are {tokens.prefix} followed by digits, like those of"
    return share, f"{share:.0%} of its values occur in"
