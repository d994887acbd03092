"""A log with a tenth of its negatives: the counts, and probabilities of all rows, from training to serving."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow.parquet as pq
import pytest

from fieldpool.model.evaluation import evaluate
from fieldpool.model.export import export_model
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train
from fieldpool.pipeline.demo_log import generate_click_log
from fieldpool.pipeline.runs.drift import check
from fieldpool.pipeline.runs.run_directory import TransformResult, transform
from fieldpool.pipeline.serving.parity import verify
from fieldpool.pipeline.sources.sample import sample_rows
from fieldpool.pipeline.terminal.tables import stats_tables
from fieldpool.transforms.runs.run import Run
from fieldpool.transforms.spec import Spec
from fieldpool.transforms.spec.inputs import feature_columns

ROWS = 60_000
SPEC: dict[str, Any] = {
    "key": "row_id",
    "label": {"field": "label"},
    "split": {"hash": "row_id", "train": 0.6, "eval": 0.1, "test": 0.3},
    "sample": {"negatives": 0.1},
    "fields": {
        "interests": {"type": "multivalued", "max_len": 6},
        "tags": {"type": "multivalued", "max_len": 6},
        "device": {"type": "categorical"},
        "age": {"type": "numeric"},
        "price": {"type": "numeric", "scale": "log1p"},
    },
    "model": {"hidden_units": [16], "embedding_dim": 4, "dropout": 0.0},
    "train": {"epochs": 3, "batch_size": 256, "learning_rate": 0.005, "early_stopping": {"metric": "logloss"}},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("log") / "clicks.parquet"
    pq.write_table(generate_click_log(ROWS, seed=3).table, path)
    return str(path)


@pytest.fixture(scope="module")
def sampled(data: str, tmp_path_factory: pytest.TempPathFactory) -> TransformResult:
    return transform(Spec.model_validate(SPEC), [data], str(tmp_path_factory.mktemp("sampled") / "run"))


@pytest.fixture(scope="module")
def model(sampled: TransformResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(train(Run(sampled.path), str(tmp_path_factory.mktemp("trained") / "model")).folder)


def test_counts_add_up(sampled: TransformResult) -> None:
    stats = sampled.stats
    written = json.loads((Path(sampled.path) / "stats.json").read_text())
    assert written["sampled_out"] == stats.sampled_out
    assert stats.read == ROWS == stats.train + stats.eval + stats.test + stats.rejected + (stats.sampled_out or 0)
    assert stats.negatives_kept == pytest.approx(0.1, abs=0.005)
    assert "sampled out" in [column.header for column in stats_tables(stats)[0].columns]


def test_the_rows_of_eval_and_test_are_not_sampled(sampled: TransformResult, data: str, tmp_path: Path) -> None:
    spec = {name: entry for name, entry in SPEC.items() if name != "sample"}
    whole = transform(Spec.model_validate(spec), [data], str(tmp_path / "run")).stats
    assert whole.sampled_out is None
    assert "sampled_out" not in whole.as_json()
    stats = sampled.stats
    assert (stats.eval, stats.test, stats.positives) == (whole.eval, whole.test, whole.positives)
    assert whole.train == stats.train + (stats.sampled_out or 0)


def test_offset_of_the_logit_is_the_share_of_negatives_kept(sampled: TransformResult, model: Path) -> None:
    assert Run(sampled.path).logit_offset == math.log(sampled.stats.negatives_kept)
    assert load_model(str(model)).logit_offset == Run(sampled.path).logit_offset


def test_a_tenth_of_the_negatives_gives_calibrated_probabilities(sampled: TransformResult, model: Path) -> None:
    run = Run(sampled.path)
    found = evaluate(load_model(str(model)), run, "test")
    # The clicks of 18,000 rows vary by 1.5 %.
    assert found["calibration"] == pytest.approx(1, abs=0.04)
    trained = json.loads((model / "training.json").read_text())
    of_eval = evaluate(load_model(str(model)), run, "eval")
    assert trained["best"]["val_logloss"] == pytest.approx(of_eval["logloss"], rel=1e-5)


def test_the_exported_graph_gives_the_same_probabilities(sampled: TransformResult, model: Path, data: str) -> None:
    run = Run(sampled.path)
    export = export_model(run, str(model))
    batches = sample_rows([data], run.spec.source, feature_columns(run.spec), 500)
    parity = verify(run, export, lambda: beam.Create(batches, reshuffle=False))
    assert parity.rows == 500
    assert (parity.differing_ids, parity.differing_scores) == (0, 0)


def test_an_isotonic_calibration_is_in_the_exported_graph(sampled: TransformResult, data: str, tmp_path: Path) -> None:
    run = Run(sampled.path)
    settings = run.spec.train.model_copy(update={"epochs": 1, "calibrate": "isotonic"})
    folder = train(run, str(tmp_path / "model"), train_settings=settings).folder
    assert len(load_model(folder).calibration.x) > 10
    found = evaluate(load_model(folder), run, "test")
    assert (found["calibrated_on"], found["calibration"]) == ("eval", pytest.approx(1, abs=0.06))
    batches = sample_rows([data], run.spec.source, feature_columns(run.spec), 500)
    parity = verify(run, export_model(run, folder), lambda: beam.Create(batches, reshuffle=False))
    assert (parity.rows, parity.differing_ids, parity.differing_scores) == (500, 0, 0)


def test_check_compares_the_labels_of_all_rows(data: str, tmp_path: Path) -> None:
    spec = Spec.model_validate(SPEC | {"split": {"hash": "row_id", "train": 1, "eval": 0, "test": 0}})
    small = str(tmp_path / "small.parquet")
    pq.write_table(pq.read_table(data).slice(0, 4000), small)
    run = transform(spec, [small], str(tmp_path / "run"))
    assert run.stats.sampled_out
    (label,) = [finding for finding in check(Run(run.path), [small]) if finding.measure == "label"]
    assert label.run == label.new
