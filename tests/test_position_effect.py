"""`train_only` removes a planted position effect: `make test-quality`.

Clicks depend on the quality of an item and on the position at which it was shown. In train, an old ranking has shown
some items higher than others, whatever their quality. In test, positions are shuffled: they say nothing about a row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fieldpool.model.evaluation import evaluate
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.transforms.runs.run import Run
from fieldpool.transforms.spec import Spec

ITEMS, SHOWN, IMPRESSIONS = 300, 10, 6000
ITEM, POSITION = ({"item": {"type": "categorical"}}, {"position": {"type": "categorical"}})
SPECS: dict[str, dict[str, Any]] = {
    "train_only": {"fields": ITEM | POSITION, "train_only": {"position": 1}},
    "a feature": {"fields": ITEM | POSITION},
    "no position": {"fields": ITEM},
}
GAIN = 0.01


def write_log(path: Path, seed: int) -> str:
    """Writes impressions of 10 of 300 items. Those of test are in a random order, and their positions are shuffled."""
    random = np.random.default_rng(seed)
    quality, old_rank = random.normal(size=ITEMS), random.normal(size=ITEMS)
    items = np.array([random.choice(ITEMS, SHOWN, replace=False) for _ in range(IMPRESSIONS)])
    part = np.where(
        np.arange(IMPRESSIONS) % 10 < 7, "train", np.where(np.arange(IMPRESSIONS) % 10 == 7, "eval", "test")
    )
    ranked = np.argsort(-(old_rank[items] + random.normal(scale=0.5, size=items.shape)), axis=1)
    is_train = (part == "train")[:, np.newaxis]
    items = np.where(is_train, np.take_along_axis(items, ranked, axis=1), items)
    position = np.broadcast_to(np.arange(SHOWN), items.shape)
    clicked = random.random(items.shape) < 1 / (1 + np.exp(1 - quality[items] + 0.35 * position))
    shuffled = random.permuted(position, axis=1)
    columns = {
        "item": [f"i{item}" for item in items.ravel()],
        "position": np.where(is_train, position, shuffled).ravel() + 1,
        "click": clicked.ravel().astype(int),
        "part": np.repeat(part, SHOWN),
    }
    pq.write_table(pa.table(columns), path)
    return str(path)


def auc_on_test(path: str, settings: dict[str, Any], folder: Path) -> float:
    """Returns the AUC on test of a model of these fields."""
    spec = Spec.model_validate(
        {
            "label": {"field": "click"},
            "split": {"column": "part"},
            "model": {"embedding_dim": 4, "hidden_units": []},
            "train": {"epochs": 8, "batch_size": 256, "learning_rate": 0.01},
            **settings,
        }
    )
    run = Run(transform(spec, [path], str(folder / "run")).path)
    return evaluate(load_model(train(run, str(folder / "model")).folder), run, "test")["auc"]


@pytest.mark.quality
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_auc_on_shuffled_positions_is_higher_with_train_only(seed: int, tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.parquet", seed)
    found = {}
    for name, settings in SPECS.items():
        (tmp_path / name).mkdir()
        found[name] = auc_on_test(path, settings, tmp_path / name)
    print(f"\nseed {seed}, test AUC on shuffled positions: " + ", ".join(f"{k} {v:.4f}" for k, v in found.items()))
    assert found["train_only"] >= found["a feature"] + GAIN
    assert found["train_only"] > found["no position"]
