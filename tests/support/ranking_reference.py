"""Slow definitions of ranking metrics in plain Python, without arrays."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from fractions import Fraction
from itertools import permutations

# Label and score of a row of one group.
Row = tuple[int, float]


def groups_of(labels: Iterable[float], scores: Iterable[float], groups: Iterable[Hashable]) -> list[list[Row]]:
    """Returns the rows of each group."""
    rows = defaultdict(list)
    for label, score, group in zip(labels, scores, groups, strict=True):
        rows[group].append((int(label), float(score)))
    return list(rows.values())


def auc(rows: Sequence[Row]) -> float:
    """Counts the pairs; equal scores count as half."""
    pairs = [(p, n) for label, p in rows if label for other, n in rows if not other]
    twice = sum(2 if p > n else 1 if p == n else 0 for p, n in pairs)
    return float(Fraction(twice, 2 * len(pairs)))


def ndcg(ranked: Sequence[int], k: int) -> float:
    """nDCG@k of labels in the order of their ranks."""

    def dcg(labels: Sequence[int]) -> float:
        return math.fsum((2**label - 1) / math.log2(rank + 1) for rank, label in enumerate(labels[:k], 1))

    return dcg(ranked) / dcg(sorted(ranked, reverse=True))


def mrr_mind(ranked: Sequence[int]) -> float:
    """The mean of 1 / rank over the positive rows."""
    return math.fsum(label / rank for rank, label in enumerate(ranked, 1)) / sum(ranked)


def mrr(ranked: Sequence[int]) -> float:
    """1 / the rank of the first positive row."""
    return 1 / (ranked.index(1) + 1)


def hit_rate(ranked: Sequence[int], k: int) -> float:
    """Whether a positive row has a rank up to k."""
    return float(1 in ranked[:k])


def of_order(ranked: Sequence[int], at: Sequence[int]) -> dict[str, float]:
    """Returns all metrics of an order but the AUC."""
    of_k = {f"ndcg@{k}": ndcg(ranked, k) for k in at} | {f"hit_rate@{k}": hit_rate(ranked, k) for k in at}
    return of_k | {"mrr": mrr(ranked), "mrr_mind": mrr_mind(ranked)}


def without_ties(rows: Sequence[Row], at: Sequence[int]) -> dict[str, float]:
    """Returns all metrics of a group of rows with different scores but the AUC."""
    assert len({score for _, score in rows}) == len(rows)
    return of_order([label for label, _ in sorted(rows, key=lambda row: -row[1])], at)


def over_all_orders(rows: Sequence[Row], at: Sequence[int]) -> dict[str, float]:
    """Returns the means of all metrics but the AUC over all orders of the rows by decreasing score."""
    sorted_scores = sorted((score for _, score in rows), reverse=True)
    orders = [order for order in permutations(rows) if [score for _, score in order] == sorted_scores]
    found = [of_order([label for label, _ in order], at) for order in orders]
    return {name: math.fsum(values[name] for values in found) / len(found) for name in found[0]}


def means(
    groups: Sequence[Sequence[Row]],
    at: Sequence[int],
    of_group: Callable[[Sequence[Row], Sequence[int]], dict[str, float]],
    weights: Sequence[float] | None = None,
) -> dict[str, float]:
    """Returns what `ranking_measures` should: the weighted means over groups, and the numbers of groups."""
    weights = [1] * len(groups) if weights is None else weights
    positives = [sum(label for label, _ in rows) for rows in groups]
    counted = [(of_group(rows, at), w) for rows, w, p in zip(groups, weights, positives, strict=True) if p]
    mixed = [(auc(rows), w) for rows, w, p in zip(groups, weights, positives, strict=True) if 0 < p < len(rows)]
    names = of_order([1], at)

    def mean(values: list[tuple[float, float]]) -> float:
        total = math.fsum(w for _, w in values)
        return math.fsum(value * w for value, w in values) / total if total else math.nan

    return {name: mean([(values[name], w) for values, w in counted]) for name in names} | {
        "group_auc": mean(mixed),
        "groups": len(counted),
        "groups_without_positives": len(groups) - len(counted),
        "groups_without_negatives": sum(p == len(rows) for rows, p in zip(groups, positives, strict=True)),
    }
