"""Replicas and workers share each batch, so the losses are those of a single process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from handmade_run import write_run
from tiny_run import EXAMPLES, SPEC, TOKENS

from fieldpool.model.evaluation import evaluate
from fieldpool.model.run import Run
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train

SECONDS = 120


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    # No dropout, because each replica would draw other units.
    spec = {**SPEC, "model": {**SPEC["model"], "dropout": 0.0, "l2_embedding": 0.0}}
    return Run(write_run(tmp_path_factory.mktemp("strategies") / "run", spec, TOKENS, EXAMPLES))


@pytest.fixture(scope="module")
def single(run: Run, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """The history of one process."""
    return train(run, str(tmp_path_factory.mktemp("single"))).history


def start(kind: str, run: Run, out: Path, **environment: str) -> subprocess.Popen:
    script = Path(__file__).parents[2] / "support/train_with_strategy.py"
    return subprocess.Popen(
        [sys.executable, str(script), kind, run.path, str(out)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def history_of(process: subprocess.Popen) -> list[dict[str, float]]:
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("localhost", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def nearly_equal(first: list[dict[str, float]], second: list[dict[str, float]]) -> bool:
    return len(first) == len(second) and all(
        a == pytest.approx(b, rel=1e-4) for a, b in zip(first, second, strict=True)
    )


def test_two_replicas_equal_a_single_process(run: Run, single: list[dict[str, float]], tmp_path: Path) -> None:
    assert nearly_equal(history_of(start("mirrored", run, tmp_path / "out")), single)


def test_two_workers_equal_a_single_process(run: Run, single: list[dict[str, float]], tmp_path: Path) -> None:
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    workers = [
        start(
            "workers",
            run,
            tmp_path / "out",
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]
    first, second = (history_of(worker) for worker in workers)
    assert first == second
    assert nearly_equal(first, single)
    # The first worker wrote a model that can be loaded and evaluated.
    best = max(epoch["val_auc"] for epoch in first)
    assert evaluate(load_model(str(tmp_path / "out")), run, "eval")["auc"] == pytest.approx(best)
