from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from handmade_run import write_run
from tiny_run import EXAMPLES, SPEC, TOKENS, settings_of

from fieldpool.model.evaluation import evaluate
from fieldpool.model.examples import NoExamples, read_examples
from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.run import Run
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.result import TrainingResult
from fieldpool.model.training.train import train
from fieldpool.transforms.errors import UserError


def test_training_learns_and_writes_all_files(run: Run, tmp_path: Path) -> None:
    result = train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=8))

    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.best["val_auc"] > 0.8
    assert result.best["val_auc"] == max(epoch["val_auc"] for epoch in result.history)
    files = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert {"model.keras", "training.json", f"checkpoints/best-{result.best_epoch:04d}.npz"} <= files
    assert any(name.startswith("logs/train/events") for name in files)
    assert any(name.startswith("logs/validation/events") for name in files)
    assert not any(".unfinished" in name for name in files)

    written = json.loads((tmp_path / "out" / "training.json").read_text())
    assert written["history"] == result.history
    assert written["best_epoch"] == result.best_epoch
    assert written["spec"]["train"]["epochs"] == 8
    assert set(written["versions"]) == {"fieldpool", "python", "keras", "tensorflow", "numpy"}


def test_loaded_model_is_the_best_epoch(run: Run, three_epochs: TrainingResult) -> None:
    model = load_model(three_epochs.folder)

    assert isinstance(model, DeepFM)
    measured = evaluate(model, run, "eval", batch_size=64)
    assert measured["auc"] == pytest.approx(three_epochs.best["val_auc"])
    assert measured["pr_auc"] == pytest.approx(three_epochs.best["val_pr_auc"])
    assert measured["logloss"] == pytest.approx(three_epochs.best["val_logloss"], rel=1e-6)
    features, _ = next(iter(read_examples(run, "eval", batch_size=8)))
    same_model = load_model(three_epochs.model_path)
    np.testing.assert_array_equal(model(features).numpy(), same_model(features).numpy())


def test_same_seed_gives_the_same_numbers(run: Run, three_epochs: TrainingResult, tmp_path: Path) -> None:
    again = train(run, str(tmp_path / "again")).history
    other = train(run, str(tmp_path / "other"), train_settings=settings_of(run, seed=1)).history
    assert again == three_epochs.history
    assert again != other


def test_early_stopping_ends_the_training(stopped_early: TrainingResult) -> None:
    assert len(stopped_early.history) < 30
    assert stopped_early.best_epoch == len(stopped_early.history) - 1


def test_given_callbacks_get_the_metrics(run: Run, tmp_path: Path) -> None:
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            seen.append(dict(logs))

    best = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "own.keras"), monitor="val_logloss", mode="min", save_best_only=True
    )
    result = train(run, str(tmp_path / "out"), callbacks=[Watch(), best])

    assert [{"epoch": i + 1, **logs} for i, logs in enumerate(seen)] == result.history
    assert (tmp_path / "own.keras").exists()


def test_a_training_leaves_no_graph_in_memory(run: Run, three_epochs: TrainingResult, tmp_path: Path) -> None:
    """A graph keeps the tables and their slots, which at 10 million ids are 2 GB."""

    def graphs() -> int:
        gc.collect()
        return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())

    before = graphs()
    train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=1))
    assert graphs() <= before


def test_second_training_replaces_the_first(run: Run, three_epochs: TrainingResult, tmp_path: Path) -> None:
    shutil.copytree(three_epochs.folder, tmp_path / "out")
    train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=1), overwrite=True)
    assert sorted(p.name for p in (tmp_path / "out" / "checkpoints").iterdir()) == [
        "best-0001.npz",
        "state-0001-000000000.npz",
    ]


@pytest.mark.parametrize("eval_shards", [{}, {"eval": [[]]}])
def test_no_eval_split_keeps_the_last_epoch(tmp_path: Path, eval_shards: dict[str, Any]) -> None:
    run = Run(write_run(tmp_path / "run", SPEC, TOKENS, {"train": EXAMPLES["train"], **eval_shards}))
    with pytest.warns(UserWarning, match="the eval split is empty"):
        result = train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=2))
    assert (result.best_epoch, result.monitor) == (2, None)
    assert set(result.best) == {"epoch", "loss"}


def test_logloss_selects_the_best_epoch_if_eval_labels_are_all_the_same(tmp_path: Path) -> None:
    ones = [row for row in EXAMPLES["eval"][0] if row["label"] == [1.0]]
    run = Run(write_run(tmp_path / "run", SPEC, TOKENS, {"train": EXAMPLES["train"], "eval": [ones]}))
    with pytest.warns(UserWarning, match="all labels of the eval split are 1"):
        result = train(run, str(tmp_path / "out"))
    assert result.monitor == "val_logloss"
    assert json.loads((tmp_path / "out" / "training.json").read_text())["best"]["val_auc"] is None


@pytest.mark.parametrize("train_shards", [{}, {"train": [[]]}])
def test_empty_train_split_is_an_error(tmp_path: Path, train_shards: dict[str, Any]) -> None:
    run = Run(write_run(tmp_path / "run", SPEC, TOKENS, {**train_shards, "eval": EXAMPLES["eval"]}))
    with pytest.raises(NoExamples, match="train"):
        train(run, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such model; train one"):
        load_model(str(tmp_path))


def test_learning_rate_follows_the_schedule(run: Run, tmp_path: Path) -> None:
    rates = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            rates.append(float(self.model.optimizer.learning_rate))

    changes = {"batch_size": 300, "epochs": 2, "learning_rate": 0.1, "decay": "linear", "warmup_steps": 2}
    train(run, str(tmp_path / "out"), train_settings=settings_of(run, **changes), callbacks=[Watch()])
    # The rates after each of the four steps are those of the next step.
    assert rates == pytest.approx([0.075, 0.05, 0.025, 0.0])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_learns_and_keeps_float32_weights(run: Run, tmp_path: Path, precision: str) -> None:
    result = train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=8, precision=precision))
    assert result.best["val_auc"] > 0.8
    model = load_model(result.model_path)
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}


@pytest.mark.parametrize("name", ["adam", "rowwise_adagrad"])
def test_other_optimizers_learn(run: Run, tmp_path: Path, name: str) -> None:
    rate = 0.05 if name == "rowwise_adagrad" else 0.02
    result = train(
        run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=8, optimizer=name, learning_rate=rate)
    )
    assert result.best["val_auc"] > 0.8


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_cache_is_removed_after_training(run: Run, tmp_path: Path, cache: str) -> None:
    result = train(run, str(tmp_path / "out"), train_settings=settings_of(run, cache=cache))
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert not (tmp_path / "out" / "cache").exists()


def test_metric_of_early_stopping_selects_the_best_epoch(run: Run, tmp_path: Path) -> None:
    stopping = run.spec.train.early_stopping.model_copy(update={"metric": "pr_auc"})
    result = train(run, str(tmp_path / "out"), train_settings=settings_of(run, early_stopping=stopping))
    assert result.monitor == "val_pr_auc"
    assert result.best["val_pr_auc"] == max(epoch["val_pr_auc"] for epoch in result.history)


def test_damaged_model_is_an_error(one_epoch: Path, tmp_path: Path) -> None:
    content = (one_epoch / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"model.keras: not a model of `fieldpool train`, or damaged"):
        load_model(str(tmp_path))


def test_model_with_code_is_not_loaded(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="or damaged"):
        load_model(str(tmp_path / "model.keras"))
