"""Training into a folder that has a model: a complete new one replaces it, and removes what was made from it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import keras
import pytest
from small_files import limited_files
from tiny_run import settings_of

from fieldpool.model.run import Run
from fieldpool.model.training.folder import replace_model
from fieldpool.model.training.train import train
from fieldpool.transforms.errors import CannotWrite, TargetExists, UserError

MADE_FROM_MODEL = ("serving/saved_model.pb", "serving/assets.extra/spec.yaml", "report.html")


class Killed(Exception):
    """Ends a training like a kill: none of its code runs afterwards."""


class KillAfterEpoch(keras.callbacks.Callback):
    """Kills in the second epoch, when the first has a checkpoint."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch == 1:
            raise Killed


@pytest.fixture
def out(one_epoch: Path, tmp_path: Path) -> Path:
    """The folder of a model of one epoch, its export and its report."""
    out = shutil.copytree(one_epoch, tmp_path / "out")
    for name in MADE_FROM_MODEL:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("old")
    return out


def files_of(out: Path, *names: str) -> dict[str, bytes | None]:
    return {name: (out / name).read_bytes() if (out / name).exists() else None for name in names}


def model_of(out: Path) -> dict[str, bytes | None]:
    return files_of(out, "model.keras", "training.json", *MADE_FROM_MODEL)


@pytest.mark.parametrize("how", ["overwrite", "resume"])
def test_new_model_removes_what_was_made_from_the_old_one(run: Run, out: Path, how: str) -> None:
    train(run, str(out), train_settings=settings_of(run, epochs=2), **{how: True})
    assert set(files_of(out, *MADE_FROM_MODEL).values()) == {None}
    assert not (out / "serving").exists()
    assert not (out / "UNFINISHED").exists()
    assert len(json.loads((out / "training.json").read_text())["history"]) == 2


def test_killed_training_keeps_the_old_model_and_can_be_resumed(run: Run, out: Path) -> None:
    settings, before = settings_of(run, epochs=2, seed=1), model_of(out)
    with pytest.raises(Killed):
        train(run, str(out), train_settings=settings, overwrite=True, callbacks=[KillAfterEpoch()])
    assert model_of(out) == before
    with pytest.raises(TargetExists, match=r"unfinished training; continue it with --resume.* with --overwrite"):
        train(run, str(out), train_settings=settings)
    train(run, str(out), train_settings=settings, resume=True)
    assert json.loads((out / "training.json").read_text())["seed"] == 1
    assert not (out / "serving").exists()


def test_kill_while_the_model_is_replaced_leaves_no_old_export_beside_the_new_model(
    run: Run, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def kill(source: str, target: str) -> None:
        if target.endswith("model.keras"):
            raise Killed
        replace(source, target)

    old = model_of(out)["model.keras"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", kill)
        with pytest.raises(Killed):
            train(run, str(out), train_settings=settings_of(run, epochs=1), overwrite=True)
    left = model_of(out)
    assert (left["model.keras"], left["serving/saved_model.pb"]) == (old, None)
    train(run, str(out), train_settings=settings_of(run, epochs=1), overwrite=True)  # From scratch.
    assert not (out / "UNFINISHED").exists()


@pytest.mark.parametrize("failing", ["model", "summary"])
def test_full_disk_keeps_the_old_model_and_what_was_made_from_it(out: Path, failing: str) -> None:
    before = model_of(out)
    new = keras.Sequential([keras.Input((100,)), keras.layers.Dense(100)])
    size = 100 if failing == "model" else 100_000

    def write_summary() -> None:
        raise CannotWrite("full")

    with limited_files(size), pytest.raises(CannotWrite):
        replace_model(str(out), new, write_summary)
    assert model_of(out) == before


def test_full_disk_in_the_first_epoch_keeps_the_old_model_and_leaves_nothing(run: Run, out: Path) -> None:
    before = model_of(out)
    with (
        limited_files(100),
        pytest.raises(CannotWrite, match=r"checkpoints/.*: cannot be written to: .* --out$"),
    ):
        train(run, str(out), train_settings=settings_of(run, epochs=1), overwrite=True)
    assert model_of(out) == before
    assert {path.name for path in out.iterdir()} == {"model.keras", "training.json", "serving", "report.html"}


def test_full_disk_in_a_later_epoch_keeps_the_checkpoint_to_resume_from(run: Run, tmp_path: Path) -> None:
    with contextlib.ExitStack() as full:

        class FillDisk(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
                if epoch == 1:
                    full.enter_context(limited_files(100))

        settings = settings_of(run, epochs=2)
        with pytest.raises(CannotWrite, match=r"The newest checkpoint remains; continue with --resume"):
            train(run, str(tmp_path), train_settings=settings, callbacks=[FillDisk()])
    assert [path.name for path in (tmp_path / "checkpoints").iterdir() if path.name.startswith(".")] == []
    assert len(train(run, str(tmp_path), train_settings=settings, resume=True).history) == 2


def test_training_killed_before_its_first_checkpoint_needs_no_option(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    (tmp_path / "out" / "UNFINISHED").touch()
    train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=1))


def test_resume_does_not_replace_a_model_without_checkpoints(run: Run, out: Path) -> None:
    for path in (out / "checkpoints").glob("state-*.npz"):
        path.unlink()
    before = model_of(out)
    with pytest.raises(TargetExists, match="no checkpoint to resume from"):
        train(run, str(out), resume=True)
    assert model_of(out) == before


def test_overwrite_and_resume_exclude_each_other(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give one of them"):
        train(run, str(tmp_path / "out"), overwrite=True, resume=True)
    assert not (tmp_path / "out").exists()


def test_other_serving_folder_is_kept(run: Run, out: Path) -> None:
    (out / "serving/saved_model.pb").unlink()
    train(run, str(out), train_settings=settings_of(run, epochs=1), overwrite=True)
    assert (out / "serving/assets.extra/spec.yaml").exists()


def test_second_of_two_trainings_is_refused(run: Run, tmp_path: Path) -> None:
    class TrainAgain(keras.callbacks.Callback):
        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            with pytest.raises(TargetExists, match="another process is working in it"):
                train(run, str(tmp_path / "out"), overwrite=True)

    train(run, str(tmp_path / "out"), train_settings=settings_of(run, epochs=1), callbacks=[TrainAgain()])
