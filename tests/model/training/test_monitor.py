from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import pytest
from handmade_run import write_run
from tiny_run import EXAMPLES, SPEC, TOKENS

from fieldpool.model.evaluation import evaluate
from fieldpool.model.run import Run
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.monitor import best_epoch, choose_monitor
from fieldpool.model.training.train import train
from fieldpool.transforms.errors import FieldpoolWarning


def run_with_eval(folder: Path, rows: list[tuple[int, int]], metric: str) -> Run:
    """Returns a run whose eval split has these items and labels; items 0 and 1 are missing and OOV."""
    examples: list[dict[str, Any]] = [
        {"label": [float(label)], "item": [item], "seen": [0] * 4, "age": [0.0]} for item, label in rows
    ]
    spec = SPEC | {
        "evaluation": {"gauc_by": "item", "ranking": {"by": "item", "at": [3, 5]}},
        "train": SPEC["train"] | {"early_stopping": {"metric": metric, "patience": 2}, "batch_size": 2},
    }
    return Run(write_run(folder / "run", spec, TOKENS, {"train": EXAMPLES["train"], "eval": [examples]}))


MIXED = [(2, 1), (3, 0), (4, 1), (3, 0), (2, 0)]  # The labels of item 2 are in two batches.
PURE = [(2, 1), (3, 0), (2, 1), (3, 0)]
UNSEEN = [(1, 1), (1, 0), (0, 1), (0, 0)]


@pytest.mark.parametrize(
    ("metric", "monitor"),
    [
        *((metric, f"val_{metric}") for metric in ("auc", "gauc", "pr_auc", "logloss", "mrr", "mrr_mind", "group_auc")),
        ("ndcg", "val_ndcg@3"),
        ("hit_rate", "val_hit_rate@3"),
    ],
)
def test_metric_that_the_eval_labels_define_is_the_monitor(tmp_path: Path, metric: str, monitor: str) -> None:
    run = run_with_eval(tmp_path, MIXED, metric)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FieldpoolWarning)
        assert choose_monitor(run, run.spec) == monitor


@pytest.mark.parametrize(
    ("metric", "rows", "monitor", "message"),
    [
        ("gauc", PURE, "val_auc", "no value of item that is in the vocabulary has both labels"),
        ("ndcg", PURE, "val_auc", "has both labels in the eval split, so ndcg@3 is the same for every model"),
        ("group_auc", UNSEEN, "val_auc", "has both labels in the eval split, so group_auc is undefined"),
        ("gauc", UNSEEN, "val_auc", "no value of item that is in the vocabulary has both labels"),
        ("gauc", [(2, 1), (3, 1)], "val_logloss", "all labels of the eval split are 1"),
        ("auc", [(2, 0), (3, 0), (2, 0)], "val_logloss", "all labels of the eval split are 0"),
        ("pr_auc", [(2, 1)], "val_logloss", "all labels of the eval split are 1"),
        ("logloss", [], None, "the eval split is empty"),
    ],
)
def test_undefined_metric_is_replaced_with_one_warning(
    tmp_path: Path, metric: str, rows: list[tuple[int, int]], monitor: str | None, message: str
) -> None:
    run = run_with_eval(tmp_path, rows, metric)
    with pytest.warns(FieldpoolWarning, match=message) as caught:
        assert choose_monitor(run, run.spec) == monitor
    assert len(caught) == 1


def carrying(folder: Path, markets: list[bytes], metric: str = "gauc") -> Run:
    """Returns a run that carries a market, by which rows are grouped; the given ones are those of the eval rows."""
    spec = SPEC | {
        "carry": ["market"],
        "evaluation": {"gauc_by": "market", "ranking": {"by": "market", "at": [2]}},
        "train": SPEC["train"] | {"early_stopping": {"metric": metric}, "batch_size": 2, "epochs": 2},
    }
    train_rows = [row | {"market": [b"de"]} for row in EXAMPLES["train"][0][:20]]
    eval_rows = [row | {"market": [market]} for row, market in zip(EXAMPLES["eval"][0], markets, strict=False)]
    for i, row in enumerate(eval_rows):
        row["label"] = [float(i % 2)]
    return Run(write_run(folder / "run", spec, TOKENS, {"train": [train_rows], "eval": [eval_rows]}))


