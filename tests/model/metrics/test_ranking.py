from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from random import Random

import ir_measures
import numpy as np
import pyarrow.parquet as pq
import pytest
import ranking_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import Qrel, ScoredDoc
from sklearn.metrics import ndcg_score

from fieldpool.model.metrics import gauc, ranking, ranking_measures

AT = (1, 2, 5, 10)


def measured(labels: list[int], scores: list[float], groups: list[int] | None = None, k: int = 3) -> dict[str, float]:
    of_one = np.zeros(len(labels)) if groups is None else np.array(groups)
    return ranking_measures(np.array(labels), np.array(scores), of_one, at=[k])


def test_metrics_by_hand() -> None:
    # Positive rows have the ranks 2 and 3.
    found = measured([1, 0, 1, 0], [0.8, 0.9, 0.7, 0.1])
    assert found["mrr"] == 1 / 2
    assert found["mrr_mind"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert found["ndcg@3"] == pytest.approx((1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3)))
    assert found["hit_rate@3"] == 1
    assert found["group_auc"] == 2 / 4


def test_a_row_below_rank_k_is_no_hit() -> None:
    found = measured([0, 0, 1], [3, 2, 1], k=2)
    assert (found["hit_rate@2"], found["ndcg@2"]) == (0, 0)


def test_equal_scores_give_the_mean_over_all_orders() -> None:
    # The positive row has each of the ranks 2, 3 and 4 with a probability of 1/3.
    found = measured([0, 0, 1, 0, 0], [9, 5, 5, 5, 1], k=2)
    assert found["mrr"] == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    assert found["mrr_mind"] == pytest.approx(found["mrr"])
    assert found["hit_rate@2"] == pytest.approx(1 / 3)
    assert found["ndcg@2"] == pytest.approx(1 / math.log2(3) / 3)
    assert found["group_auc"] == 2 / 4


def test_a_constant_score_has_the_values_of_chance() -> None:
    # Of 6 pairs of ranks for the positive rows, 5 have one of the ranks 1 and 2.
    found = measured([1, 0, 1, 0], [0, 0, 0, 0], k=2)
    assert found["hit_rate@2"] == pytest.approx(5 / 6)
    assert found["mrr"] == pytest.approx((3 * 1 + 2 / 2 + 1 / 3) / 6)
    assert found["group_auc"] == 0.5


def test_groups_are_not_compared_with_each_other() -> None:
    assert measured([1, 0, 1, 0], [2, 1, 12, 11], [1, 1, 2, 2])["group_auc"] == 1


def test_groups_without_a_positive_or_negative_row_are_left_out_and_counted() -> None:
    # Groups: 1 mixed, 2 without a positive row, 3 without a negative one.
    found = measured([1, 0, 0, 0, 1], [1, 2, 1, 2, 5], [1, 1, 2, 2, 3])
    assert (found["mrr"], found["group_auc"]) == (0.75, 0)
    counts = [found[name] for name in ("groups", "groups_without_positives", "groups_without_negatives")]
    assert counts == [2, 1, 1]


def test_groups_count_with_the_sum_of_the_weights_of_their_rows() -> None:
    labels, scores = np.array([1, 0, 1, 0, 0]), np.array([2, 1, 1, 2, 0])
    groups, weights = np.array([1, 1, 2, 2, 2]), np.array([1, 3, 0.5, 0.5, 0])
    found = ranking_measures(labels, scores, groups, weights=weights)
    assert found["mrr"] == pytest.approx((4 * 1 + 1 * 0.5) / 5)
    assert found["group_auc"] == pytest.approx((4 * 1 + 1 * 0.5) / 5)


def test_weights_of_1_give_gauc() -> None:
    random = np.random.default_rng(0)
    labels, scores, groups = random.integers(0, 2, 500), random.integers(0, 9, 500), random.integers(0, 90, 500)
    found = ranking_measures(labels, scores, groups, weights=np.ones(500))
    assert found["group_auc"] == pytest.approx(gauc(labels, scores, groups), rel=1e-12)


def test_no_rows_and_no_weight_give_nan() -> None:
    empty = ranking_measures(np.zeros(0), np.zeros(0), np.zeros(0))
    assert empty["groups"] == 0
    assert math.isnan(empty["mrr"])
    assert math.isnan(ranking_measures(np.ones(2), np.ones(2), np.ones(2), weights=np.zeros(2))["mrr"])


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_score_of_nan_gives_nan_only_if_its_group_counts(kind: str) -> None:
    labels, groups = np.array([1, 0, 0, 1]), np.array([1, 1, 2, 3])
    found = ranking_measures(labels, np.array([1, 0, math.nan, 1], kind), groups)
    assert (found["mrr"], found["group_auc"]) == (1, 1)
    found = ranking_measures(labels, np.array([1, 0, 1, math.nan], kind), groups)
    assert math.isnan(found["mrr"])
    assert found["group_auc"] == 1


