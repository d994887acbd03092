"""A training that is interrupted and resumed gives the same numbers as an uninterrupted one, bit by bit."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from handmade_run import write_run
from tiny_run import EXAMPLES, SPEC, TOKENS, rows, settings_of

from fieldpool.model.layers.deepfm import DeepFM
from fieldpool.model.run import Run
from fieldpool.model.training import compilation
from fieldpool.model.training.result import TrainingResult
from fieldpool.model.training.steps import own_step, together
from fieldpool.model.training.train import train
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Train


class Interruption(Exception):
    """Ends a training like a kill: none of its code runs afterwards."""


class InterruptAt(keras.callbacks.Callback):
    """Interrupts after a number of steps, counted over all epochs."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interruption


def weights_of(path: Path) -> list[np.ndarray]:
    return keras.saving.load_model(path / "model.keras", safe_mode=True).get_weights()


def unfinished(folder: str | Path, out: Path) -> Path:
    """Returns the newest checkpoint of an unfinished training in `out`, which has the checkpoints of a finished one."""
    shutil.copytree(Path(folder) / "checkpoints", out / "checkpoints")
    (out / "UNFINISHED").touch()
    return max((out / "checkpoints").glob("state-*.npz"))


# 600 examples in batches of 32: 19 steps per epoch.
@pytest.mark.parametrize(
    ("optimizer", "checkpoint_steps", "interruptions"),
    [("lazy_adam", None, [30]), ("lazy_adam", 5, [3, 21, 8]), ("rowwise_adagrad", 5, [30])],
)
def test_resumed_training_equals_an_uninterrupted_one(
    run: Run,
    tmp_path: Path,
    three_epochs: TrainingResult,
    optimizer: str,
    checkpoint_steps: int | None,
    interruptions: list[int],
) -> None:
    settings = settings_of(run, optimizer=optimizer, checkpoint_steps=checkpoint_steps)
    reference = three_epochs
    if optimizer != run.spec.train.optimizer:
        reference = train(run, str(tmp_path / "reference"), train_settings=settings_of(run, optimizer=optimizer))

    for steps in interruptions:
        with pytest.raises(Interruption):
            train(run, str(tmp_path / "out"), train_settings=settings, resume=True, callbacks=[InterruptAt(steps)])
    resumed = train(run, str(tmp_path / "out"), train_settings=settings, resume=True)

    assert resumed.history == reference.history
    assert resumed.best_epoch == reference.best_epoch
    for weights, expected in zip(weights_of(tmp_path / "out"), weights_of(Path(reference.folder)), strict=True):
        np.testing.assert_array_equal(weights, expected)


@pytest.mark.parametrize("steps_of_call", [1, 3])
def test_evaluations_within_an_epoch_are_resumed_as_well(
    run: Run, tmp_path: Path, steps_of_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "STEPS_WORTH_COMPILING", 19 if steps_of_call > 1 else 20)
    settings = settings_of(run, epochs=2, eval_steps=8, checkpoint_steps=3, early_stopping=None)
    reference = train(run, str(tmp_path / "reference"), train_settings=settings)
    assert [epoch["epoch"] for epoch in reference.history] == [1, 2, 3, 4, 5]  # 38 steps.
    kept = sorted(path.name for path in (tmp_path / "reference" / "checkpoints").glob("best-*"))
    assert f"best-{reference.best_epoch:04d}.npz" in kept

    interruption = InterruptAt(21 // steps_of_call)
    with pytest.raises(Interruption):
        train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[interruption])
    resumed = train(run, str(tmp_path / "out"), train_settings=settings, resume=True)
    assert resumed.history == reference.history
    for weights, expected in zip(weights_of(tmp_path / "out"), weights_of(tmp_path / "reference"), strict=True):
        np.testing.assert_array_equal(weights, expected)


