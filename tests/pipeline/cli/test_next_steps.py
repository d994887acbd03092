"""Each command ends with the command that usually follows, ready to be copied."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served_model import Served

from fieldpool.model.run import Run
from fieldpool.model.training.result import TrainingResult
from fieldpool.pipeline.cli import data, reports, serving, start, training, workflow
from fieldpool.pipeline.runs.run_directory import TransformResult
from fieldpool.pipeline.serving.comparison import Parity
from fieldpool.pipeline.terminal import preflight

Fieldpool = Callable[..., tuple[int, str, str]]

# Instead of the work of the commands, which other tests do.
PARITY = Parity(rows=3, rejected=0, differing_ids=0, differing_scores=0, largest_score_difference=0.0, differences=[])
TRAINING = TrainingResult([{"epoch": 1, "loss": 0.5}], 1, None, "models/monday")
METRICS = {"test": {"auc": 0.75}}


@pytest.fixture
def project(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the folder `runs`, which has a run, in which commands return at once."""
    (tmp_path / "runs").mkdir()
    for name in ("monday", "my monday"):
        (tmp_path / "runs" / name).symlink_to(served.run)
    monkeypatch.chdir(tmp_path)
    run = Run(str(served.run))
    shutil.copy(f"{run.path}/spec.yaml", tmp_path)
    done: list[tuple[Any, str, Any]] = [
        (data, "make_run", TransformResult(run.path, run.spec, run.stats)),
        (preflight, "check_data", None),
        (training, "train_run", TRAINING),
        (training, "evaluate_splits", METRICS),
        (serving, "export_run", "models/monday/serving"),
        (serving, "verify_export", PARITY),
        (reports, "write_report", "my page.html"),
        (workflow, "run_workflow", None),
        (start, "run_workflow", None),
        (start, "_write_profile", True),
    ]
    for module, name, result in done:
        monkeypatch.setattr(module, name, lambda *_, result=result, **__: result)
    return tmp_path


CASES = [
    (["transform", "spec.yaml", "a.csv", "--out", "runs/monday"], "fieldpool train runs/monday --out MODEL"),
    (["transform", "--using", "runs/old", "a.csv", "--out", "runs/monday"], "fieldpool evaluate runs/monday MODEL"),
    (["train", "runs/my monday", "--out", "models/monday"], "fieldpool evaluate 'runs/my monday' models/monday"),
    (["evaluate", "runs/monday", "models/monday"], "fieldpool export runs/monday models/monday"),
    (["export", "runs/monday", "models/monday"], "fieldpool verify runs/monday models/monday DATA..."),
    (
        ["export", "runs/monday", "models/monday", "--out", "models/monday/serving"],
        "fieldpool verify runs/monday models/monday/serving DATA...",
    ),
    (["verify", "runs/monday", "models/monday", "a.csv"], "fieldpool predict models/monday DATA... --out OUT"),
    (["report", "runs/monday", "models/monday"], "open 'my page.html' in a browser"),
    (["run", "spec.yaml", "a.csv", "--out", "all"], "fieldpool predict all/model DATA... --out OUT"),
    (["demo", "--out", "demo", "--rows", "1000"], "fieldpool inspect demo/run"),
    (["start", "a.csv", "--out", "all"], "fieldpool run all/spec.yaml a.csv --out all --overwrite"),
]


@pytest.mark.parametrize(("arguments", "following"), CASES, ids=[shlex.join(case[0]) for case in CASES])
def test_the_next_step_follows_the_results(
    fieldpool: Fieldpool, project: Path, arguments: list[str], following: str
) -> None:
    code, output, _ = fieldpool(*arguments)
    assert code == 0
    assert f"Next: {following}" in output.splitlines()


@pytest.mark.parametrize("arguments", [case[0] for case in CASES], ids=[case[0][0] for case in CASES])
def test_json_has_no_next_step(fieldpool: Fieldpool, project: Path, arguments: list[str]) -> None:
    _, output, _ = fieldpool(*arguments, "--json")
    assert "Next:" not in output


def test_the_next_steps_of_commands_that_read_data(fieldpool: Fieldpool, served: Served, tmp_path: Path) -> None:
    rows, look, scores = str(served.data), str(tmp_path / "look"), str(tmp_path / "scores")
    steps = [
        (["profile", rows, "--out", look], f"fieldpool explain {look}/spec.yaml {rows}"),
        (["explain", f"{look}/spec.yaml", rows], f"fieldpool transform {look}/spec.yaml {rows} --out RUN"),
        (["check", served.run, rows], f"fieldpool predict MODEL {rows} --out OUT"),
        (
            ["predict", served.model, rows, "--out", scores],
            f"python -c 'import pyarrow.parquet as pq; print(pq.read_table(\"{scores}/predictions\"))'",
        ),
    ]
    titles = {"profile": "Proposed fields", "explain": "row 1 →", "check": "compared with the run", "predict": "Rows"}
    for arguments, following in steps:
        code, output, _ = fieldpool(*arguments)
        assert (code, output.splitlines()[-1]) == (0, f"Next: {following}")
        assert titles[arguments[0]] in output


def test_many_files_are_not_repeated(fieldpool: Fieldpool, served: Served) -> None:
    _, output, _ = fieldpool("check", served.run, *[served.data] * 4)
    assert output.splitlines()[-1] == "Next: fieldpool predict MODEL DATA... --out OUT"
