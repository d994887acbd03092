from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import keras
import numpy as np
import pytest
from handmade_run import Row, write_run
from hypothesis import given
from hypothesis import strategies as st

from fieldpool.model import metrics
from fieldpool.model.evaluation import Scores, evaluate, measure, score, scorer
from fieldpool.model.examples import read_examples
from fieldpool.model.from_spec import deepfm
from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.metrics.groups import Numbering, Texts, group_ids
from fieldpool.model.slices import MOST_SLICES
from fieldpool.transforms.errors import FieldpoolWarning, UserError
from fieldpool.transforms.runs.run import Run
from fieldpool.transforms.spec import Ranking, Spec

SPEC = {
    "label": {"field": "label"},
    "split": {"column": "split"},
    "fields": {
        "user": {"type": "categorical"},
        "tags": {"type": "multivalued", "max_len": 4},
        "age": {"type": "numeric"},
    },
    "model": {"embedding_dim": 2, "hidden_units": []},
    "evaluation": {"gauc_by": "user", "slices": ["user", "tags"]},
}
TOKENS = {"user": [b"ann", b"bob"], "tags": [b"x"]}
# user, length of tags, label. Ids of user: 0 missing, 1 OOV, 2 "ann", 3 "bob".
ROWS = [(2, 0, 1), (2, 1, 0), (2, 3, 1), (3, 4, 0), (3, 2, 1), (1, 2, 0), (1, 2, 1), (0, 1, 1)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    rows: list[Row] = [
        {"user": [user], "tags": [2] * length + [0] * (4 - length), "age": [i / 8], "label": [float(label)]}
        for i, (user, length, label) in enumerate(ROWS)
    ]
    return Run(write_run(tmp_path / "run", SPEC, TOKENS, {"test": [rows]}))


@pytest.fixture
def model(run: Run) -> DeepFM:
    keras.utils.set_random_seed(0)
    model = deepfm(run.spec, run.vocabulary_sizes)
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    return model


def test_metrics_of_the_split(run: Run, model: DeepFM) -> None:
    measured = evaluate(model, run, "test", slices=[])
    assert (measured["examples"], measured["positives"]) == (8, 5 / 8)
    # The rows of Ann and Bob; the users who share the OOV bucket cannot be distinguished.
    assert measured["gauc_examples"] == 5
    assert 0 <= measured["gauc"] <= 1


def test_gauc_examples_are_the_rows_that_gauc_is_averaged_over(run: Run) -> None:
    # Ann has both labels, Bob only one; the OOV and missing values are not groups.
    labels, users = np.array([1, 0, 0, 1, 1, 1, 0, 1, 0], "float32"), np.array([2, 2, 2, 3, 3, 1, 1, 0, 0])
    measured = measure(Scores(labels, labels, {"user": users}), run, gauc_by="user", slices=["user"])
    assert (measured["gauc"], measured["gauc_examples"]) == (1, 3)
    of_slices = {name: part["gauc_examples"] for name, part in measured["slices"]["user"].items()}
    assert of_slices == {"ann": 3, "bob": 0, "(OOV)": 0, "(missing)": 0}


def test_slices_by_value_and_by_length(run: Run, model: DeepFM) -> None:
    slices = evaluate(model, run, "test")["slices"]
    assert {name: part["examples"] for name, part in slices["user"].items()} == {
        "ann": 3, "bob": 2, "(OOV)": 2, "(missing)": 1,
    }  # fmt: skip
    assert {name: part["examples"] for name, part in slices["tags"].items()} == {"0": 1, "1": 2, "2–3": 4, "4–7": 1}


def test_a_slice_has_the_metrics_of_its_rows(run: Run, model: DeepFM) -> None:
    dataset = read_examples(run, "test", batch_size=3)
    labels, logits, *_ = score(scorer(model, dataset.element_spec[0]), dataset)
    ann = evaluate(model, run, "test")["slices"]["user"]["ann"]
    assert ann["logloss"] == pytest.approx(metrics.logloss(labels[:3], logits[:3]))
    assert ann["auc"] == pytest.approx(metrics.auc(labels[:3], logits[:3]))


# Tokens, and the names of their slices.
NAMES = {
    b"(other)": "''(other)''",
    b"(OOV)": "'(OOV)'",
    b"(missing)": "'(missing)'",
    b"'(other)'": "'(other)'",
    b"\xff": "'\\xff'",
    b"\\xff": "\\xff",
    b"caf\xe9": "caf\\xe9",
    "café".encode(): "café",
    **{b"tv%d" % i: f"tv{i}" for i in range(15)},
}
ONE_FIELD = {"fields": {"user": {"type": "categorical", "num_oov_buckets": 2}}, "evaluation": {"slices": ["user"]}}


def run_with_tokens(folder: Path, tokens: Iterable[bytes]) -> Run:
    """Returns a run in which ids 1 and 2 are OOV, and the tokens follow."""
    return Run(write_run(folder / "run", {**SPEC, **ONE_FIELD}, {"user": list(tokens)}, {}))


def rows_of_slices(run: Run, ids: list[int]) -> dict[str, float]:
    scores = Scores(np.zeros(len(ids), "float32"), np.zeros(len(ids), "float32"), {"user": np.array(ids)})
    slices = measure(scores, run, slices=["user"])["slices"]["user"]
    return {name: part["examples"] for name, part in slices.items()}


@pytest.fixture(scope="module")
def odd_tokens(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with tokens whose text is that of another slice."""
    return run_with_tokens(tmp_path_factory.mktemp("odd"), NAMES)


@given(st.lists(st.integers(0, len(NAMES) + 2), min_size=1, max_size=80))
def test_slices_of_a_categorical_field_partition_the_rows(odd_tokens: Run, ids: list[int]) -> None:
    found = rows_of_slices(odd_tokens, ids)
    names = ["(missing)", "(OOV)", "(OOV)", *NAMES.values()]
    assert found == Counter(names[i] if names[i] in found else "(other)" for i in ids)
    assert len(set(found) - {"(missing)", "(OOV)", "(other)"}) == min(MOST_SLICES, len({i for i in ids if i > 2}))


def test_the_rarer_of_two_tokens_with_one_text_is_quoted(tmp_path: Path) -> None:
    run = run_with_tokens(tmp_path, [b"\xff\\xfe", b"\xff\xfe"])
    assert rows_of_slices(run, [3, 4, 4]) == {r"\xff\xfe": 2, r"'\xff\xfe'": 1}


# market, label; the groups of GAUC are "de" and "fr", which has only one label.
MARKETS = [(b"de", 1), (b"de", 0), (b"fr", 1), (b"", 1), (b"", 0), (b"de", 1), (b"(missing)", 0), (b"(missing)", 0)]
CARRYING = {**SPEC, "carry": ["market"], "evaluation": {"gauc_by": "market", "slices": ["market", "user"]}}


@pytest.fixture
def carrying(tmp_path: Path) -> Run:
    rows: list[Row] = [
        {"user": [2], "tags": [0] * 4, "age": [i / 8], "market": [market], "label": [float(label)]}
        for i, (market, label) in enumerate(MARKETS)
    ]
    return Run(write_run(tmp_path / "carrying", CARRYING, TOKENS, {"test": [rows[:3], rows[3:]]}))


def test_carried_columns_are_groups_and_slices(carrying: Run, model: DeepFM) -> None:
    measured = evaluate(model, carrying, "test", batch_size=3)
    examples = {name: part["examples"] for name, part in measured["slices"]["market"].items()}
    assert examples == {"de": 3, "'(missing)'": 2, "fr": 1, "(missing)": 2}
    assert next(iter(examples)) == "de"  # The most frequent one.
    assert measured["gauc_examples"] == 3
    assert measured["gauc"] == pytest.approx(measured["slices"]["market"]["de"]["auc"])


def test_rows_are_ranked_within_the_values_of_a_carried_column(carrying: Run, model: DeepFM) -> None:
    dataset = read_examples(carrying, "test", batch_size=3, columns=["market"])
    labels, logits, *_ = score(scorer(model, dataset.element_spec[0]), dataset)
    markets = np.array([market for market, _ in MARKETS])
    named = markets != b""
    expected = metrics.ranking_measures(labels[named], logits[named], markets[named])
    measured = evaluate(model, carrying, "test", batch_size=3, rank_by="market", slices=[])
    assert {name: measured[name] for name in expected} == expected
    assert measured["ranking_examples"] == named.sum()


def test_a_carried_column_may_be_named_in_the_call(carrying: Run, model: DeepFM) -> None:
    assert evaluate(model, carrying, "test", gauc_by="user", slices=["market"])["gauc_examples"] == 8
    with pytest.raises(UserError, match=r"field \(user, tags\), or a carried column \(market\), found 'gone'"):
        evaluate(model, carrying, "test", gauc_by="gone")


@given(st.lists(st.sampled_from([b"", b"de", b"fr", b"\xff"]), min_size=1, max_size=30), st.randoms())
def test_gauc_of_texts_is_that_of_a_vocabulary_with_all_of_them(
    carried_spec: Spec, texts: list[bytes], random: Random
) -> None:
    labels = np.array([random.randint(0, 1) for _ in texts], "float32")
    logits = np.array([random.choice([0.1, 0.2, 0.3]) for _ in texts], "float32")
    numbering = Numbering()
    numbers = np.concatenate([numbering.numbers_of(texts[:7]), numbering.numbers_of(texts[7:])])
    groups, is_group = group_ids(carried_spec, "market", Texts(numbers, numbering.texts))
    ids = np.array([[b"", b"de", b"fr", b"\xff"].index(text) for text in texts])
    expected = metrics.gauc(labels[ids > 0], logits[ids > 0], ids[ids > 0])
    found = metrics.gauc(labels[is_group], logits[is_group], groups[is_group])
    assert found == pytest.approx(expected, nan_ok=True, rel=1e-12)


@pytest.fixture(scope="module")
def carried_spec() -> Spec:
    return Spec.model_validate(CARRYING)


def test_rows_whose_score_is_nan_are_counted_in_a_warning(tmp_path: Path) -> None:
    values = [(2, 0.0, 1.0), (2, math.nan, 0.0), (3, 1.0, 0.0), (3, 2.0, 1.0)]
    rows: list[Row] = [{"user": [u], "tags": [0] * 4, "age": [age], "label": [label]} for u, age, label in values]
    run = Run(write_run(tmp_path / "run", SPEC, TOKENS, {"test": [rows]}))
    with pytest.warns(FieldpoolWarning, match="run, test: the scores of 1 of 4 rows are NaN, so the metrics are NaN"):
        measured = evaluate(deepfm(run.spec, run.vocabulary_sizes), run, "test")
    assert math.isnan(measured["auc"])
    assert math.isnan(measured["slices"]["user"]["ann"]["logloss"])
    assert measured["slices"]["user"]["bob"]["logloss"] > 0


def test_ranking_metrics_are_those_within_the_groups_of_a_field(run: Run, model: DeepFM) -> None:
    dataset = read_examples(run, "test", batch_size=3)
    labels, logits, *_ = score(scorer(model, dataset.element_spec[0]), dataset)
    # The rows of Ann and Bob. Users who share the OOV bucket cannot be told apart, a missing user is no group.
    expected = metrics.ranking_measures(labels[:5], logits[:5], np.array([2, 2, 2, 3, 3]), at=[5, 10])
    measured = evaluate(model, run, "test", rank_by="user", slices=[])
    assert {name: measured[name] for name in expected} == expected
    assert (measured["groups"], measured["ranking_examples"]) == (2, 5)


def test_the_spec_names_groups_and_k_of_ranking_metrics_and_their_weights(run: Run) -> None:
    # Ann's positive row has rank 2 of 2, Bob's rank 1 of 3.
    labels, users = np.array([1, 0, 1, 0, 0], "float32"), np.array([2, 2, 3, 3, 3])
    scores = Scores(labels, np.array([0, 1, 2, 1, 0], "float32"), {"user": users})
    found = {
        weights: measure(scores, run, ranking=Ranking(by="user", at=[1], weights=weights))
        for weights in ("equal", "rows")
    }
    assert {weights: values["mrr"] for weights, values in found.items()} == {"equal": 0.75, "rows": 4 / 5}
    assert found["rows"]["group_auc"] == metrics.gauc(labels, scores.logits, users)
    assert "ndcg@1" in found["equal"]
    assert "ndcg@5" not in found["equal"]


def test_slices_have_the_ranking_metrics_of_their_own_rows(run: Run) -> None:
    labels, users, lengths = np.array([0, 1, 0, 1], "float32"), np.array([2, 2, 3, 3]), np.array([1, 1, 0, 1])
    # In all rows, Bob's positive row has rank 2; among those with one tag, it has rank 1.
    scores = Scores(labels, np.array([2, 1, 2, 1], "float32"), {"user": users, "tags": lengths})
    found = measure(scores, run, slices=["tags"], ranking=Ranking(by="user", at=[1]))
    assert found["mrr"] == 0.5
    assert {name: part["mrr"] for name, part in found["slices"]["tags"].items() if name == "1"} == {"1": 0.75}
    assert math.isnan(found["slices"]["tags"]["0"]["mrr"])
    assert {name: part["groups"] for name, part in found["slices"]["tags"].items()} == {"0": 0, "1": 2}


def test_label_weights_are_those_of_groups_and_rows_of_weight_0_have_no_rank(run: Run) -> None:
    labels, users = np.array([1, 0, 1, 0], "float32"), np.array([2, 2, 3, 3])
    # Ann's positive row has rank 2. Bob's would, but the row above it does not count.
    logits, weights = np.array([0, 1, 0, 1], "float32"), np.array([1, 2, 5, 0], "float32")
    scores = Scores(labels, logits, {"user": users}, weights)
    found = {kind: measure(scores, run, ranking=Ranking(by="user", weights=kind)) for kind in ("equal", "rows")}
    assert {kind: values["mrr"] for kind, values in found.items()} == {"equal": 0.75, "rows": (3 / 2 + 5) / 8}
    assert found["rows"]["ranking_examples"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank_by": "tags"}, "ranking.by: expected a categorical field"),
        ({"rank_by": "gone"}, "ranking.by: expected a categorical field"),
        ({"slices": ["age"]}, r"categorical or multivalued field \(user, tags\), found 'age'"),
        ({"slices": ["gone"]}, "found 'gone'"),
        ({"gauc_by": "tags"}, "gauc_by: expected a categorical field, found 'tags'"),
    ],
)
def test_field_of_a_wrong_type_is_named(run: Run, model: DeepFM, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(model, run, "test", **arguments)