def test_compiled_training_is_resumed_as_well(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (compilation, together):
        monkeypatch.setattr(module, "STEPS_WORTH_COMPILING", 19)  # The steps of an epoch.
    monkeypatch.setattr(together, "MOST_TOGETHER", 4)
    compiled: list[bool] = []

    def use_own_step(model: DeepFM, **options: bool) -> None:
        compiled.append(options["compiled"])
        own_step.use_own_step(model, **options)

    monkeypatch.setattr(compilation, "use_own_step", use_own_step)
    settings = settings_of(run, epochs=1, checkpoint_steps=6)  # Calls of 3 steps.
    reference = train(run, str(tmp_path / "reference"), train_settings=settings)
    with pytest.raises(Interruption):
        train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[InterruptAt(3)])
    resumed = train(run, str(tmp_path / "out"), train_settings=settings, resume=True)
    assert resumed.history == reference.history
    assert compiled == [True] * 3

    monkeypatch.setattr(together, "MOST_TOGETHER", 1)
    assert train(run, str(tmp_path / "one by one"), train_settings=settings).history == reference.history

    monkeypatch.setattr(compilation, "STEPS_WORTH_COMPILING", 20)
    train(run, str(tmp_path / "short"), train_settings=settings)
    assert compiled == [True] * 4 + [False]


def test_calls_that_pass_the_step_of_a_checkpoint_write_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "STEPS_WORTH_COMPILING", 19)  # The steps of an epoch.
    monkeypatch.setattr(together, "MOST_TOGETHER", 4)
    reference = train(run, str(tmp_path / "reference"), train_settings=settings_of(run, epochs=1))
    out = str(tmp_path / "out")
    with pytest.raises(Interruption):
        train(run, out, train_settings=settings_of(run, epochs=1, checkpoint_steps=5), callbacks=[InterruptAt(5)])
    settings = settings_of(run, epochs=1, checkpoint_steps=6)  # Calls of 3 steps, which end after 8, 11, ….
    with pytest.raises(Interruption):
        train(run, out, train_settings=settings, resume=True, callbacks=[InterruptAt(2)])
    written = sorted(path.name for path in Path(out).glob("checkpoints/state-*"))
    assert written == ["state-0000-000000005.npz", "state-0000-000000008.npz"]
    assert train(run, out, train_settings=settings, resume=True).history == reference.history


def test_best_weights_that_are_gone_end_resuming(run: Run, tmp_path: Path, three_epochs: TrainingResult) -> None:
    unfinished(three_epochs.folder, tmp_path)
    for path in (tmp_path / "checkpoints").glob("best-*.npz"):
        path.unlink()
    with pytest.raises(UserError, match=r"best-000\d\.npz: no such file, but epoch \d is the best until now"):
        train(run, str(tmp_path), resume=True)


def test_interruption_after_the_last_step_of_an_epoch(run: Run, tmp_path: Path, three_epochs: TrainingResult) -> None:
    class InterruptAfterEpoch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            if epoch == 1:
                raise Interruption

    settings = settings_of(run, checkpoint_steps=19)
    with pytest.raises(Interruption):
        train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[InterruptAfterEpoch()])
    assert train(run, str(tmp_path / "out"), train_settings=settings, resume=True).history == three_epochs.history


def test_truncated_checkpoint_is_skipped(run: Run, tmp_path: Path, three_epochs: TrainingResult) -> None:
    newest = unfinished(three_epochs.folder, tmp_path)
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"state-0003.*not a complete checkpoint"):
        resumed = train(run, str(tmp_path), resume=True)
    assert resumed.history == three_epochs.history


