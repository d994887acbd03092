"""`label.weight`: a row of weight 2 has the loss and the gradients of the row twice."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from handmade_run import Row, write_run
from tiny_run import SPEC, TOKENS, rows

from fieldpool.model.evaluation import evaluate
from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.run import Run
from fieldpool.model.training.compilation import compiled_model
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train
from fieldpool.transforms.errors import FieldpoolWarning

WEIGHTED_LABEL = {"field": "label", "weight": "worth"}
# All rows in one batch, so that shuffling changes nothing; without dropout and penalty, which no weight changes.
MODEL = {**SPEC["model"], "dropout": 0.0, "l2_embedding": 0.0}
TRAIN = {**SPEC["train"], "batch_size": 100, "epochs": 3}
TRAIN_ROWS, EVAL_ROWS = rows(20, 0), rows(30, 1)


def weighted(some: Sequence[Row], weights: Sequence[float]) -> list[Row]:
    return [{**row, "label_weight": [float(weight)]} for row, weight in zip(some, weights, strict=True)]


def write(folder: Path, train_rows: list[Row], eval_rows: list[Row], **settings: Any) -> Run:
    label = {"label": WEIGHTED_LABEL} if "label_weight" in train_rows[0] else {}
    spec = {**copy.deepcopy(SPEC), **label, "model": MODEL, "train": {**TRAIN, **settings}}
    return Run(write_run(folder, spec, TOKENS, {"train": [train_rows], "eval": [eval_rows]}))


def repeated(some: Sequence[Row], weights: Sequence[int]) -> list[Row]:
    return [row for row, weight in zip(some, weights, strict=True) for _ in range(weight)]


WEIGHTS = [2, 1, 0, 3] * 5
EVAL_WEIGHTS = [1, 2, 0] * 10


@pytest.fixture(scope="module")
def weighted_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with weights."""
    folder = tmp_path_factory.mktemp("weighted") / "run"
    return write(folder, weighted(TRAIN_ROWS, WEIGHTS), weighted(EVAL_ROWS, EVAL_WEIGHTS))


