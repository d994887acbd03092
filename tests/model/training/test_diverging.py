"""Training whose numbers overflow ends before they replace a good checkpoint, and can then be resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_run import settings_of

from fieldpool.model import metrics
from fieldpool.model.run import Run
from fieldpool.model.training.result import TrainingResult
from fieldpool.model.training.steps import together
from fieldpool.model.training.train import train
from fieldpool.transforms.errors import UserError

# 600 examples in batches of 32: 19 steps per epoch.
STEPS = 19


class At(keras.callbacks.Callback):
    """Calls a function with the model after a number of steps, and records the learning rate of each step."""

    def __init__(self, step: int, call: Callable[[keras.Model], object]) -> None:
        super().__init__()
        self.step, self.call = step, call
        self.rates: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.rates.append(float(self.model.optimizer.learning_rate))
        if len(self.rates) == self.step:
            self.call(self.model)


def assign(name: str, value: float) -> Callable[[keras.Model], object]:
    """Returns a function that sets the first variable of this name, of the model or its optimizer, to a value."""

    def set_value(model: keras.Model) -> None:
        variable = next(v for v in (*model.variables, *model.optimizer.variables) if name in v.path)
        variable.assign(np.full(variable.shape, value, "float32"))

    return set_value


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob("state-*.npz"))


# Checkpoints follow steps 5, 10, 15, 19 (the end of the epoch), 24, 29, 34, 38.
@pytest.mark.parametrize(
    ("name", "value", "step"),
    [
        ("learning_rate", 1e30, 22),  # The weights are huge after one step; the loss is not finite after the next.
        ("tables_3_momentum", np.nan, 37),  # The weights are NaN after the last step of the epoch, whose loss is not.
        ("tables_3_velocity", np.inf, 24),  # The loss remains finite.
    ],
)
def test_checkpoints_are_finite_and_training_can_be_resumed(
    run: Run, tmp_path: Path, name: str, value: float, step: int
) -> None:
    settings = settings_of(run, epochs=2, checkpoint_steps=5)
    with pytest.raises(UserError, match=r"epoch [12].*expected finite numbers. Lower `train.learning_rate`.*--resume"):
        train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[At(step, assign(name, value))])
    assert checkpoints(tmp_path / "out")
    for path in checkpoints(tmp_path / "out"):
        with np.load(path) as arrays:
            assert all(np.isfinite(array).all() for array in arrays.values())
    result = train(run, str(tmp_path / "out"), train_settings=settings, resume=True)
    assert np.isfinite([epoch["loss"] for epoch in result.history]).all()


@pytest.mark.parametrize("steps_of_call", [1, 5])
def test_loss_that_is_not_finite_ends_training_at_once(
    run: Run, tmp_path: Path, steps_of_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "STEPS_WORTH_COMPILING", STEPS if steps_of_call > 1 else STEPS + 1)
    steps, settings = At(0, print), settings_of(run, learning_rate=1e30, checkpoint_steps=5)
    with pytest.raises(UserError, match=r"epoch 1: the loss is (nan|inf); .*Lower `train.learning_rate`"):
        train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[steps])
    assert len(steps.rates) * steps_of_call < 5
    assert not checkpoints(tmp_path / "out")


@pytest.mark.parametrize("changes", [{}, {"decay": "linear", "precision": "float16"}])
def test_training_is_resumed_with_another_learning_rate(run: Run, tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = settings_of(run, epochs=2, learning_rate=0.02, checkpoint_steps=10, **changes)
    with pytest.raises(UserError):
        train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[At(12, assign("bias", np.nan))])
    steps = At(0, print)
    lower = settings.model_copy(update={"learning_rate": 0.01})
    train(run, str(tmp_path / "out"), train_settings=lower, resume=True, callbacks=[steps])
    assert len(steps.rates) == 2 * STEPS - 10
    assert max(steps.rates) <= 0.01


def test_learning_rate_that_a_callback_has_changed_is_resumed(run: Run, tmp_path: Path) -> None:
    settings = settings_of(run, epochs=1, learning_rate=0.02)
    train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[At(3, assign("learning_rate", 0.005))])
    steps = At(0, print)
    more = settings.model_copy(update={"epochs": 2})
    train(run, str(tmp_path / "out"), train_settings=more, resume=True, callbacks=[steps])
    assert steps.rates == pytest.approx([0.005] * STEPS)


def test_error_while_an_epoch_is_measured_loses_no_epoch(
    run: Run, three_epochs: TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(run, epochs=2)
    measured, auc = [0], metrics.auc

    def fail_in_epoch_1(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
        measured[0] += 1
        if measured[0] == 1:
            raise MemoryError
        return auc(labels, scores, weights)

    monkeypatch.setattr(metrics, "auc", fail_in_epoch_1)
    with pytest.raises(MemoryError):
        train(run, str(tmp_path / "out"), train_settings=settings)
    steps = At(0, print)
    resumed = train(run, str(tmp_path / "out"), train_settings=settings, resume=True, callbacks=[steps])
    assert len(steps.rates) == STEPS  # Those of epoch 2.
    assert resumed.history == three_epochs.history[:2]
