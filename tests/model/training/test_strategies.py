"""Replicas and workers share each batch, so the losses are those of a single process, also after a resume."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from handmade_run import Row, write_run
from tiny_run import SPEC, TOKENS, rows

from fieldpool.model.evaluation import evaluate
from fieldpool.model.run import Run
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train

SECONDS = 240
History = list[dict[str, float]]

EXAMPLES = {"train": [rows(20, 0), rows(13, 1)], "eval": [rows(50, 2)]}  # 33 rows of train.
# The last batch of 33 rows has one row, so that one replica has none. With batches of 31 the others are uneven, too.
BATCH_NORM = {"model": {"l2_embedding": 1e-2, "batch_norm": True}, "train": {"batch_size": 32, "epochs": 2}}
UNEVEN = {"model": {"l2_embedding": 1e-2, "l2_hidden": 1e-3}, "train": {"batch_size": 31, "epochs": 2}}
# The only row of the last batch has weight 0.
WEIGHTED = {**UNEVEN, "train": {"batch_size": 32, "epochs": 2, "shuffle_buffer": 0}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Runs that differ in the settings of model and training."""
    folder = tmp_path_factory.mktemp("strategies")

    def run(name: str, changes: dict[str, Any], label: dict[str, str] = SPEC["label"]) -> Run:
        # No dropout, because each replica would draw other units.
        model = {**SPEC["model"], "dropout": 0.0, **changes["model"]}
        spec = {**SPEC, "label": label, "model": model, "train": {**SPEC["train"], **changes["train"]}}
        examples = with_weights(EXAMPLES) if "weight" in label else EXAMPLES
        return Run(write_run(folder / name, spec, TOKENS, examples))

    weighted = run("weighted", WEIGHTED, {"field": "label", "weight": "worth"})
    return [run("batch_norm", BATCH_NORM), run("uneven", UNEVEN), weighted]


def with_weights(examples: dict[str, list[list[Row]]]) -> dict[str, list[list[Row]]]:
    return {
        split: [[row | {"label_weight": [i % 4 / 2]} for i, row in enumerate(shard)] for shard in shards]
        for split, shards in examples.items()
    }


@pytest.fixture(scope="module")
def single(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> list[History]:
    """The histories of one process."""
    folder = tmp_path_factory.mktemp("single")
    return [train(run, str(folder / str(index))).history for index, run in enumerate(runs)]


def start(kind: str, runs: list[Run], out: Path, **environment: str) -> subprocess.Popen:
    script = Path(__file__).parents[2] / "support/train_with_strategy.py"
    return subprocess.Popen(
        [sys.executable, str(script), kind, str(out), *(run.path for run in runs)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def histories_of(process: subprocess.Popen) -> list[History]:
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


def losses(history: History) -> list[float]:
    return [epoch["loss"] for epoch in history]


def test_two_replicas_equal_a_single_process(runs: list[Run], single: list[History], tmp_path: Path) -> None:
    batch_norm, uneven, weighted = histories_of(start("mirrored", runs, tmp_path))
    # Not the metrics of eval: the gradient of a bias before batch norm is only rounding, which Adam scales to a step,
    # and the moving mean follows slowly.
    assert losses(batch_norm) == pytest.approx(losses(single[0]), rel=0, abs=1e-6)
    assert uneven == [pytest.approx(epoch, rel=0, abs=1e-6) for epoch in single[1]]
    assert weighted == [pytest.approx(epoch, rel=0, abs=1e-6) for epoch in single[2]]


@pytest.mark.runners
def test_two_workers_equal_a_single_process(runs: list[Run], single: list[History], tmp_path: Path) -> None:
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    workers = [
        start(
            "workers",
            runs[:1],
            tmp_path,
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]
    [first], [second] = (histories_of(worker) for worker in workers)
    assert first == second
    assert losses(first) == pytest.approx(losses(single[0]), rel=0, abs=1e-6)
    # The first worker wrote a model that can be loaded and evaluated.
    best = max(epoch["val_auc"] for epoch in first)
    assert evaluate(load_model(str(tmp_path / "batch_norm")), runs[0], "eval")["auc"] == pytest.approx(best)