# Few different scores, so that many rows have equal ones.
SCORES = (-math.inf, -3.0, -0.0, 0.0, 1e-45, 2.0, math.inf)
ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(SCORES), st.integers(0, 5), st.integers(0, 3)), max_size=16
).filter(lambda rows: all(sum(row[2] == group for row in rows) <= 5 for group in range(6)))


@settings(deadline=None)
@given(ROWS, st.sampled_from(["float32", "float64"]), st.sampled_from([1, 4, 1 << 20]), st.randoms())
def test_metrics_are_means_over_all_orders_of_equal_scores(
    rows: list[tuple[int, float, int, int]], kind: str, part: int, order: Random
) -> None:
    own = reference.groups_of(*([row[i] for row in rows] for i in range(3)))
    weights: dict[int, int] = {}
    for *_, group, weight in rows:
        weights[group] = weights.get(group, 0) + weight
    expected = reference.means(own, AT, reference.over_all_orders, list(weights.values()))
    order.shuffle(rows)
    labels, scores, groups, weight_of_row = (np.array([row[i] for row in rows]) for i in range(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_PART", part)
        found = ranking_measures(labels, scores.astype(kind), groups, at=AT, weights=weight_of_row)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-15, nan_ok=True)
    assert not any(value > 1 for name, value in found.items() if not name.startswith("groups"))


def log(rows: int, groups: int, *, distinct: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns labels, scores and groups with about `distinct` different scores, which say something of the labels."""
    random = np.random.default_rng(7)
    labels = (random.random(rows) < 0.15).astype("int64")
    scores = random.permutation(rows) % distinct + labels * distinct / 3
    return labels, scores, random.integers(0, groups, rows)


def test_metrics_equal_those_of_ir_measures() -> None:
    labels, scores, groups = log(5000, 200, distinct=5000)
    scores = np.argsort(np.argsort(scores))  # Without ties, which trec_eval would order by document.
    shown = [(f"q{groups[i]}", f"d{i}", int(labels[i]), float(scores[i])) for i in range(len(labels))]
    names = {f"ndcg@{k}": ir_measures.nDCG @ k for k in AT} | {f"hit_rate@{k}": ir_measures.Success @ k for k in AT}
    names["mrr"] = ir_measures.RR
    counted = {query for query, _, label, _ in shown if label}
    expected = ir_measures.calc_aggregate(
        names.values(),
        [Qrel(query, document, label) for query, document, label, _ in shown if query in counted],
        [ScoredDoc(query, document, score) for query, document, _, score in shown if query in counted],
    )
    found = ranking_measures(labels, scores, groups, at=AT)
    assert {name: found[name] for name in names} == pytest.approx(
        {name: expected[measure] for name, measure in names.items()}, rel=1e-12
    )


@pytest.mark.parametrize("k", AT)
def test_ndcg_of_equal_scores_is_that_of_scikit_learn(k: int) -> None:
    labels, scores, groups = log(3000, 60, distinct=20)
    expected = [ndcg_score([labels[groups == g]], [scores[groups == g]], k=k) for g in range(60)]
    assert ranking_measures(labels, scores, groups, at=[k])[f"ndcg@{k}"] == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize(("rows", "positives"), product([1000, 70_000], [1, 3, 500]))
def test_first_positive_of_a_long_tie(rows: int, positives: int) -> None:
    """The distribution of the rank of the first positive row by factorials, in integers."""
    labels = np.arange(rows) < positives
    found = ranking_measures(labels, np.zeros(rows, "float32"), np.zeros(rows), at=[10])
    total = math.comb(rows, positives)
    assert found["hit_rate@10"] == pytest.approx(1 - math.comb(rows - 10, positives) / total, rel=1e-11)
    left, expected = math.comb(rows - 1, positives - 1), 0.0
    for rank in range(1, rows - positives + 2):
        expected += left / total / rank
        left = left * (rows - rank - positives + 1) // max(rows - rank, 1)
    assert found["mrr"] == pytest.approx(expected, rel=1e-11)


@pytest.fixture(scope="module")
def mind(real_data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Label and impression of each candidate."""
    table = pq.read_table(real_data / "mind5k/candidates.parquet", columns=["label", "impression_id"])
    return table["label"].to_numpy(), table["impression_id"].to_numpy()


def noise(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return random.permutation(len(labels))


def signal(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.argsort(np.argsort(random.normal(size=len(labels)) + labels))


@pytest.mark.parametrize("score", [noise, signal])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_mind_by_its_published_definition(
    mind: tuple[np.ndarray, np.ndarray], score: Callable[..., np.ndarray], kind: str
) -> None:
    labels, impressions = mind
    scores = score(labels, np.random.default_rng(1)).astype(kind)
    groups = reference.groups_of(labels.tolist(), scores.tolist(), impressions.tolist())
    expected = reference.means(groups, (5, 10), reference.without_ties)
    found = ranking_measures(labels, scores, impressions)
    print(f"mind5k, {score.__name__}: {found}")
    assert found == pytest.approx(expected, rel=0, abs=1e-12)
    assert found["groups"] == 5000
