"""Metrics of the order of rows within groups, such as the candidates of an impression: nDCG, MRR, hit rate, AUC.

All rows are sorted once by group and score. Then all groups are measured together, about a million rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

# The approximate number of rows that are measured at a time; also of cells in a table of probabilities.
_PART = 1 << 20


def ranking_measures(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    *,
    at: Sequence[int] = (5, 10),
    weights: np.ndarray | None = None,
) -> dict[str, float]:
    """Returns metrics of the order of the rows of each group by decreasing score, as means over groups.

    The rows of a group have the ranks 1, 2, … and P of them are positive: their label is 1.

    - `ndcg@k`: DCG@k / the largest possible DCG@k. DCG@k is the sum of (2^label − 1) / log2(rank + 1) over the ranks up
      to k (Burges et al., https://doi.org/10.1145/1102351.1102363).
    - `mrr`: 1 / the rank of the first positive row, which is `recip_rank` of TREC.
    - `mrr_mind`: the mean of 1 / rank over the P positive rows. MIND's evaluation calls it MRR
      (https://aclanthology.org/2020.acl-main.331). If P is 1, it equals `mrr`.
    - `hit_rate@k`: 1 if a positive row has a rank up to k, else 0.
    - `group_auc`: the AUC within the group: the share of pairs in which the positive row scores above the negative one;
      equal scores count as half.

    If rows have equal scores, each metric is the exact mean over all orders of these rows (McSherry and Najork,
    https://doi.org/10.1007/978-3-540-78646-7_38). So no metric depends on the order in which rows are given.

    Groups without a positive row are left out, because all orders of their rows are equally good. `group_auc` also
    leaves out groups without a negative row.

    Args:
        labels: 0 or 1, `[n]`.
        scores: Numbers that increase with the probability, such as logits, `[n]`. float32 is the fastest.
        groups: The group of each row, values that can be sorted, such as integers, `[n]`; at most 2^31 different ones.
        at: The values of k, 1 or more.
        weights: The weight of each row, 0 or more, `[n]`. The weight of a group in the means is the sum of its rows'
            weights: `group_auc` with weights of 1 is `gauc`. Default: all groups have the same weight.

    Returns:
        The metrics, from 0 to 1; NaN if no group counts, or if a group that counts has a score of NaN. Also the numbers
        of groups: `groups`, those with a positive row, `groups_without_positives` and `groups_without_negatives`.

    Examples:
        >>> # In the first group the positive row has rank 2, in the second one rank 1.
        >>> found = ranking_measures(
        ...     np.array([1, 0, 0, 1, 0]), np.array([0.5, 0.9, 0.1, 0.4, 0.2]), np.array([7, 7, 7, 8, 8]), at=[1]
        ... )
        >>> found["mrr"], found["hit_rate@1"], found["group_auc"]
        (0.75, 0.5, 0.75)
    """
    names = [*(f"ndcg@{k}" for k in at), "mrr", "mrr_mind", *(f"hit_rate@{k}" for k in at), "group_auc"]
    sums, total_weights = np.zeros(len(names)), np.zeros(len(names))
    counts = np.zeros(3, "int64")
    for part in _parts(labels, scores, groups, weights):
        counted = part.positives > 0
        mixed = counted & (part.positives < part.rows)
        counts += [counted.sum(), (~counted).sum(), (part.positives == part.rows).sum()]
        mrr, hit_rates = _first_positive(part, at)
        values = [*(_ndcg(part, k) for k in at), mrr, _mrr_mind(part), *hit_rates, _auc(part)]
        for i, value in enumerate(values):
            used = mixed if names[i] == "group_auc" else counted
            sums[i] += np.dot(value[used], part.weights[used])
            total_weights[i] += part.weights[used].sum()
    means = np.divide(sums, total_weights, out=np.full(len(names), np.nan), where=total_weights > 0)
    numbers_of_groups = ("groups", "groups_without_positives", "groups_without_negatives")
    return dict(zip((*names, *numbers_of_groups), (*means.tolist(), *counts.tolist()), strict=True))


class _Part(NamedTuple):
    """Some of the groups. A tie is a set of all rows of a group that have one score; single rows are ties, too.

    Attributes:
        rows: The number of rows of each group, int64 `[groups]`.
        positives: The number of its positive rows, int64 `[groups]`.
        weights: Its weight in the means, NaN if a score is NaN, float64 `[groups]`.
        group: The index of the group of each tie with a positive row, int64 `[ties]`.
        tie_rows: The number of rows of the tie, int64 `[ties]`.
        tie_positives: The number of its positive rows, 1 or more, int64 `[ties]`.
        rows_above: The number of rows of its group with a higher score, int64 `[ties]`.
        positives_above: The number of positive ones among them, int64 `[ties]`.
    """

    rows: np.ndarray
    positives: np.ndarray
    weights: np.ndarray
    group: np.ndarray
    tie_rows: np.ndarray
    tie_positives: np.ndarray
    rows_above: np.ndarray
    positives_above: np.ndarray

    def sums(self, of_ties: np.ndarray) -> np.ndarray:
        """Returns the sums of numbers of ties by group, float64 `[groups]`."""
        return np.bincount(self.group, of_ties, len(self.rows))


def _parts(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, weights: np.ndarray | None) -> Iterator[_Part]:
    """Sorts the rows, and yields the groups, about `_PART` rows at a time."""
    group = np.unique(groups, return_inverse=True)[1]
    rows = np.bincount(group)
    group_weights = np.ones(len(rows)) if weights is None else np.bincount(group, weights).astype("float64")
    group_weights[group[np.isnan(scores)]] = np.nan
    # One integer has the group, the score and the label of a row, because NumPy sorts integers 20 times as fast as it
    # sorts rows by two columns.
    packed = group.astype("uint64") << np.uint64(33)
    packed |= _ordinals(scores) << np.uint64(1)
    packed |= labels.astype("uint64")
    packed.sort()
    del group
    ends = np.cumsum(rows)
    first = first_row = 0
    while first < len(rows):
        last = max(first + 1, int(np.searchsorted(ends, first_row + _PART, side="right")))
        yield _part(packed[first_row : ends[last - 1]], rows[first:last], group_weights[first:last])
        first, first_row = last, ends[last - 1]


def _ordinals(scores: np.ndarray) -> np.ndarray:
    """Returns integers below 2^32 with the order of the scores, uint64 `[n]`."""
    if scores.dtype != np.float32:
        return np.unique(scores, return_inverse=True)[1].astype("uint64")
    bits = (scores + np.float32(0)).view("uint32")  # The sum turns −0 into 0.
    # The bits of positive numbers have their order; those of negative ones have the opposite order.
    return np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31)).astype("uint64")


def _part(packed: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> _Part:
    """Returns the groups of some sorted rows."""
    first = np.flatnonzero(np.r_[True, packed[1:] >> np.uint64(1) != packed[:-1] >> np.uint64(1)])
    tie_rows = np.diff(np.r_[first, len(packed)])
    tie_positives = np.add.reduceat((packed & np.uint64(1)).astype("int64"), first)
    ends = np.cumsum(rows)
    group = np.searchsorted(ends, first, side="right")
    positives = np.bincount(group, tie_positives).astype("int64")
    rows_above = ends[group] - (first + tie_rows)
    positives_above = np.cumsum(positives)[group] - np.cumsum(tie_positives)
    some = tie_positives > 0
    of_ties = (group, tie_rows, tie_positives, rows_above, positives_above)
    return _Part(rows, positives, weights, *(column[some] for column in of_ties))


def _ndcg(part: _Part, k: int) -> np.ndarray:
    """Returns the nDCG@k of each group, float64 `[groups]`; NaN without positive rows."""
    k = min(k, int(part.rows.max()))
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.r_[np.nan, np.cumsum(discounts)][np.minimum(part.positives, k)]
    return np.minimum(_discounted(part, discounts) / ideal, 1)  # Rounding may give slightly more than 1.


def _mrr_mind(part: _Part) -> np.ndarray:
    """Returns the mean of 1 / rank over the positive rows of each group, float64 `[groups]`."""
    return _discounted(part, 1 / np.arange(1, part.rows.max() + 1)) / np.maximum(part.positives, 1)


def _discounted(part: _Part, discounts: np.ndarray) -> np.ndarray:
    """Returns the sum of the discounts of the ranks of each group's positive rows, float64 `[groups]`.

    `discounts` has those of the ranks 1, 2, …; further ranks have none. A positive row of a tie has each of the tie's
    ranks with the same probability, so it gets their mean discount.
    """
    up_to = np.r_[0, np.cumsum(discounts)]
    above, last = np.minimum([part.rows_above, part.rows_above + part.tie_rows], len(discounts))
    return part.sums(part.tie_positives / part.tie_rows * (up_to[last] - up_to[above]))


def _auc(part: _Part) -> np.ndarray:
    """Returns the AUC of each group, float64 `[groups]`; any number without pairs."""
    negatives = part.rows - part.positives
    tie_negatives = part.tie_rows - part.tie_positives
    negatives_above = part.rows_above - part.positives_above
    # Twice the number of pairs in the right order: integers, so there is no rounding error.
    twice = part.tie_positives * (2 * (negatives[part.group] - negatives_above) - tie_negatives)
    return part.sums(twice) / np.maximum(2 * part.positives * negatives, 1)


def _first_positive(part: _Part, at: Sequence[int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the mean of 1 / r for each group, and for each k the probability that r ≤ k, float64 `[groups]`.

    r is the rank of the first positive row. It is in the group's highest tie with a positive row. Of the m rows of this
    tie p are positive, in random order; then the first j rows of it are negative with the probability
    Π (m − p − i) / (m − i) over i < j.
    """
    ties = np.flatnonzero(part.positives_above == 0)
    reciprocal, hits = np.zeros(len(part.rows)), [np.zeros(len(part.rows)) for _ in at]
    # Ties with similar numbers of negative rows share a table with a row for each tie and a column for each j.
    sizes = np.ceil(np.log2((part.tie_rows - part.tie_positives)[ties] + 1)).astype("int64")
    for size in np.unique(sizes):
        of_size = ties[sizes == size]
        for some in np.array_split(of_size, -(-(len(of_size) << int(size)) // _PART)):
            m, p, above = (c[some, None] for c in (part.tie_rows, part.tie_positives, part.rows_above))
            j = np.arange(1 << int(size))
            rest = np.maximum(m - j, 1)
            negative = np.maximum(m - p - j, 0) / rest
            probability = np.cumprod(np.c_[np.ones(len(some)), negative[:, :-1]], axis=1) * p / rest
            rank = above + j + 1
            reciprocal[part.group[some]] = (probability / rank).sum(axis=1)
            for k, hit in zip(at, hits, strict=True):
                hit[part.group[some]] = np.minimum(probability.sum(axis=1, where=rank <= k), 1)
    return reciprocal, hits
