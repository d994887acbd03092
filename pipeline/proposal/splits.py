"""Proposes the split: by a column, by files, by a time, or by the hash of what distinguishes the rows."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..rows.splits import texts_to_hash
from .column_sample import ColumnSample
from .times import TimeColumn

_WORDS = {
    "train": ("train", "training"),
    "eval": ("eval", "valid", "validation", "val", "dev"),
    "test": ("test",),
}
_SHARES = {"train": 0.8, "eval": 0.1, "test": 0.1}

# A time split rejects rows without a time, of which `max_rejected` of the proposal allows 1 %; and it needs some times.
_LEAST_ROWS, _LEAST_TIMES = 0.99, 10

# Columns are hashed together until at least this share of the rows has different values.
_DISTINCT_ROWS = 0.95


@dataclass(frozen=True)
class ProposedSplit:
    """A split as plain values, its reasons, and the columns that must therefore not become fields."""

    settings: dict[str, Any]
    reasons: list[str]
    columns: set[str] = field(default_factory=set)


def propose_split(
    samples: Mapping[str, ColumnSample],
    times: Mapping[str, TimeColumn],
    files: Sequence[str],
    key: str | None,
    taken: Collection[str | None],
) -> ProposedSplit:
    """Returns the split proposed for a click log.

    Args:
        samples: All columns.
        times: The columns with times.
        files: The paths of the files. Names such as train.csv and test.csv define the split if no column does.
        key: The column that identifies the row, if there is one.
        taken: Columns that cannot define the split: the label and the key.
    """
    return _of_words(samples) or _of_files(files) or _of_time(times, taken) or _of_hash(samples, times, key, taken)


def _of_words(samples: Mapping[str, ColumnSample]) -> ProposedSplit | None:
    known = {word for words in _WORDS.values() for word in words}
    for name, sample in samples.items():
        words = {text.decode("utf-8", "replace") for text in list(sample.counts)[:10]}
        if not sample.is_list and "train" in words and {word.lower() for word in words} <= known:
            by_split = {kind: sorted(w for w in words if w.lower() in _WORDS[kind]) for kind in _WORDS}
            others = {kind: found for kind, found in by_split.items() if found and found != [kind]}
            reason = f"has the values {', '.join(sorted(words))}"
            return ProposedSplit({"column": name, **others}, [reason], {name})
    return None


def _of_files(files: Sequence[str]) -> ProposedSplit | None:
    """Returns a split by file names, if every one contains the name of a split, and one is train."""
    patterns: dict[str, str] = {}
    for path in files:
        name = os.path.basename(path)
        found = [(kind, word) for kind, words in _WORDS.items() for word in words if word in name.lower()]
        if not found:
            return None
        patterns.setdefault(found[0][0], f"*{found[0][1]}*" if len(files) > len(_WORDS) else name)
    if "train" not in patterns or len(patterns) < 2:
        return None
    return ProposedSplit({"files": patterns}, ["from the names of the files"])


def _of_time(times: Mapping[str, TimeColumn], taken: Collection[str | None]) -> ProposedSplit | None:
    usable = [
        time
        for time in times.values()
        if time.is_of_event and time.rows >= _LEAST_ROWS and time.distinct >= _LEAST_TIMES and time.name not in taken
    ]
    if not usable:
        return None
    time = max(usable, key=lambda time: time.distinct)
    kind = f"{time.name} is a time" + (f" ({'; '.join(time.reasons)})" if time.reasons else "")
    reasons = [f"{kind}: the oldest rows are for training, the newest for testing"]
    if time.rows < 1:
        reasons.append(f"{1 - time.rows:.2%} of the rows have no such time and are rejected")
    return ProposedSplit({"time": time.name, **_SHARES, **time.settings}, reasons, {time.name})


def _of_hash(
    samples: Mapping[str, ColumnSample], times: Mapping[str, TimeColumn], key: str | None, taken: Collection[str | None]
) -> ProposedSplit:
    """Returns a split by the hash of the key, or of the fewest columns that together distinguish nearly all rows.

    Never by the hash of one id that repeats, such as a user: all values of that column in eval would be new.
    """
    no_time = "no column has a split, or a time of every row"
    if key is not None:
        reason = f"{no_time}: rows are split at random, by the hash of {key or repr(key)}"
        return ProposedSplit({"hash": key, **_SHARES}, [reason])
    usable = [sample for name, sample in samples.items() if name not in taken and sample.counts and not sample.settings]
    rows = max((len(sample.values) for sample in usable), default=0)
    combined, chosen = np.zeros(rows, np.int64), list[str]()
    is_missing = np.ones(rows, bool)
    for sample in sorted(usable, key=lambda sample: (sample.is_list, sample.name in times, -len(sample.counts))):
        texts = texts_to_hash(sample.values, sample.name)
        codes = np.asarray(texts.dictionary_encode().indices.fill_null(-1)) + 1
        together = np.unique(combined * (codes.max(initial=0) + 1) + codes, return_inverse=True)[1]
        if not chosen or together.max() > combined.max() or is_missing.any():
            combined, is_missing = together, is_missing & (codes == 0)
            chosen.append(sample.name)
        if combined.max() + 1 >= _DISTINCT_ROWS * rows and not is_missing.any():
            break
    if not chosen:
        chosen = [name for name in samples if name not in taken][:1]
    hashed: str | list[str] = chosen[0] if len(chosen) == 1 else chosen
    of = " and ".join(chosen) + (" together" if len(chosen) > 1 else "")
    reason = f"{no_time}, and none identifies the row: rows are split at random, by the hash of {of}"
    return ProposedSplit({"hash": hashed, **_SHARES}, [reason])