def test_training_by_gauc_of_a_carried_column(tmp_path: Path) -> None:
    run = carrying(tmp_path, [b"de", b"fr", b"de", b"de", b"", b""])  # The labels of "de" are in two batches.
    result = train(run, str(tmp_path / "model"))
    assert result.monitor == "val_gauc"
    assert result.history[-1]["val_gauc"] in (0.0, 0.5, 1.0)  # One negative below or above two positives.


@pytest.mark.parametrize(("metric", "name"), [("ndcg", "ndcg@2"), ("mrr", "mrr"), ("group_auc", "group_auc")])
def test_training_by_a_ranking_metric_keeps_the_epoch_in_which_it_is_the_highest(
    tmp_path: Path, metric: str, name: str
) -> None:
    run = carrying(tmp_path, [b"de", b"fr", b"de", b"de", b"fr", b"fr"], metric)
    result = train(run, str(tmp_path / "model"))
    assert result.monitor == f"val_{name}"
    measured = [epoch[f"val_{name}"] for epoch in result.history]
    assert measured[result.best_epoch - 1] == max(measured)
    best = evaluate(load_model(result.model_path), run, "eval", slices=[])
    assert best[name] == max(measured)


def test_missing_values_of_a_carried_column_are_no_group(tmp_path: Path) -> None:
    run = carrying(tmp_path, [b"", b"", b"de", b"fr"])
    with pytest.warns(FieldpoolWarning, match="no value of market has both labels in the eval split"):
        assert choose_monitor(run, run.spec) == "val_auc"


def test_training_by_gauc_without_a_mixed_group_keeps_the_epoch_of_the_highest_auc(tmp_path: Path) -> None:
    rows = [row for row in EXAMPLES["eval"][0] if row["label"] == [float(row["item"][0] % 2 == 0)]]
    spec = SPEC | {
        "evaluation": {"gauc_by": "item"},
        "train": SPEC["train"] | {"early_stopping": {"metric": "gauc", "patience": 1}},
    }
    run = Run(write_run(tmp_path / "run", spec, TOKENS, {"train": EXAMPLES["train"], "eval": [rows]}))
    with pytest.warns(FieldpoolWarning, match="GAUC is undefined; the best epoch is the one with the highest AUC"):
        result = train(run, str(tmp_path / "out"))
    assert all(math.isnan(epoch["val_gauc"]) for epoch in result.history)
    assert result.monitor == "val_auc"
    assert result.best["val_auc"] == max(epoch["val_auc"] for epoch in result.history)


@pytest.mark.parametrize(
    ("values", "monitor", "best"),
    [
        ([0.6, 0.8, 0.8], "val_auc", 2),
        ([0.6, 0.4, 0.5], "val_logloss", 2),
        ([math.nan, 0.4, 0.5], "val_auc", 3),
        ([math.nan, 0.4, 0.5], "val_logloss", 2),
        ([math.nan, math.inf], "val_logloss", 2),
        ([math.nan, math.nan], "val_auc", 2),
        ([0.6, 0.8, 0.7], None, 3),
    ],
)
def test_best_epoch(values: list[float], monitor: str | None, best: int) -> None:
    history = [{"epoch": i + 1, "val_auc": value, "val_logloss": value} for i, value in enumerate(values)]
    assert best_epoch(history, monitor) == best


def test_training_whose_eval_scores_are_nan_keeps_the_last_epoch(tmp_path: Path) -> None:
    rows = [EXAMPLES["eval"][0][0] | {"age": [math.nan]}, *EXAMPLES["eval"][0][1:]]
    settings = SPEC["train"] | {"early_stopping": {"patience": 1}, "epochs": 2, "batch_size": 300}
    run = Run(write_run(tmp_path / "run", SPEC | {"train": settings}, TOKENS, EXAMPLES | {"eval": [rows]}))
    with pytest.warns(FieldpoolWarning, match="the eval split: the scores of 1 of 200 rows are NaN"):
        result = train(run, str(tmp_path / "out"))
    assert math.isnan(result.best["val_auc"])
    assert result.best_epoch == 2
