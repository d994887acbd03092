"""Proposes the label: the column to predict, and which of its values are positive."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ...transforms.errors import UserError
from ...transforms.spec import Label
from ..rows import columns
from ..rows.labels import labels
from .column_sample import ColumnSample
from .dirt import others_of

_NAMES = re.compile(r"label|target|click|clicked|is_click|converted|conversion|y", re.IGNORECASE)

# Words of positive and of negative labels, in lower case, without signs and spaces.
_POSITIVE = re.compile(
    r"1|\+1|y|yes|t|true|pos|positive|good|up|upvoted?|thumbsup|clicks?|clicked|buys?|bought|purchased?|order(ed)?"
    r"|cart|(added|add)?to(cart|basket|bag)|basket|checkout|transaction|conversion|converted|liked?|loved?|fav(ou?rited?)?"
    r"|saved?|shared?|follow(ed)?|subscribed?|install(ed)?|download(ed)?|book(ed)?|apply|applied"
    r"|ja|oui|s[iíì]|sim|wahr|vrai|verdadero|vero|да|是"
)
_NEGATIVE = re.compile(
    r"0|-1|n|no|none|f|false|neg|negative|bad|down|downvoted?|thumbsdown|pv|(page|detail)?views?|viewed|impressions?|imp"
    r"|shown?|expos(ure|ed)|display(ed)?|skip(ped)?|ignored?|disliked?|unliked?|hide|hidden|removed?(fromcart)?|refund(ed)?"
    r"|return(ed)?|(no|non|not)click(ed)?|nein|non|n[aã]o|falsch|faux|falso|нет|否"
)
_MOST_WORDS = 50
_SHOWN_NAMES = 30

# At least this share of the labels must be positive.
_FEWEST = 0.01


@dataclass(frozen=True)
class ProposedLabel:
    """A label as plain values.

    Attributes:
        settings: The section `label`.
        reasons: Why.
        labels: The label of each row: 0, 1, or NaN if it is missing, float64 `[rows]`.
    """

    settings: dict[str, Any]
    reasons: list[str]
    labels: np.ndarray


def propose_label(samples: Mapping[str, ColumnSample], given: str | None) -> ProposedLabel | None:
    """Returns the label; None if no column is given, and none has only the values 0 and 1.

    Args:
        samples: All columns.
        given: The column of the label, if the user named it.

    Raises:
        UserError: the column does not exist, has only one value, or has more words than a rule can name.
    """
    if given is not None:
        if given not in samples:
            raise UserError(f"--label {given}: no such column; expected one of {_names(samples)}")
        return _of_column(samples[given])
    binary = [name for name, sample in samples.items() if sample.is_binary]
    named = [name for name in binary if _NAMES.fullmatch(name)]
    found = next(iter([*named, *binary]), None)
    if found is None:
        return None
    reason = f"has the values 0 and 1{', and the name of a label' if named else ''}"
    return ProposedLabel({"field": found}, [reason], _numbers(samples[found]))


def _of_column(sample: ColumnSample) -> ProposedLabel:
    if sample.is_binary:
        return ProposedLabel({"field": sample.name}, ["given by --label"], _numbers(sample))
    different = len(sample.counts) if sample.numbers is None else len(np.unique(sample.numbers))
    if different < 2 or sample.is_list:
        found = "lists" if sample.is_list else f"only {_quoted(list(sample.counts)) or 'missing values'}"
        raise UserError(f"--label {sample.name}: expected a column with two or more different values, found {found}")
    others = others_of(sample)
    numbers = columns.numbers(sample.values, sample.name).values
    if others and set(pc.unique(numbers.drop_null()).to_pylist()) == {0.0, 1.0}:
        reason = f"{others.share:.2%} of the labels are not 0 or 1 ({others.examples}): their rows are rejected"
        return ProposedLabel(
            {"field": sample.name}, ["given by --label", reason], np.asarray(numbers.fill_null(np.nan))
        )
    positive, reasons = _comparison(sample) if sample.numbers is not None else _words(sample)
    label = Label(field=sample.name, positive=positive)
    found = labels(sample.values, label, sample.rule).values
    values = np.asarray(found.fill_null(np.nan), np.float64)
    share = f"{np.nanmean(values):.1%} of the labels are positive"
    settings = {"field": sample.name, "positive": positive}
    return ProposedLabel(settings, ["given by --label", *reasons, f"{share}: review the rule"], values)


def _comparison(sample: ColumnSample) -> tuple[str, list[str]]:
    """Returns the rule of numbers: the upper quarter of their scale, or of the rows if that has nearly none of them."""
    numbers = np.asarray(columns.doubles(sample.values, sample.name, sample.rule).values.drop_null())
    distinct = np.unique(numbers)
    low, high = distinct[[0, -1]].tolist()
    bound = distinct[distinct >= low + 0.75 * (high - low)][0]
    part = "the upper part of the scale"
    if len(distinct) == 2:
        part = "the larger one"
    elif np.mean(numbers >= bound) < _FEWEST:
        bound = max(np.quantile(numbers, 0.75, method="higher"), distinct[1])
        part = "the largest quarter"
    from_to = " and ".join(map(_shown, (low, high))) if len(distinct) == 2 else f"{_shown(low)} to {_shown(high)}"
    return f">= {_shown(bound)}", [f"numbers {from_to}: {part} is positive"]


def _words(sample: ColumnSample) -> tuple[list[str], list[str]]:
    """Returns the positive words, and the reason: known words, otherwise all others, otherwise the rarest one."""
    words = {text.decode("utf-8", "replace"): rows for text, rows in sample.counts.items()}
    if len(words) > _MOST_WORDS:
        example = _quoted(list(sample.counts)[:3])
        raise UserError(
            f"--label {sample.name}: expected 0 and 1, numbers, or at most {_MOST_WORDS} words; found {len(words):,} "
            f"different texts, such as {example}"
        )
    plain = {word: re.sub(r"[^\w+-]|_|(?<=.)-", "", word.lower()) for word in words}
    positive = [word for word in words if _POSITIVE.fullmatch(plain[word])]
    negative = [word for word in words if _NEGATIVE.fullmatch(plain[word])]
    if not positive:
        positive = (
            [word for word in words if word not in negative] if negative else [min(words, key=lambda w: words[w])]
        )
        reason = "the other words mean no" if negative else "no known word: the rarest one is taken as positive"
    elif len(positive) == len(words):
        positive = positive[1:]  # They are ordered by frequency.
        reason = "the most frequent word is taken as negative"
    else:
        reason = "words that usually mean yes"
    return positive, [f"words {_quoted(list(sample.counts))}: {reason}"]


def _names(samples: Mapping[str, ColumnSample]) -> str:
    """Returns the names of columns in words, and what to check if there is only one."""
    shown = ", ".join(name if name and name == name.strip() else repr(name) for name in list(samples)[:_SHOWN_NAMES])
    more = len(samples) - _SHOWN_NAMES
    if more > 0:
        return f"{shown} and {more:,} more"
    return (
        shown if len(samples) > 1 else f"{shown}, the only column; if a row has several values, check what divides them"
    )


def _quoted(texts: Sequence[bytes]) -> str:
    return ", ".join(repr(text.decode("utf-8", "replace")) for text in texts)


def _shown(number: float) -> str:
    return np.format_float_positional(number, trim="-")


def _numbers(sample: ColumnSample) -> np.ndarray:
    return np.asarray(columns.numbers(sample.values, sample.name).values.fill_null(np.nan))
