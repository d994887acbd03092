"""Finds columns of numbers with a few other texts, and what to do about these: null words, percent, or rejection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ..rows import columns
from ..rows.columns import TEXT
from ..sniffing.value_types import NULLS, SURE_NULLS
from .column_sample import ColumnSample

# A column is one of numbers if at most this share of its values are other texts. The rows with such texts are rejected.
_MAX_OTHERS = 0.05

_SHOWN = 3


@dataclass(frozen=True)
class Others:
    """The texts of a column of numbers that are not numbers.

    Attributes:
        rows: The number of rows with each text, most frequent first.
        share: Their share of the rows that have a value, 0 to 1.
    """

    rows: Mapping[bytes, int]
    share: float

    @property
    def examples(self) -> str:
        """The most frequent of them, quoted."""
        quoted = [repr(text.decode("utf-8", "backslashreplace")) for text in list(self.rows)[:_SHOWN]]
        return ", ".join(quoted) + (", …" if len(self.rows) > _SHOWN else "")


def others_of(sample: ColumnSample) -> Others | None:
    """Returns the texts that are not numbers in a column of numbers; None if it is not one, or has only numbers."""
    if sample.is_list or not sample.is_text or sample.numbers is not None or not sample.counts:
        return None
    is_bad = columns.doubles(pa.array(list(sample.counts), TEXT), sample.name, sample.rule).bad
    rows = {text: times for (text, times), bad in zip(sample.counts.items(), is_bad.tolist(), strict=True) if bad}
    share = sum(rows.values()) / len(sample.texts)
    return Others(rows, share) if share <= _MAX_OTHERS else None


def cleaned(sample: ColumnSample) -> ColumnSample:
    """Returns a column of numbers without its few other texts, and with the reasons; any other column as it is.

    Columns named as ids keep all texts.
    """
    percent = ColumnSample(sample.name, sample.values, replace(sample.rule, percent=True), settings={"percent": True})
    if _is_percent(sample) and (percent.numbers is not None or others_of(percent) is not None):
        sample = percent
    others = others_of(sample)
    if others is None or sample.is_named_as_id:
        return sample
    tokens = columns.tokens(sample.values, sample.name).values
    is_bad = columns.doubles(sample.values, sample.name, sample.rule).bad
    values = pa.array(tokens.to_pylist(), TEXT, mask=np.asarray(is_bad))
    reason = f"{others.share:.2%} of the values are not numbers ({others.examples}): their rows are rejected"
    return ColumnSample(sample.name, values, sample.rule, settings=sample.settings, reasons=[reason])


def _is_percent(sample: ColumnSample) -> bool:
    return sample.is_text and not sample.is_list and any(text.rstrip().endswith(b"%") for text in sample.counts)


def null_words(samples: Mapping[str, ColumnSample]) -> dict[str, str]:
    """Returns words that mean a missing value, and why: those among numbers.

    A word that has other meanings, such as NA, must not be in another column.
    """
    found: dict[str, str] = {}
    for name, sample in samples.items():
        others = others_of(sample)
        for text, rows in others.rows.items() if others else ():
            word = text.decode("utf-8", "replace")
            is_word = word in NULLS and word not in SURE_NULLS
            if word not in NULLS or (is_word and any(_has_word(other, text) for other in samples.values())):
                continue
            found.setdefault(word, f"{rows:,} of {len(sample.values):,} values of {name}; the others are numbers")
    return found


def _has_word(sample: ColumnSample, word: bytes) -> bool:
    """Returns whether a column of words has a word."""
    return sample.numbers is None and others_of(sample) is None and word in sample.counts
