"""Guesses what the columns of a click log are, from a sample of its rows, and says why: the spec that is proposed.

Each guess is a rule of a few lines, told as a reason beside what it decided; a person has the last word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.errors import UserError
from ..rows import columns
from .column_sample import FEW, Sample

_LABELS = re.compile(r"label|target|click|clicked|is_click|converted|conversion|y", re.IGNORECASE)
_IDS = re.compile(r"(.*[_\-.])?(id|ids|key|uid|code|zip)|.*(Id|ID|Key)", re.ASCII)
_USERS = re.compile(r".*(user|member|visitor|customer|uid).*", re.IGNORECASE)
_SEQUENCES = re.compile(r".*(history|recent|last|clicked|viewed|watched|seen|sequence|session).*", re.IGNORECASE)
_SPLITS = {
    "train": ("train", "training"),
    "eval": ("eval", "valid", "validation", "val", "dev"),
    "test": ("test",),
}
_SEPARATORS = ("|", ";", "\t", ",", " ")

_SMALL_VOCABULARY = 1000
_LOST_VALUES = 0.01
_IN_COMMON = 0.8


@dataclass(frozen=True)
class Guess:
    """A field as proposed, as YAML has it, and why."""

    settings: dict[str, Any]
    reasons: list[str]


@dataclass
class Proposal:
    """A spec as YAML has it, with the reasons of its parts by name, and columns left out with theirs."""

    spec: dict[str, Any]
    reasons: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def propose(table: pa.Table, files: Sequence[str], *, label: str | None = None) -> Proposal:
    """Returns the spec for files of which `table` holds some rows.

    Args:
        table: Rows with all columns.
        files: Paths; names such as train.csv and test.csv are the split where there is no better one.
        label: The label's column, where it cannot be guessed.

    Raises:
        UserError: no column looks like a label, or the named one is not there or does not hold 0 and 1.
    """
    samples = {n: Sample(n, table[n].combine_chunks()) for n in table.column_names}
    samples = {n: s for n, s in samples.items() if s.is_list or not pa.types.is_nested(s.values.type)}
    proposal = Proposal({})
    taken = {_propose_label(proposal, samples, label), _propose_key(proposal, samples, label)}
    taken |= _propose_split(proposal, samples, files, taken)
    proposal.spec["max_rejected"] = 0.01
    proposal.spec["vocabularies"] = {}
    fields: dict[str, dict[str, Any]] = {}
    proposal.spec["fields"] = fields
    labels = np.asarray(columns.numbers(samples[proposal.spec["label"]["field"]].values, "label").values.fill_null(0))
    for name, sample in samples.items():
        if name in taken:
            continue
        reason = _why_left_out(sample) or ("every value goes with one label: it tells it" * sample.tells(labels))
        if reason:
            proposal.left_out[name] = reason
            continue
        guess = propose_field(sample)
        own_name = re.sub(r"[^A-Za-z0-9_.\-]", "_", name).lstrip("_.-")[:100] or f"column{len(fields)}"
        fields[own_name] = guess.settings | ({"column": name} if own_name != name else {})
        proposal.reasons[own_name] = guess.reasons
    if not fields:
        raise UserError(f"{files[0]}: no column is left for a field: {proposal.left_out}")
    _share_vocabularies(proposal, samples)
    return proposal


def propose_field(sample: Sample) -> Guess:
    """Returns what a column is taken for."""
    if sample.is_list:
        return _multivalued(sample, [f"lists of {len(sample.counts):,} distinct values"], {})
    name, distinct = sample.name, len(sample.counts)
    if sample.numbers is not None:
        if _IDS.fullmatch(name) and sample.is_whole:
            return _categorical(sample, [f"whole numbers, called {name}: taken for names of things"])
        if sample.is_category:
            return _categorical(sample, [f"whole numbers of only {distinct} kinds: taken for categories"])
        return _numeric(sample)
    for separator in _SEPARATORS:
        found = _pieces(sample, separator)
        if found:
            return _multivalued(found[0], [found[1]], {"separator": separator})
    return _categorical(sample, [f"texts of {distinct:,} kinds"])


def _propose_label(proposal: Proposal, samples: Mapping[str, Sample], label: str | None) -> str:
    binary = [name for name, sample in samples.items() if sample.is_binary]
    if label is not None and label not in binary:
        what = "it does not hold 0 and 1" if label in samples else f"there is no such column in {', '.join(samples)}"
        raise UserError(f"--label {label}: {what}")
    called = [name for name in binary if _LABELS.fullmatch(name)]
    found = label or next(iter(called), None) or next(iter(binary), None)
    if found is None:
        raise UserError(f"no column of {', '.join(samples)} holds 0 and 1 alone: add a label, or read more with --rows")
    proposal.spec["label"] = {"field": found}
    proposal.reasons["label"] = [
        "as you say" if label else f"holds 0 and 1{', and is called so' if called else ''}",
    ]
    return found


def _propose_key(proposal: Proposal, samples: Mapping[str, Sample], label: str | None) -> str | None:
    unique = [n for n, s in samples.items() if s.is_unique and not s.is_time and (s.numbers is None or s.is_whole)]
    found = next((name for name in unique if _IDS.fullmatch(name)), None)
    if found is not None:
        proposal.spec = {"key": found, **proposal.spec}
        proposal.reasons["key"] = ["another value in every row of the sample"]
    return found


def _propose_split(
    proposal: Proposal, samples: Mapping[str, Sample], files: Sequence[str], taken: set[str | None]
) -> set[str | None]:
    """Adds the split; returns the columns that are none of the fields because of it."""
    for name, sample in samples.items():
        words = {text.decode("utf-8", "replace") for text in list(sample.counts)[:10]}
        known = {word for words_of_split in _SPLITS.values() for word in words_of_split}
        if not sample.is_list and "train" in words and {word.lower() for word in words} <= known:
            by_split = {kind: sorted(w for w in words if w.lower() in _SPLITS[kind]) for kind in _SPLITS}
            others = {kind: found for kind, found in by_split.items() if found and found != [kind]}
            proposal.spec["split"] = {"column": name, **others}
            proposal.reasons["split"] = [f"holds {', '.join(sorted(words))}"]
            return {name}
    by_file = _split_of_names(files)
    if by_file:
        proposal.spec["split"] = {"files": by_file}
        proposal.reasons["split"] = ["the files are called so"]
        return set()
    times = [name for name, sample in samples.items() if sample.is_time and name not in taken]
    if times:
        proposal.spec["split"] = {"time": times[0], "train": 0.8, "eval": 0.1, "test": 0.1}
        proposal.reasons["split"] = [f"{times[0]} is a time: the newest rows test what the oldest teach"]
        return set(times)
    users = [name for name in samples if _USERS.fullmatch(name) and name not in taken]
    hashed = next(iter(users), None) or proposal.spec.get("key") or next(n for n in samples if n not in taken)
    proposal.spec["split"] = {"hash": hashed, "train": 0.8, "eval": 0.1, "test": 0.1}
    proposal.reasons["split"] = [f"no split and no time among the columns: by the hash of {hashed}"]
    return set()


def _split_of_names(files: Sequence[str]) -> dict[str, str]:
    """Returns a pattern for each split, if every file is called after one and some after train."""
    patterns: dict[str, str] = {}
    for path in files:
        name = os.path.basename(path)
        found = [(kind, word) for kind, words in _SPLITS.items() for word in words if word in name.lower()]
        if not found:
            return {}
        patterns.setdefault(found[0][0], f"*{found[0][1]}*" if len(files) > len(_SPLITS) else name)
    return patterns if "train" in patterns and len(patterns) > 1 else {}


def _why_left_out(sample: Sample) -> str | None:
    if not sample.counts:
        return "no row of the sample has a value"
    if len(sample.counts) == 1 and not sample.is_list:
        return "the same value in every row"
    if sample.is_time:
        return "a time: derive the hour or the weekday from it if they matter"
    if sample.is_unique and (sample.numbers is None or (sample.is_whole and _IDS.fullmatch(sample.name))):
        return "another value in every row: nothing to learn from"
    return None


def _pieces(sample: Sample, separator: str) -> tuple[Sample, str] | None:
    """Returns the column split at a separator, and the reason, if its texts look like joined lists."""
    holding = float(np.mean(pc.match_substring(sample.texts, separator.encode()))) if len(sample.texts) else 0.0
    if holding < (0.05 if separator == "|" else 0.2):
        return None
    bags = columns.bags(sample.values, separator, sample.name).values
    split = Sample(sample.name, bags)
    whole, pieces = len(sample.counts), len(split.counts)
    if separator != "|" and pieces > whole / 2:  # Pieces that do not occur again are no values of a list.
        return None
    return split, f"{holding:.0%} of the texts hold {separator!r}: {pieces:,} pieces make {whole:,} texts"


def _categorical(sample: Sample, reasons: list[str]) -> Guess:
    settings, more = _thresholds(sample.counts)
    return Guess({"type": "categorical", **settings}, reasons + more)


def _multivalued(sample: Sample, reasons: list[str], settings: dict[str, Any]) -> Guess:
    lengths = columns.list_lengths(sample.values)
    longest, p99 = int(lengths.max(initial=0)), int(np.percentile(lengths, 99, method="inverted_cdf"))
    max_len: int | str = "auto"
    reasons = [*reasons, f"at most {longest} in a row"]
    if longest > max(10, 1.25 * p99):
        max_len = p99
        cut = np.maximum(lengths - p99, 0).sum() / max(1, lengths.sum())
        reasons.append(f"{p99} cuts one row in a hundred, and {cut:.1%} of the values")
    settings = {"type": "multivalued", **settings, "max_len": max_len}
    if _SEQUENCES.fullmatch(sample.name) and max_len != "auto":
        settings["keep"] = "last"
        reasons.append("called as if oldest came first: the newest are kept")
    thresholds, more = _thresholds(sample.counts)
    return Guess(settings | thresholds, reasons + more)


def _thresholds(counts: Mapping[bytes, int]) -> tuple[dict[str, Any], list[str]]:
    """Returns the largest min_count that costs hardly a value, and the reason."""
    if len(counts) < _SMALL_VOCABULARY:
        return {}, []
    times = np.fromiter(counts.values(), np.int64)
    for min_count in (10, 5, 3, 2):
        lost = times[times < min_count].sum() / times.sum()
        if lost <= _LOST_VALUES:
            rare = int((times < min_count).sum())
            return {"min_count": min_count}, [f"{rare:,} rarer tokens are {lost:.1%} of the values"]
    return {}, []


def _numeric(sample: Sample) -> Guess:
    assert sample.numbers is not None
    middle, high = np.percentile(np.abs(sample.numbers), [50, 99])
    if high > 10 * middle + 1:
        reason = f"the median is {middle:g}, but one in a hundred is above {high:g}: in logarithms"
        return Guess({"type": "numeric", "scale": "log1p"}, ["numbers", reason])
    return Guess({"type": "numeric", "scale": "zscore"}, ["numbers"])


def _share_vocabularies(proposal: Proposal, samples: Mapping[str, Sample]) -> None:
    """Gives a list and the single-valued field that its values are of one vocabulary."""
    fields = proposal.spec["fields"]
    singles = {n: f for n, f in fields.items() if f["type"] == "categorical"}
    for name, settings in fields.items():
        if settings["type"] != "multivalued":
            continue
        bags = columns.bags(samples[settings.get("column", name)].values, settings.get("separator"), name).values
        tokens = Sample(name, bags)
        matches = [(*_in_common(tokens, samples[f.get("column", n)]), n) for n, f in singles.items()]
        best, reason, single = max(matches, default=(0.0, "", ""))
        if best < _IN_COMMON:
            continue
        of_single = singles[single]
        vocabulary = of_single.get("vocabulary") or re.sub(r"[_\-.]?id$", "", single) + "_vocabulary"
        shared = {k: of_single.pop(k) for k in ("min_count",) if k in of_single}
        settings.pop("min_count", None)
        proposal.spec["vocabularies"].setdefault(vocabulary, shared)
        of_single["vocabulary"] = settings["vocabulary"] = vocabulary
        proposal.reasons[name].append(f"{reason} {single}: one vocabulary")


def _in_common(tokens: Sample, single: Sample) -> tuple[float, str]:
    """Returns how sure it is that a list's values are those of a single-valued column, from 0 to 1, and why."""
    if min(len(tokens.counts), len(single.counts)) < FEW or _USERS.fullmatch(single.name):
        return 0.0, ""
    same = sum(times for token, times in tokens.counts.items() if token in single.counts)
    share = same / max(1, sum(tokens.counts.values()))
    if share < _IN_COMMON and tokens.shape and tokens.shape == single.shape:
        return _IN_COMMON, f"its values are {tokens.shape} and digits, as are those of"
    return share, f"{share:.0%} of its values are values of"