@pytest.fixture(scope="module")
def repeated_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with each row as often as it weighs."""
    folder = tmp_path_factory.mktemp("repeated") / "run"
    return write(folder, repeated(TRAIN_ROWS, WEIGHTS), repeated(EVAL_ROWS, EVAL_WEIGHTS))


def model_of(run: Run, **settings: Any) -> DeepFM:
    keras.utils.set_random_seed(1)
    spec = run.spec.model_copy(update={"train": run.spec.train.model_copy(update=settings)})
    return compiled_model(spec, run, 1)


def features_of(some: Sequence[Row]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    features = {name: tf.constant([row[name] for row in some]) for name in ("item", "seen", "age")}
    singles = {name: tf.squeeze(features[name], axis=1) for name in ("item", "age")}
    ids = {"item": tf.cast(singles["item"], tf.int64), "seen": tf.cast(features["seen"], tf.int64)}
    return {**ids, "age": singles["age"]}, tf.constant([row["label"][0] for row in some])


def loss_and_gradients(model: DeepFM, some: Sequence[Row], weights: Sequence[float]) -> tuple[float, list[np.ndarray]]:
    features, label = features_of(some)
    weight = tf.constant(weights, tf.float32)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(features, label, model(features, training=True), weight)
    gradients = tape.gradient(loss, model.trainable_variables)
    return float(loss), [np.asarray(tf.convert_to_tensor(gradient)) for gradient in gradients]


@pytest.mark.parametrize("row", [0, 7])
def test_loss_and_gradients_of_weight_2_are_those_of_the_row_twice(weighted_run: Run, row: int) -> None:
    model = model_of(weighted_run)
    weights = np.ones(len(TRAIN_ROWS))
    weights[row] = 2
    loss, gradients = loss_and_gradients(model, TRAIN_ROWS, weights.tolist())
    twice = [*TRAIN_ROWS, TRAIN_ROWS[row]]
    expected, expected_gradients = loss_and_gradients(model, twice, [1.0] * len(twice))
    assert loss == pytest.approx(expected, rel=0, abs=1e-6)
    for gradient, of_twice in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, of_twice, rtol=0, atol=1e-6)


def test_loss_is_the_mean_weighted_by_the_weights(weighted_run: Run) -> None:
    model = model_of(weighted_run)
    features, label = features_of(TRAIN_ROWS)
    logit = np.asarray(model(features, training=False))[:, 0]
    losses = np.logaddexp(0, np.where(label, -logit, logit))
    loss, _ = loss_and_gradients(model, TRAIN_ROWS, WEIGHTS)
    assert loss == pytest.approx(np.average(losses, weights=WEIGHTS), abs=1e-6)


def test_weights_times_a_number_change_nothing(weighted_run: Run) -> None:
    model = model_of(weighted_run)
    loss, gradients = loss_and_gradients(model, TRAIN_ROWS, WEIGHTS)
    tenfold, tenfold_gradients = loss_and_gradients(model, TRAIN_ROWS, [10 * weight for weight in WEIGHTS])
    assert tenfold == pytest.approx(loss, abs=1e-6)
    for gradient, of_tenfold in zip(gradients, tenfold_gradients, strict=True):
        np.testing.assert_allclose(gradient, of_tenfold, rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_batch_without_weight_has_loss_0_and_finite_weights_after_it(weighted_run: Run, precision: str) -> None:
    model = model_of(weighted_run, precision=precision)
    features, label = features_of(TRAIN_ROWS)
    history = model.fit(features, label, sample_weight=tf.zeros(len(TRAIN_ROWS)), verbose=0)
    assert history.history["loss"] == [0.0]
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.parametrize("optimizer", ["lazy_adam", "adam", "rowwise_adagrad"])
def test_training_with_weights_is_training_on_repeated_rows(
    weighted_run: Run, repeated_run: Run, optimizer: str, tmp_path: Path
) -> None:
    histories = [
        train(
            run,
            str(tmp_path / name),
            train_settings=run.spec.train.model_copy(update={"optimizer": optimizer}),
        ).history
        for name, run in (("weighted", weighted_run), ("repeated", repeated_run))
    ]
    assert histories[0] == [pytest.approx(epoch, rel=0, abs=1e-5) for epoch in histories[1]]


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_training_with_weights_in_half_precision(weighted_run: Run, precision: str, tmp_path: Path) -> None:
    settings = weighted_run.spec.train.model_copy(update={"precision": precision, "batch_size": 7})
    history = train(weighted_run, str(tmp_path / "model"), train_settings=settings).history
    assert all(np.isfinite(list(epoch.values())).all() for epoch in history)


def test_evaluation_is_that_of_repeated_rows(weighted_run: Run, repeated_run: Run, tmp_path: Path) -> None:
    one_epoch = weighted_run.spec.train.model_copy(update={"epochs": 1})
    model = load_model(train(weighted_run, str(tmp_path / "model"), train_settings=one_epoch).folder)
    found, expected = (
        evaluate(model, run, "eval", gauc_by="item", slices=["item"]) for run in (weighted_run, repeated_run)
    )
    for name in ("auc", "pr_auc", "logloss", "gauc", "calibration", "positives"):
        assert found[name] == pytest.approx(expected[name], rel=1e-6)
    assert found["slices"]["item"]["a"]["logloss"] == pytest.approx(expected["slices"]["item"]["a"]["logloss"])
    assert (found["examples"], found["weight"], expected["examples"]) == (30, 30.0, 30)
    assert "weight" not in expected


def test_eval_labels_of_weight_0_do_not_count_for_the_monitor(tmp_path: Path) -> None:
    eval_rows = weighted(EVAL_ROWS, [row["label"][0] for row in EVAL_ROWS])  # Only clicks count.
    run = write(tmp_path / "run", weighted(TRAIN_ROWS, WEIGHTS), eval_rows, epochs=1)
    with pytest.warns(FieldpoolWarning, match="all labels of the eval split are 1, so AUC is undefined"):
        assert train(run, str(tmp_path / "model")).monitor == "val_logloss"


def test_eval_split_without_weight_selects_no_epoch(tmp_path: Path) -> None:
    run = write(tmp_path / "run", weighted(TRAIN_ROWS, WEIGHTS), weighted(EVAL_ROWS, [0] * 30), epochs=2)
    with pytest.warns(FieldpoolWarning, match="all weights of the eval split are 0"):
        result = train(run, str(tmp_path / "model"))
    assert (result.monitor, result.best_epoch) == (None, 2)
