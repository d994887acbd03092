"""`fieldpool run --resume`: complete steps are kept if they belong to the same spec and data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from served_model import Served

from fieldpool.model.files import write_json
from fieldpool.model.run import Run
from fieldpool.pipeline.cli import workflow
from fieldpool.pipeline.runs.run_directory import TransformResult
from fieldpool.pipeline.sources.files import find_files
from fieldpool.transforms.errors import UserError

Steps = list[tuple[str, dict[str, Any]]]
Resume = Callable[..., tuple[str, Steps]]


@pytest.fixture
def out(served: Served, tmp_path: Path) -> Path:
    """What `run` leaves if ^C comes during training: a complete run, checkpoints, and the record of its inputs."""
    shutil.copy(served.data, tmp_path / "rows.parquet")
    shutil.copy(served.run / "spec.yaml", tmp_path / "spec.yaml")
    out = tmp_path / "out"
    shutil.copytree(served.run, out / "run")
    (out / "model/checkpoints").mkdir(parents=True)
    for name in ("UNFINISHED", "checkpoints/state-0001-000000000.npz"):
        (out / "model" / name).touch()
    files = find_files([str(tmp_path / "rows.parquet")])
    write_json(str(out / "inputs.json"), asdict(workflow._inputs_of(str(tmp_path / "spec.yaml"), files, str(out))))
    return out


@pytest.fixture
def resume(
    out: Path, fieldpool: Callable[..., tuple[int, str, str]], served: Served, monkeypatch: pytest.MonkeyPatch
) -> Resume:
    """Runs `fieldpool run` up to training; returns its message and the steps with their options."""
    steps: Steps = []

    def transform(*_: Any, **options: bool) -> Any:
        steps.append(("transform", options))
        if not (out / "run/DONE").exists():
            shutil.copytree(served.run, out / "run", dirs_exist_ok=True)
        run = Run(str(served.run))
        return TransformResult(run.path, run.spec, run.stats)

    def train(*_: Any, **options: bool) -> Any:
        steps.append(("train", options))
        raise UserError("stopped here")

    monkeypatch.setattr(workflow, "make_run", transform)
    monkeypatch.setattr(workflow, "train_run", train)

    def call(*options: str) -> tuple[str, Steps]:
        code, _, err = fieldpool("run", out.parent / "spec.yaml", out.parent / "rows.parquet", "--out", out, *options)
        assert code == 2
        return " ".join(err.split()), steps

    return call


def test_complete_run_is_kept_and_training_continues(resume: Resume) -> None:
    assert resume("--resume")[1] == [("train", {"resume": True, "overwrite": False})]


def test_training_without_a_checkpoint_starts_from_scratch(resume: Resume, out: Path) -> None:
    shutil.rmtree(out / "model/checkpoints")
    assert resume("--resume")[1] == [("train", {"resume": False, "overwrite": True})]


def test_resume_without_earlier_output_runs_all_steps(resume: Resume, out: Path) -> None:
    shutil.rmtree(out)
    names = [name for name, _ in resume("--resume")[1]]
    assert names == ["transform", "train"]


def test_unfinished_run_is_resumed_and_checkpoints_of_an_earlier_one_are_not_used(resume: Resume, out: Path) -> None:
    (out / "run/.work-1").mkdir()
    assert resume("--resume")[1] == [
        ("transform", {"overwrite": True, "resume": True}),
        ("train", {"resume": False, "overwrite": True}),
    ]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda out: (out.parent / "rows.parquet").touch(), "rows.parquet"),
        (lambda out: (out.parent / "spec.yaml").write_text(_other_spec(out)), "spec"),
        (lambda out: os.utime(out / "run/DONE", (1, 1)), "run/DONE"),
        (lambda out: (out / "inputs.json").unlink(), "this file is missing"),
    ],
    ids=["data", "spec", "another run", "no record"],
)
def test_run_of_other_inputs_is_refused(
    resume: Resume, out: Path, change: Callable[[Path], object], named: str
) -> None:
    change(out)
    message, steps = resume("--resume")
    assert steps == []
    assert "inputs.json" in message
    assert "was made from other inputs" in message
    assert named in message
    assert "--overwrite" in message


def _other_spec(out: Path) -> str:
    return (out.parent / "spec.yaml").read_text().replace("max_rejected: 2", "max_rejected: 3")


def test_without_option_the_message_names_those_of_run(resume: Resume) -> None:
    message, steps = resume()
    assert steps == []
    assert "out/run: exists already; continue with --resume, " in message
    assert "start from scratch with --overwrite" in message


def test_both_options_exclude_each_other(resume: Resume) -> None:
    assert "give one of them" in resume("--resume", "--overwrite")[0]


def test_overwrite_records_the_new_inputs_before_training(resume: Resume, out: Path) -> None:
    (out.parent / "spec.yaml").write_text(_other_spec(out))
    assert resume("--overwrite")[1] == [
        ("transform", {"overwrite": True, "resume": False}),
        ("train", {"resume": False, "overwrite": True}),
    ]
    assert '"max_rejected": 3' in (out / "inputs.json").read_text()
    assert not (out / "model/checkpoints/state-0001-000000000.npz").exists()
