"""Slices of a split: the rows of each value of a field or carried column, or of each range of list lengths."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from ..transforms.runs.run import Run
from .metrics.groups import Texts

# The number of the most frequent values of a field or carried column that have their own slice.
MOST_SLICES = 20

# The slices that have no value of their own.
_OTHER, _OOV, _MISSING = "(other)", "(OOV)", "(missing)"


def slices_of(run: Run, name: str, column: np.ndarray | Texts) -> dict[str, np.ndarray]:
    """Returns for each slice of a field or carried column its rows, bool `[n]`; slices without rows are left out."""
    if isinstance(column, Texts):
        masks = _slices_of_texts(*column)
    elif run.spec.fields[name].is_list:
        edges = [0, *(2**i for i in range(int(column.max(initial=0)).bit_length() + 1))]
        ranges = pairwise(edges)
        masks = {
            (str(first) if last - first == 1 else f"{first}–{last - 1}"): (column >= first) & (column < last)
            for first, last in ranges
        }
    else:
        vocabulary, tokens = run.spec.vocabulary_settings_of(name), run.tokens(run.spec.vocabulary_of(name))
        is_token = vocabulary.is_token(column)
        ids, counts = np.unique(column[is_token], return_counts=True)
        frequent = ids[np.argsort(-counts, kind="stable")][:MOST_SLICES]
        if vocabulary.hash_buckets is None:
            names = _slice_names([tokens[i - vocabulary.first_token_id] for i in frequent], tokens)
        else:
            names = [f"bucket {i}" for i in frequent]
        masks = {name: column == i for name, i in zip(names, frequent, strict=True)}
        masks[_OTHER] = is_token & ~np.isin(column, frequent)
        masks[_OOV] = vocabulary.is_oov(column)
        masks[_MISSING] = column == 0
    return {slice_name: mask for slice_name, mask in masks.items() if mask.any()}


def _slices_of_texts(numbers: np.ndarray, texts: list[bytes]) -> dict[str, np.ndarray]:
    counts = np.bincount(numbers, minlength=len(texts))
    frequent = heapq.nsmallest(MOST_SLICES, range(1, len(texts)), key=lambda n: (-counts[n], texts[n]))
    names = _slice_names([texts[n] for n in frequent], texts)
    masks = {name: numbers == n for name, n in zip(names, frequent, strict=True)}
    return masks | {_OTHER: (numbers > 0) & ~np.isin(numbers, frequent), _MISSING: numbers == 0}


def _slice_names(frequent: Sequence[bytes], tokens: Collection[bytes]) -> list[str]:
    """Returns a different name for each of the `frequent` ones of some tokens.

    It is the token's text, in quotes if that is the name of a slice without a token. Bytes that are not valid UTF-8 are
    shown as `\\xff`, in quotes if another token has this text.
    """
    names: list[str] = []
    for token in frequent:
        name = token.decode("utf-8", "backslashreplace")
        while name in (_OTHER, _OOV, _MISSING, *names) or (name.encode() != token and name.encode() in tokens):
            name = f"'{name}'"
        names.append(name)
    return names
