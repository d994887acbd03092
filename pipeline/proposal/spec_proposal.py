"""Proposes a spec for a click log, from a sample of its rows.

Each setting follows from a simple rule and comes with its reason, so that a person can review it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

import numpy as np
import pyarrow as pa

from ...transforms.errors import UserError
from ...transforms.spec import KEY_FEATURE, LABEL_FEATURE
from ..rows.texts import PLAIN_NUMBERS, NumberRule
from .column_sample import ColumnSample
from .dirt import cleaned, null_words
from .field_rules import DerivedField, missing_indicators, propose_field
from .keys import propose_key
from .labels import propose_label
from .list_columns import choose_members, with_parsed_lists
from .shared_vocabularies import propose_matches, share_vocabularies
from .splits import propose_split
from .times import TimeColumn, derived_fields, find_times


@dataclass
class Proposal:
    """A proposed spec.

    Attributes:
        spec: The spec as plain values; without the section `label` if no column can be the label.
        reasons: The reasons for each field and for the sections `label`, `key` and `split`, by name.
        left_out: The reason for leaving a column out, by its name.
        null_words: Texts in columns of numbers that mean a missing value, and why.
        of_source: The reasons for entries of the section `source`, by entry.
    """

    spec: dict[str, Any]
    reasons: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    null_words: dict[str, str] = field(default_factory=dict)
    of_source: dict[str, str] = field(default_factory=dict)


def propose(
    table: pa.Table,
    files: Sequence[str],
    *,
    label: str | None = None,
    left_out: Mapping[str, str] | None = None,
    rule: NumberRule = PLAIN_NUMBERS,
) -> Proposal:
    """Returns the spec proposed for a click log.

    Args:
        table: A sample of its rows.
        files: Its paths. Names such as train.csv and test.csv define the split if no column does.
        label: The label's column, if it cannot be guessed.
        left_out: Columns that are not in the table, and the reasons.
        rule: How texts are read as numbers.

    Raises:
        UserError: the given label has other values than 0 and 1, or no column can be a field.
    """
    samples = with_parsed_lists({n: ColumnSample(n, table[n].combine_chunks(), rule) for n in table.column_names})
    weights, members = choose_members(samples)
    proposal = Proposal({}, left_out={**(left_out or {}), **members}, null_words=null_words(samples))
    times = find_times(samples)
    found = propose_label(samples, label)
    key = propose_key(samples, {*times, *([found.settings["field"]] if found else [])})
    if key is not None:
        proposal.spec["key"], proposal.reasons["key"] = key
    if found is not None:
        proposal.spec["label"], proposal.reasons["label"] = found.settings, found.reasons
    taken = {key[0]} if key else set()
    taken |= {found.settings["field"]} if found else set()
    split = propose_split(samples, times, files, proposal.spec.get("key"), taken)
    proposal.spec["split"], proposal.reasons["split"] = split.settings, split.reasons
    proposal.spec |= {"max_rejected": 0.01, "times": {}, "vocabularies": {}, "fields": {}}
    labels = None if found is None else found.labels
    values = _propose_fields(proposal, samples, labels, times, taken | split.columns | set(members), weights)
    if not proposal.spec["fields"]:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in proposal.left_out.items())
        fault = f"left out: {reasons}" if reasons else f"there are only {', '.join(map(repr, samples))}"
        step = "Pass more rows or columns, sample more rows (`profile`: --rows), or write the spec by hand"
        if len(samples) == 1:
            step = "Only one column was found: if there are more, name the delimiter (`profile`: --delimiter)"
        raise UserError(f"{files[0]}: no column can be a field; {fault}. {step}")
    share_vocabularies(proposal.spec, proposal.reasons, values)
    _derive_from_times(proposal, samples, times, taken)
    _add(proposal, {**missing_indicators(proposal.spec["fields"], values), **propose_matches(proposal.spec, values)})
    if not proposal.spec["times"]:
        del proposal.spec["times"]
    return proposal


def _add(proposal: Proposal, derived: Mapping[str, DerivedField]) -> None:
    fields = proposal.spec["fields"]
    for wanted, found in derived.items():
        name = _field_name(wanted, fields)
        fields[name], proposal.reasons[name] = found.settings, found.reasons


def _derive_from_times(
    proposal: Proposal, samples: Mapping[str, ColumnSample], times: Mapping[str, TimeColumn], taken: Collection[str]
) -> None:
    """Adds the fields that are derived from times, and how their columns are read."""
    free = {name: time for name, time in times.items() if name not in taken}
    found = derived_fields(samples, free)
    _add(proposal, found)
    for derived in found.values():
        for column in {derived.settings["from"].get(key) for key in ("time", "age", "at")} & free.keys():
            settings = {key.removeprefix("time_"): value for key, value in free[column].settings.items()}
            if settings and column != proposal.spec["split"].get("time"):
                proposal.spec["times"][column] = settings
            if column in proposal.left_out:
                proposal.left_out[column] = "a time: fields are derived from it"


def _propose_fields(
    proposal: Proposal,
    samples: Mapping[str, ColumnSample],
    labels: np.ndarray | None,
    times: Collection[str],
    taken: Collection[str],
    weights: Mapping[str, str],
) -> dict[str, ColumnSample]:
    """Adds a field for each column that is not in `taken` and that is worth learning from; returns their values."""
    fields, values = proposal.spec["fields"], {}
    for column, sample in samples.items():
        if column in taken:
            continue
        numeric = cleaned(sample)
        reason = _reason_to_leave_out(sample, numeric, labels, times)
        if reason is not None:
            proposal.left_out[column] = reason
            continue
        guess = propose_field(sample, numeric)
        name = _field_name(column, fields)
        fields[name] = guess.settings | ({"column": column} if name != column else {})
        if column in weights:
            fields[name]["weights"] = weights[column]
            guess.reasons.append(f"{weights[column]} has a number for each value: its weight")
        proposal.reasons[name], values[name] = guess.reasons, guess.values
    return values


def _field_name(column: str, fields: Collection[str]) -> str:
    """Returns a valid name for the field of a column, that no other field has."""
    valid = re.sub(r"[^A-Za-z0-9_.\-]", "_", column.replace("[]", "")).lstrip("_.-")[:90] or f"column{len(fields)}"
    taken = {*fields, KEY_FEATURE, LABEL_FEATURE}
    return next(name for name in chain([valid], (f"{valid}_{i}" for i in count(2))) if name not in taken)


def _reason_to_leave_out(
    sample: ColumnSample, numeric: ColumnSample, labels: np.ndarray | None, times: Collection[str]
) -> str | None:
    if not sample.counts:
        return "no row of the sample has a value"
    if len(sample.counts) == 1 and (not sample.is_list or "[]." in sample.name):
        return "the same value in every row"
    if sample.name in times:
        return "a time: derive fields from it if they matter"
    if sample.has_unknown_lists:
        example = next(iter(sample.counts)).decode("utf-8", "replace")[:60]
        if example.startswith("{") and ":" in example:
            return f"objects as text, such as {example!r}: write their members as columns, or the rows as JSON Lines"
        return f"texts in brackets that are not lists of JSON or Python, such as {example!r}: write them as JSON"
    if sample.never_repeats and sample.is_currency:
        example = next(iter(sample.counts)).decode("utf-8", "replace")
        return f"texts such as {example!r} are not numbers: remove the sign of the currency at the source"
    if sample.never_repeats and (numeric.numbers is None or (sample.is_whole and sample.is_named_as_id)):
        return "a different value in every row: nothing to learn from"
    if labels is not None and sample.leaks(labels):
        return "each value always has the same label: it leaks the label"
    return None
