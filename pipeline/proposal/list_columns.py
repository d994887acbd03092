"""Finds texts that are lists in the syntax of JSON or Python, and chooses members of lists of objects as fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ...transforms.spec.fields import ListForm
from ..arrow_lists import list_lengths
from ..rows import columns
from ..sources.list_texts import FORMS, NOT_PARSED, parse
from ..sources.paths import Steps, text_of
from .column_sample import ColumnSample

# The share of the texts that must be lists: `max_rejected` of the proposal allows 1 % of other rows.
_LEAST_LISTS = 0.99

# The number of texts whose objects are searched for members.
_SEARCHED = 200

# The end of the names of columns of libffm files with the values of a field's features.
_VALUES = ".value"

_IDS = re.compile(r"(.*_)?(id|ids|key|uid|code|index|idx)|.*Id", re.ASCII)
_WEIGHTS = re.compile(
    r".*(count|weight|score|qty|quantity|relevance|confidence|prob|probability|strength|amount|frequency|freq|times).*",
    re.IGNORECASE,
)


def with_parsed_lists(samples: Mapping[str, ColumnSample]) -> dict[str, ColumnSample]:
    """Returns the columns, with the parsed lists in place of texts in the syntax of JSON or Python.

    A column of lists of objects is replaced by a column for each member, named by its path: `tags[].name`.
    """
    return {parsed.name: parsed for sample in samples.values() for parsed in _parsed(sample)}


def _parsed(sample: ColumnSample) -> Iterator[ColumnSample]:
    form = _form_of(sample)
    if form is None:
        yield sample
        return
    members = _members_of(sample, form)
    paths: list[Steps] = [("[]", member) for member in members] or [()]
    for steps in paths:
        name = sample.name + text_of(steps)
        found = columns.lists(sample.values, sample.name, form=form, steps=steps)
        reasons = [f"texts with lists in the syntax of {'JSON' if form == 'json' else 'Python'}"]
        if found.bad.any():
            reasons.append(f"{found.bad.mean():.2%} of the rows have no such list and are rejected")
        yield ColumnSample(name, found.values, settings={"list": form}, reasons=reasons)


def _form_of(sample: ColumnSample) -> ListForm | None:
    """Returns the syntax that fits nearly all texts of a column; None if they are not lists."""
    if sample.is_list or not sample.is_text or not sample.counts:
        return None
    has_brackets = pc.mean(pc.match_substring_regex(sample.texts, rb"^\s*\[(?s:.*)\]\s*$")).as_py()
    if has_brackets < _LEAST_LISTS:
        return None
    counts = list(sample.counts.items())[:_SEARCHED]
    rows = {form: sum(times for text, times in counts if _parse(text, form) is not None) for form in FORMS}
    best = max(FORMS, key=lambda form: rows[form])
    return best if rows[best] >= _LEAST_LISTS * sum(times for _, times in counts) else None


def _parse(text: bytes, form: ListForm) -> list[Any] | None:
    try:
        return parse(text, form)
    except NOT_PARSED:
        return None


def _members_of(sample: ColumnSample, form: ListForm) -> list[str]:
    """Returns the names of the members of lists of objects that are texts or numbers."""
    lists = [_parse(text, form) or [] for text in list(sample.counts)[:_SEARCHED]]
    objects = [element for elements in lists for element in elements if isinstance(element, dict)]
    names = dict.fromkeys(name for element in objects for name in element)
    nested = {name for element in objects for name, value in element.items() if isinstance(value, dict | list)}
    return [name for name in names if name not in nested and name and "." not in name and not name.endswith("[]")]


def choose_members(samples: Mapping[str, ColumnSample]) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the columns of weights by column of values, and the reasons to leave out other members of the objects.

    Of the members of a list of objects, texts are preferred to ids, and numbers whose names are those of weights are
    weights, if they vary.
    """
    weights: dict[str, str] = {}
    left_out: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    for name, sample in samples.items():
        of = name.removesuffix(_VALUES)
        if of != name and of in samples and sample.is_list and samples[of].is_list:
            if _are_weights(sample, samples[of]) or set(sample.counts) != {b"1"}:
                weights[of], left_out[name] = name, f"the weights of {of}"
            else:
                left_out[name] = "all weights are 1"
        if "[]." in name and sample.is_list:
            groups.setdefault(name.rpartition("[].")[0], []).append(name)
    for members in groups.values():
        last = {name: name.rpartition("[].")[2] for name in members}
        values = [name for name in members if not _IDS.fullmatch(last[name]) and not _are_numbers(samples[name])]
        ids = [name for name in members if name not in values and _IDS.fullmatch(last[name])]
        main = next(iter([*values, *ids]), None)
        if main is None:
            continue
        if values:
            left_out |= dict.fromkeys(ids, f"an id beside {values[0]}, which names the same elements")
        for name in members:
            if name not in values and name not in ids:
                is_weight = _WEIGHTS.fullmatch(last[name]) and _are_weights(samples[name], samples[main])
                if is_weight and main not in weights:
                    weights[main] = name
                    left_out[name] = f"the weights of {main}"
    return weights, left_out


def _are_numbers(sample: ColumnSample) -> bool:
    return not columns.doubles(sample.texts, sample.name).bad.any()


def _are_weights(sample: ColumnSample, values: ColumnSample) -> bool:
    """Returns whether a column has different numbers of 0 or more, one for each value."""
    numbers = np.asarray(columns.doubles(sample.texts, sample.name).values.drop_null())
    is_parallel = (list_lengths(sample.values) == list_lengths(values.values)).all()
    is_complete = len(numbers) == list_lengths(sample.values).sum()
    return bool(is_parallel and is_complete and len(np.unique(numbers)) > 1 and numbers.min() >= 0)
