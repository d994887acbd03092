from __future__ import annotations

import json
import random

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="training reads runs with tf.data")

from fieldpool.model.deepfm import DeepFM  # noqa: E402
from fieldpool.model.examples import NoExamples, read_examples  # noqa: E402
from fieldpool.model.run import Run  # noqa: E402
from fieldpool.model.training import evaluate, load_model, train  # noqa: E402
from fieldpool.transforms.errors import UserError  # noqa: E402

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="training is for the TensorFlow backend"
)

SPEC = {
    "label": {"field": "label"},
    "split": {"column": "split"},
    "vocabularies": {"items": {"dim": 3}},
    "fields": {
        "item": {"type": "categorical", "vocabulary": "items"},
        "seen": {"type": "multivalued", "vocabulary": "items", "max_len": 4},
        "age": {"type": "numeric"},
    },
    "model": {"embedding_dim": 4, "hidden_units": [8], "dropout": 0.1},
    "train": {"batch_size": 32, "epochs": 3, "learning_rate": 0.02, "shuffle_buffer": 100},
}
TOKENS = {"items": [b"a", b"b", b"c", b"d"]}  # Ids 2 to 5.


def rows(count: int, seed: int) -> list[dict]:
    """An item that was seen before is mostly clicked; so is item 2."""
    chance = random.Random(seed)
    result = []
    for _ in range(count):
        item, seen = chance.randint(2, 5), chance.sample(range(2, 6), chance.randint(0, 3))
        clicked = chance.random() < (0.95 if item == 2 or item in seen else 0.05)
        result.append(
            {
                "label": [float(clicked)],
                "item": [item],
                "seen": seen + [0] * (4 - len(seen)),
                "age": [chance.gauss(0, 1)],
            }
        )
    return result


EXAMPLES = {"train": [rows(300, 0), rows(300, 1)], "eval": [rows(200, 2)]}


@pytest.fixture
def run(tmp_path, write_run):
    return Run(write_run(tmp_path / "run", SPEC, TOKENS, EXAMPLES))


def settings_of(run, **changes):
    return run.spec.train.model_copy(update=changes)


def test_learns_and_leaves_everything_behind(run, tmp_path):
    result = train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=8))

    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.best["val_auc"] > 0.8
    assert result.best["val_auc"] == max(epoch["val_auc"] for epoch in result.history)
    files = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    weights = {f"checkpoints/epoch-{e['epoch']:04d}.weights.h5" for e in result.history}
    assert {"model.keras", "training.json", *weights} <= files
    assert any(name.startswith("logs/train/events") for name in files)
    assert any(name.startswith("logs/validation/events") for name in files)
    assert not any(".unfinished" in name for name in files)

    written = json.loads((tmp_path / "out" / "training.json").read_text())
    assert written["history"] == result.history
    assert written["best_epoch"] == result.best_epoch
    assert written["spec"]["train"]["epochs"] == 8
    assert set(written["versions"]) == {"fieldpool", "python", "keras", "tensorflow", "numpy"}


def test_loaded_model_is_the_best_epoch(run, tmp_path):
    result = train(run, str(tmp_path / "out"))
    model = load_model(str(tmp_path / "out"))

    assert isinstance(model, DeepFM)
    measured = evaluate(model, run, "eval", batch_size=64)
    labels = [row["label"][0] for row in EXAMPLES["eval"][0]]
    assert measured == {
        "auc": pytest.approx(result.best["val_auc"]),
        "logloss": pytest.approx(result.best["val_logloss"], rel=1e-6),
        "examples": 200,
        "positives": pytest.approx(np.mean(labels)),
    }
    features, _ = next(iter(read_examples(run, "eval", batch_size=8)))
    again = load_model(result.model_path)
    np.testing.assert_array_equal(model(features).numpy(), again(features).numpy())


def test_one_seed_gives_the_same_numbers_twice(run, tmp_path):
    first, second = (train(run, str(tmp_path / name)).history for name in "ab")
    other = train(run, str(tmp_path / "c"), train_settings=settings_of(run, seed=1)).history
    assert first == second
    assert first != other


def test_early_stopping_ends_a_training(run, tmp_path):
    settings = settings_of(
        run, epochs=30, early_stopping=run.spec.train.early_stopping.model_copy(update={"patience": 1})
    )
    result = train(run, str(tmp_path / "out"), train_settings=settings)
    assert len(result.history) < 30
    assert result.best_epoch == len(result.history) - 1


def test_own_callbacks_find_the_metrics(run, tmp_path):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(dict(logs))

    best = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "own.keras"), monitor="val_logloss", mode="min", save_best_only=True
    )
    result = train(run, str(tmp_path / "out"), callbacks=[Watch(), best])

    assert [{"epoch": i + 1, **logs} for i, logs in enumerate(seen)] == result.history
    assert (tmp_path / "own.keras").exists()


def test_second_training_replaces_the_first(run, tmp_path):
    train(run, str(tmp_path / "out"))
    train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=1))
    assert [p.name for p in (tmp_path / "out" / "checkpoints").iterdir()] == ["epoch-0001.weights.h5"]


@pytest.mark.parametrize("eval_shards", [{}, {"eval": [[]]}])
def test_no_eval_split_keeps_the_last_epoch(tmp_path, write_run, eval_shards):
    run = Run(write_run(tmp_path / "run", SPEC, TOKENS, {"train": EXAMPLES["train"], **eval_shards}))
    with pytest.warns(UserWarning, match="the eval split is empty"):
        result = train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=2))
    assert (result.best_epoch, result.monitor) == (2, None)
    assert set(result.best) == {"epoch", "loss"}


def test_eval_split_of_one_class_goes_by_logloss(tmp_path, write_run):
    ones = [row for row in EXAMPLES["eval"][0] if row["label"] == [1.0]]
    run = Run(write_run(tmp_path / "run", SPEC, TOKENS, {"train": EXAMPLES["train"], "eval": [ones]}))
    with pytest.warns(UserWarning, match="all labels of the eval split are 1"):
        result = train(run, str(tmp_path / "out"))
    assert result.monitor == "val_logloss"
    assert json.loads((tmp_path / "out" / "training.json").read_text())["best"]["val_auc"] is None


@pytest.mark.parametrize("train_shards", [{}, {"train": [[]]}])
def test_empty_train_split_is_named(tmp_path, write_run, train_shards):
    run = Run(write_run(tmp_path / "run", SPEC, TOKENS, {**train_shards, "eval": EXAMPLES["eval"]}))
    with pytest.raises(NoExamples, match="train"):
        train(run, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_loss_that_is_no_number_is_named(run, tmp_path):
    with pytest.raises(UserError, match=r"epoch 1: the loss is .*Lower `train.learning_rate`"):
        train(run, str(tmp_path / "out"), train_settings=settings_of(run, learning_rate=1e30))


def test_missing_model_is_named(tmp_path):
    with pytest.raises(UserError, match="no such model; train one"):
        load_model(str(tmp_path))
