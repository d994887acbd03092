"""The generated log: list lengths, missing values, unseen tokens, and the true click probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from fieldpool.model.metrics import auc
from fieldpool.pipeline.demo_log import SPEC, ClickLog, best_auc, generate_click_log, write_click_log
from fieldpool.transforms.spec import Spec, TimeSplit

ROWS = 20_000
TRAIN, TEST = slice(0, 16_000), slice(18_000, None)
LISTS = {"interests": (0, 8), "tags": (1, 5), "history": (0, 20)}


@pytest.fixture(scope="module")
def log() -> ClickLog:
    return generate_click_log(ROWS, seed=0)


def tokens(table: pa.Table, column: str) -> set[str]:
    values = table[column].combine_chunks()
    return set(pc.list_flatten(values).to_pylist() if pa.types.is_list(values.type) else values.to_pylist())


def test_equal_seeds_give_equal_logs(log: ClickLog) -> None:
    again = generate_click_log(ROWS, seed=0)
    assert again.table.equals(log.table)
    assert np.array_equal(again.probabilities, log.probabilities)
    assert not generate_click_log(ROWS, seed=1).table["item_id"].equals(log.table["item_id"])


def test_times_rise_and_keys_are_distinct(log: ClickLog) -> None:
    assert (np.diff(log.table["timestamp"].to_numpy()) > 0).all()
    assert len(tokens(log.table, "row_id")) == ROWS


@pytest.mark.parametrize("column", LISTS)
def test_lists_have_the_documented_lengths(log: ClickLog, column: str) -> None:
    lengths = pc.list_value_length(log.table[column]).to_numpy()
    assert (lengths.min(), lengths.max()) == LISTS[column]


def test_four_to_six_percent_of_interests_are_empty(log: ClickLog) -> None:
    assert 0.04 < (pc.list_value_length(log.table["interests"]).to_numpy() == 0).mean() < 0.06


@pytest.mark.parametrize("column", ["device", "age"])
def test_some_values_are_missing(log: ClickLog, column: str) -> None:
    assert 0 < log.table[column].null_count < 0.2 * ROWS


@pytest.mark.parametrize("column", ["user_id", "item_id", "interests", "tags", "history"])
def test_test_split_has_unseen_tokens(log: ClickLog, column: str) -> None:
    train = tokens(log.table[TRAIN], column)
    unseen = tokens(log.table[TEST], column) - train
    assert 0 < len(unseen) < 0.2 * len(train)


def test_history_has_the_items_shown_to_the_user_before(log: ClickLog) -> None:
    user = log.table["user_id"][-1]
    rows = log.table.filter(pc.equal(log.table["user_id"], user))
    *before, last = rows.select(["item_id", "history"]).to_pylist()
    shown = [row["item_id"] for row in before]
    assert 3 <= len(last["history"]) <= 20
    assert last["history"] == shown[-len(last["history"]) :]
    assert before[0]["history"] == []


def test_history_items_are_item_ids(log: ClickLog) -> None:
    assert tokens(log.table, "history") <= tokens(log.table, "item_id")


def test_labels_come_from_the_probabilities(log: ClickLog) -> None:
    labels = log.table["label"].to_numpy()
    for tenth in np.array_split(np.argsort(log.probabilities), 10):
        assert labels[tenth].mean() == pytest.approx(log.probabilities[tenth].mean(), abs=0.04)


@pytest.mark.parametrize("seed", range(5))
def test_best_auc_is_in_a_learnable_range_for_every_seed(seed: int) -> None:
    log = generate_click_log(ROWS, seed)
    labels = log.table["label"].to_numpy()
    assert 0.77 < auc(labels[TEST], log.probabilities[TEST]) < 0.84
    assert 0.2 < labels.mean() < 0.3


def test_small_log_has_the_rows_asked_for() -> None:
    assert generate_click_log(1000, seed=3).table.num_rows == 1000


def test_spec_names_all_columns_of_the_log(log: ClickLog) -> None:
    spec = Spec.model_validate(yaml.safe_load(SPEC))
    assert isinstance(spec.split, TimeSplit)
    named = {spec.key, spec.label.field, spec.split.time, *map(spec.column_of, spec.fields)}
    assert named == set(log.table.column_names)
    assert spec.vocabulary_of("item_id") == spec.vocabulary_of("history")


def test_files_hold_the_log_its_probabilities_and_its_spec(log: ClickLog, tmp_path: Path) -> None:
    files = write_click_log(tmp_path / "new", rows=ROWS, seed=0)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "clicks.parquet",
        "spec.yaml",
        "truth.parquet",
    ]
    assert pq.read_table(files.clicks).equals(log.table)
    assert pq.read_table(files.truth).column_names == ["row_id", "probability"]
    assert files.spec.read_text() == SPEC
    assert best_auc(files) == auc(log.table["label"].to_numpy()[TEST], log.probabilities[TEST])
