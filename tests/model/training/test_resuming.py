"""A training that is broken off and resumed gives what one without a break gives, to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_run import settings_of

from fieldpool.model.run import Run
from fieldpool.model.training.result import TrainingResult
from fieldpool.model.training.train import train
from fieldpool.transforms.errors import UserError


class Break(Exception):
    """Ends a training as a kill would: nothing of it runs any more."""


class BreakAt(keras.callbacks.Callback):
    """Breaks off after a number of steps, counted over all epochs."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.left -= 1
        if self.left == 0:
            raise Break


def weights_of(path: Path) -> list[np.ndarray]:
    return keras.saving.load_model(path / "model.keras", safe_mode=True).get_weights()


@pytest.fixture(scope="module")
def unbroken(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TrainingResult]:
    """`unbroken("lazy_adam")`: a training of three epochs that nothing interrupts, one for each optimizer."""

    @cache
    def trained(optimizer: str) -> TrainingResult:
        settings = settings_of(run, epochs=3, optimizer=optimizer)
        return train(run, str(tmp_path_factory.mktemp("unbroken")), train_settings=settings)

    return trained


# 600 examples in batches of 32: 19 steps an epoch.
@pytest.mark.parametrize(
    ("optimizer", "checkpoint_steps", "breaks"),
    [("lazy_adam", None, [30]), ("lazy_adam", 5, [3, 21, 8]), ("rowwise_adagrad", 5, [30])],
)
def test_equals_an_unbroken_training(
    run: Run,
    tmp_path: Path,
    unbroken: Callable[[str], TrainingResult],
    optimizer: str,
    checkpoint_steps: int | None,
    breaks: list[int],
) -> None:
    settings = settings_of(run, epochs=3, optimizer=optimizer, checkpoint_steps=checkpoint_steps)
    whole = unbroken(optimizer)

    for steps in breaks:
        with pytest.raises(Break):
            train(run, str(tmp_path / "out"), train_settings=settings, resume=True, callbacks=[BreakAt(steps)])
    resumed = train(run, str(tmp_path / "out"), train_settings=settings, resume=True)

    assert resumed.history == whole.history
    assert resumed.best_epoch == whole.best_epoch
    for ours, theirs in zip(weights_of(tmp_path / "out"), weights_of(Path(whole.folder)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_break_after_the_last_step_of_an_epoch(
    run: Run, tmp_path: Path, unbroken: Callable[[str], TrainingResult]
) -> None:
    class BreakAfter(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            if epoch == 1:
                raise Break

    settings = settings_of(run, epochs=3, checkpoint_steps=19)
    whole = unbroken(settings.optimizer)
    with pytest.raises(Break):
        train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[BreakAfter()])
    assert train(run, str(tmp_path / "out"), train_settings=settings, resume=True).history == whole.history


def test_a_truncated_checkpoint_is_skipped(run: Run, tmp_path: Path, unbroken: Callable[[str], TrainingResult]) -> None:
    settings = settings_of(run, epochs=3)
    whole = unbroken(settings.optimizer)
    with pytest.raises(Break):
        train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[BreakAt(45)])
    newest = sorted((tmp_path / "out" / "checkpoints").glob("state-*.npz"))[-1]
    newest.write_bytes(newest.read_bytes()[:-100])

    with pytest.warns(UserWarning, match=r"state-0002.*not a complete checkpoint"):
        resumed = train(run, str(tmp_path / "out"), train_settings=settings, resume=True)

    assert resumed.history == whole.history


def test_a_damaged_checkpoint_is_skipped(run: Run, tmp_path: Path) -> None:
    with pytest.raises(Break):
        train(run, str(tmp_path / "out"), callbacks=[BreakAt(25)])
    (path,) = (tmp_path / "out" / "checkpoints").glob("state-*.npz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.warns(UserWarning, match="not a complete checkpoint"):
        train(run, str(tmp_path / "out"), resume=True)


def test_a_finished_training_is_left_as_it_is(run: Run, tmp_path: Path) -> None:
    first = train(run, str(tmp_path / "out"))
    again = train(run, str(tmp_path / "out"), resume=True)
    assert again == first


def test_a_finished_training_can_be_resumed_for_more_epochs(run: Run, tmp_path: Path) -> None:
    more = settings_of(run, epochs=4, early_stopping=None)
    whole = train(run, str(tmp_path / "whole"), train_settings=more)
    train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=2, early_stopping=None))
    assert train(run, str(tmp_path / "out"), train_settings=more, resume=True).history == whole.history


def test_early_stopping_counts_epochs_before_the_break(run: Run, tmp_path: Path) -> None:
    stopping = run.spec.train.early_stopping.model_copy(update={"patience": 1})
    settings = settings_of(run, epochs=30, early_stopping=stopping)
    whole = train(run, str(tmp_path / "whole"), train_settings=settings)
    steps = 19 * (len(whole.history) - 1) + 3
    with pytest.raises(Break):
        train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[BreakAt(steps)])
    assert train(run, str(tmp_path / "out"), train_settings=settings, resume=True).history == whole.history


def test_another_training_is_refused(run: Run, tmp_path: Path) -> None:
    train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=1))
    with pytest.raises(UserError, match=r"train.learning_rate \(0.02 there, 0.5 here\).*without --resume"):
        train(run, str(tmp_path / "out"), train_settings=settings_of(run, learning_rate=0.5), resume=True)


def test_without_a_checkpoint_resuming_is_starting(run: Run, tmp_path: Path) -> None:
    result = train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=1), resume=True)
    assert len(json.loads(Path(result.training_path).read_text())["history"]) == 1
