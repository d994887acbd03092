"""Proposes a spec for a click log, from a sample of its rows.

Each setting follows from a simple rule and comes with its reason, so that a person can review it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ...transforms.errors import UserError
from ..rows import columns
from ..rows.times import read_times
from .column_sample import FEW, ColumnSample
from .field_rules import propose_field

_LABELS = re.compile(r"label|target|click|clicked|is_click|converted|conversion|y", re.IGNORECASE)
_USERS = re.compile(r".*(user|member|visitor|customer|uid).*", re.IGNORECASE)
_SPLITS = {
    "train": ("train", "training"),
    "eval": ("eval", "valid", "validation", "val", "dev"),
    "test": ("test",),
}

# A vocabulary is shared if at least this share of a list's values are values of the other field.
_MIN_MATCH = 0.8


@dataclass
class Proposal:
    """A proposed spec.

    Attributes:
        spec: The spec as plain values.
        reasons: The reasons for each field and for the sections `label`, `key` and `split`, by name.
        left_out: The reason for leaving a column out, by its name.
    """

    spec: dict[str, Any]
    reasons: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def propose(
    table: pa.Table, files: Sequence[str], *, label: str | None = None, left_out: Mapping[str, str] | None = None
) -> Proposal:
    """Returns the spec proposed for a click log.

    Args:
        table: A sample of its rows.
        files: Its paths. Names such as train.csv and test.csv define the split if no column does.
        label: The label's column, if it cannot be guessed.
        left_out: Columns that are not in the table, and the reasons.

    Raises:
        UserError: there is no label column, or it has other values than 0 and 1, or no column can be a field.
    """
    samples = {n: ColumnSample(n, table[n].combine_chunks()) for n in table.column_names}
    proposal = Proposal({}, left_out=dict(left_out or {}))
    taken = {_propose_label(proposal, samples, label), _propose_key(proposal, samples)}
    taken |= _propose_split(proposal, samples, files, taken)
    proposal.spec |= {"max_rejected": 0.01, "vocabularies": {}, "fields": {}}
    _propose_fields(proposal, samples, taken)
    if not proposal.spec["fields"]:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in proposal.left_out.items())
        raise UserError(
            f"{files[0]}: no column can be a field; left out: {reasons}. Sample more rows with --rows, or write the "
            "spec by hand"
        )
    _share_vocabularies(proposal, samples)
    return proposal


def _propose_label(proposal: Proposal, samples: Mapping[str, ColumnSample], label: str | None) -> str:
    binary = [name for name, sample in samples.items() if sample.is_binary]
    if label is not None and label not in binary:
        if label not in samples:
            raise UserError(f"--label {label}: no such column; expected one of {', '.join(samples)}")
        raise UserError(f"--label {label}: expected a column that has both 0 and 1 and no other values")
    called = [name for name in binary if _LABELS.fullmatch(name)]
    found = label or next(iter([*called, *binary]), None)
    if found is None:
        fault = f"no column of {', '.join(samples)} has both 0 and 1 and no other values"
        raise UserError(f"no label found: {fault}; add a label, or sample more rows with --rows")
    proposal.spec["label"] = {"field": found}
    proposal.reasons["label"] = [
        "given by --label" if label else f"has the values 0 and 1{', and the name of a label' if called else ''}",
    ]
    return found


def _propose_key(proposal: Proposal, samples: Mapping[str, ColumnSample]) -> str | None:
    unique = [n for n, s in samples.items() if s.is_unique and not s.is_time and (s.numbers is None or s.is_whole)]
    found = next((name for name in unique if samples[name].is_named_as_id), None)
    if found is not None:
        proposal.spec = {"key": found, **proposal.spec}
        proposal.reasons["key"] = ["a different value in every row of the sample"]
    return found


def _propose_split(
    proposal: Proposal, samples: Mapping[str, ColumnSample], files: Sequence[str], taken: set[str | None]
) -> set[str | None]:
    """Adds the split; returns the columns that must therefore not become fields."""
    for name, sample in samples.items():
        words = {text.decode("utf-8", "replace") for text in list(sample.counts)[:10]}
        known = {word for words_of_split in _SPLITS.values() for word in words_of_split}
        if not sample.is_list and "train" in words and {word.lower() for word in words} <= known:
            by_split = {kind: sorted(w for w in words if w.lower() in _SPLITS[kind]) for kind in _SPLITS}
            others = {kind: found for kind, found in by_split.items() if found and found != [kind]}
            proposal.spec["split"] = {"column": name, **others}
            proposal.reasons["split"] = [f"has the values {', '.join(sorted(words))}"]
            return {name}
    by_file = _split_of_names(files)
    if by_file:
        proposal.spec["split"] = {"files": by_file}
        proposal.reasons["split"] = ["from the names of the files"]
        return set()
    times = [name for name, sample in samples.items() if sample.is_time and name not in taken]
    if times:
        proposal.spec["split"] = {"time": times[0], "train": 0.8, "eval": 0.1, "test": 0.1}
        proposal.reasons["split"] = [f"{times[0]} is a time: the oldest rows are for training, the newest for testing"]
        if read_times(samples[times[0]].values, times[0]).are_compact_dates:
            proposal.spec["split"]["time_unit"] = "date"
        return set(times)
    users = [name for name in samples if _USERS.fullmatch(name) and name not in taken]
    hashed = next(iter(users), None) or proposal.spec.get("key") or next(n for n in samples if n not in taken)
    proposal.spec["split"] = {"hash": hashed, "train": 0.8, "eval": 0.1, "test": 0.1}
    proposal.reasons["split"] = [f"no column has a split or a time: by the hash of {hashed}"]
    return set()


def _propose_fields(proposal: Proposal, samples: Mapping[str, ColumnSample], taken: set[str | None]) -> None:
    """Adds a field for each column that is not in `taken` and that is worth learning from."""
    fields = proposal.spec["fields"]
    label = samples[proposal.spec["label"]["field"]]
    labels = np.asarray(columns.numbers(label.values, "label").values.fill_null(np.nan))
    for column, sample in samples.items():
        if column in taken:
            continue
        reason = _reason_to_leave_out(sample, labels)
        if reason is not None:
            proposal.left_out[column] = reason
            continue
        guess = propose_field(sample)
        name = re.sub(r"[^A-Za-z0-9_.\-]", "_", column).lstrip("_.-")[:100] or f"column{len(fields)}"
        fields[name] = guess.settings | ({"column": column} if name != column else {})
        proposal.reasons[name] = guess.reasons


def _split_of_names(files: Sequence[str]) -> dict[str, str]:
    """Returns a file pattern for each split, if every file name contains the name of a split, and one is train."""
    patterns: dict[str, str] = {}
    for path in files:
        name = os.path.basename(path)
        found = [(kind, word) for kind, words in _SPLITS.items() for word in words if word in name.lower()]
        if not found:
            return {}
        patterns.setdefault(found[0][0], f"*{found[0][1]}*" if len(files) > len(_SPLITS) else name)
    return patterns if "train" in patterns and len(patterns) > 1 else {}


def _reason_to_leave_out(sample: ColumnSample, labels: np.ndarray) -> str | None:
    if not sample.counts:
        return "no row of the sample has a value"
    if len(sample.counts) == 1 and not sample.is_list:
        return "the same value in every row"
    if sample.is_time:
        return "a time: derive the hour or the weekday from it if they matter"
    if sample.never_repeats and (sample.numbers is None or (sample.is_whole and sample.is_named_as_id)):
        return "a different value in every row: nothing to learn from"
    if sample.leaks(labels):
        return "each value always has the same label: it leaks the label"
    return None


def _share_vocabularies(proposal: Proposal, samples: Mapping[str, ColumnSample]) -> None:
    """Lets each list share a vocabulary with the single-valued field that has the same values, if there is one."""
    fields = proposal.spec["fields"]
    singles = {n: f for n, f in fields.items() if f["type"] == "categorical"}
    for name, settings in fields.items():
        if settings["type"] != "multivalued":
            continue
        bags = columns.bags(samples[settings.get("column", name)].values, settings.get("separator"), name).values
        tokens = ColumnSample(name, bags)
        matches = [(*_match(tokens, samples[f.get("column", n)]), n) for n, f in singles.items()]
        best, reason, single = max(matches, default=(0.0, "", ""))
        if best < _MIN_MATCH:
            continue
        of_single = singles[single]
        vocabulary = of_single.get("vocabulary") or re.sub(r"[_\-.]?id$", "", single) + "_vocabulary"
        settings.pop("min_count", None)
        shared = {"min_count": of_single.pop("min_count")} if "min_count" in of_single else {}
        proposal.spec["vocabularies"].setdefault(vocabulary, shared)
        of_single["vocabulary"] = settings["vocabulary"] = vocabulary
        proposal.reasons[name].append(f"{reason} {single}: they share a vocabulary")


def _match(tokens: ColumnSample, single: ColumnSample) -> tuple[float, str]:
    """Returns the confidence, 0 to 1, that a list has the values of a single-valued column, and the reason."""
    if min(len(tokens.counts), len(single.counts)) < FEW or _USERS.fullmatch(single.name):
        return 0.0, ""
    same = sum(times for token, times in tokens.counts.items() if token in single.counts)
    share = same / max(1, sum(tokens.counts.values()))
    if share < _MIN_MATCH and tokens.prefix and tokens.prefix == single.prefix:
        return _MIN_MATCH, f"its values are {tokens.prefix} followed by digits, like those of"
    return share, f"{share:.0%} of its values occur in"