def test_damaged_checkpoint_is_skipped(run: Run, tmp_path: Path, one_epoch: Path) -> None:
    path = unfinished(one_epoch, tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.warns(UserWarning, match="not a complete checkpoint"):
        train(run, str(tmp_path), train_settings=settings_of(run, epochs=1), resume=True)


def test_resuming_a_finished_training_does_nothing(run: Run, tmp_path: Path, three_epochs: TrainingResult) -> None:
    out = shutil.copytree(three_epochs.folder, tmp_path / "out")
    assert train(run, str(out), resume=True) == replace(three_epochs, folder=str(out))


def test_finished_training_can_be_resumed_for_more_epochs(
    run: Run, tmp_path: Path, one_epoch: Path, three_epochs: TrainingResult
) -> None:
    out = shutil.copytree(one_epoch, tmp_path / "out")
    assert train(run, str(out), resume=True).history == three_epochs.history


def test_early_stopping_counts_epochs_before_the_interruption(
    run: Run, tmp_path: Path, impatient: Train, stopped_early: TrainingResult
) -> None:
    steps = 19 * (len(stopped_early.history) - 1) + 3
    with pytest.raises(Interruption):
        train(run, str(tmp_path / "out"), train_settings=impatient, callbacks=[InterruptAt(steps)])
    assert train(run, str(tmp_path / "out"), train_settings=impatient, resume=True).history == stopped_early.history


def test_resuming_with_other_settings_is_an_error(run: Run, tmp_path: Path, one_epoch: Path) -> None:
    out = shutil.copytree(one_epoch, tmp_path / "out")
    with pytest.raises(UserError, match=r"train.batch_size \(32 in the checkpoint, 64 now\).*without --resume"):
        train(run, str(out), train_settings=settings_of(run, batch_size=64), resume=True)


def test_resuming_without_a_checkpoint_starts_a_training(run: Run, tmp_path: Path) -> None:
    result = train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=1), resume=True)
    assert len(json.loads(Path(result.training_path).read_text())["history"]) == 1


@pytest.mark.parametrize(("first", "second"), [("none", "memory"), ("memory", "disk")])
def test_another_cache_within_an_epoch_is_an_error(run: Run, tmp_path: Path, first: str, second: str) -> None:
    """Each cache has its own order of examples: the rest of the epoch would have other examples than were left."""
    settings = settings_of(run, epochs=2, checkpoint_steps=5, cache=first)
    with pytest.raises(Interruption):
        train(run, str(tmp_path / "out"), train_settings=settings, callbacks=[InterruptAt(7)])
    with pytest.raises(UserError, match=rf"train.cache \({first} in the checkpoint, {second} now\)"):
        train(run, str(tmp_path / "out"), train_settings=settings.model_copy(update={"cache": second}), resume=True)


def test_another_cache_after_an_epoch_is_used(run: Run, one_epoch: Path, tmp_path: Path) -> None:
    shutil.copytree(one_epoch, tmp_path / "out")
    result = train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=2, cache="memory"), resume=True)
    assert [epoch["epoch"] for epoch in result.history] == [1, 2]


def with_pooling(spec: dict[str, Any], pooling: str) -> dict[str, Any]:
    return spec | {"fields": spec["fields"] | {"seen": spec["fields"]["seen"] | {"pooling": pooling}}}


@pytest.mark.parametrize(
    ("spec", "tokens", "examples", "expected"),
    [
        (SPEC, {"items": [b"w", b"x", b"y", b"z"]}, EXAMPLES, "vocabulary items: 4 tokens in both, but not the same"),
        (SPEC, {"items": [b"a", b"b", b"d", b"c"]}, EXAMPLES, "vocabulary items: the same 4 tokens in another order"),
        (with_pooling(SPEC, "sum"), TOKENS, EXAMPLES, r"fields.seen.pooling \(mean in the checkpoint, sum now\)"),
        (
            SPEC,
            TOKENS,
            EXAMPLES | {"train": [rows(400, 0), []]},
            r"examples of train \(600 in the checkpoint, 400 now\)",
        ),
    ],
    ids=["tokens", "order", "pooling", "examples"],
)
def test_checkpoint_of_another_run_is_an_error(
    one_epoch: Path,
    tmp_path: Path,
    spec: dict[str, Any],
    tokens: dict[str, Any],
    examples: dict[str, Any],
    expected: str,
) -> None:
    other = Run(write_run(tmp_path / "other", spec, tokens, examples))
    with pytest.raises(UserError, match=rf"cannot resume .*{expected}.*train from scratch without --resume"):
        train(other, str(one_epoch), train_settings=settings_of(other, epochs=2), resume=True)
    assert (one_epoch / "model.keras").exists()
