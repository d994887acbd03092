"""The contents of a tiny run with learnable clicks, for `handmade_run.write_run`."""

from __future__ import annotations

import random
from typing import Any

from handmade_run import Row

from fieldpool.model.run import Run
from fieldpool.transforms.spec import Train

SPEC: dict[str, Any] = {
    "label": {"field": "label"},
    "split": {"column": "split"},
    "vocabularies": {"items": {"dim": 3}},
    "fields": {
        "item": {"type": "categorical", "vocabulary": "items"},
        "seen": {"type": "multivalued", "vocabulary": "items", "max_len": 4},
        "age": {"type": "numeric"},
    },
    "model": {"embedding_dim": 4, "hidden_units": [8], "dropout": 0.1},
    "train": {"batch_size": 32, "epochs": 3, "learning_rate": 0.02, "shuffle_buffer": 100},
}
TOKENS = {"items": [b"a", b"b", b"c", b"d"]}  # Ids 2 to 5.


def rows(count: int, seed: int) -> list[Row]:
    """Returns rows in which item 2, and items that were seen before, are mostly clicked."""
    chance = random.Random(seed)
    result: list[Row] = []
    for _ in range(count):
        item, seen = chance.randint(2, 5), chance.sample(range(2, 6), chance.randint(0, 3))
        clicked = chance.random() < (0.95 if item == 2 or item in seen else 0.05)
        result.append(
            {
                "label": [float(clicked)],
                "item": [item],
                "seen": seen + [0] * (4 - len(seen)),
                "age": [chance.gauss(0, 1)],
            }
        )
    return result


EXAMPLES = {"train": [rows(300, 0), rows(300, 1)], "eval": [rows(200, 2)]}


def settings_of(run: Run, **changes: Any) -> Train:
    """Returns the run's training settings with changes."""
    return run.spec.train.model_copy(update=changes)
