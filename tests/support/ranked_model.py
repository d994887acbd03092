"""A small run with users and candidates, a model with random weights, and its export with the signature `rank`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from served_model import DATA, Served, served_in

ROWS = 90
USER = {"side": "user"}

# Each kind of field on each side, and derived fields that read one side or both.
SPEC: dict[str, Any] = {
    "key": ["user", "item"],
    "carry": ["session"],
    "label": {"field": "click"},
    "split": {"column": "part"},
    "times": {"published": {"unit": "s"}},
    "vocabularies": {"items": {"num_oov_buckets": 2}},
    "fields": {
        "price": {"type": "numeric", "scale": "log1p"},
        "user": {"type": "categorical", "missing": {"token": "(none)"}, **USER},
        "item": {"type": "categorical", "vocabulary": "items", "missing": "oov"},
        "history": {
            "type": "multivalued",
            "vocabulary": "items",
            "max_len": 12,
            "keep": "last",
            "weights": "watched",
            "empty": {"token": "(none)"},
            **USER,
        },
        "genres-1": {"type": "multivalued", "column": "genres", "max_len": 3, "pooling": "max"},
        "tags": {"type": "multivalued", "vocabulary": "items", "max_len": 20},
        "liked": {"type": "multivalued", "max_len": 4, "pooling": "sqrtn", "dim": 3, **USER},
        "taste": {"type": "vector", "length": 3, **USER},
        "look": {"type": "vector"},
        "age": {"type": "numeric", **USER},
        "visits": {"type": "numeric", "scale": "log1p", **USER},
        "income": {"type": "numeric", "scale": {"quantiles": 3}, **USER},
        "hour": {"type": "categorical", "from": {"time": "clicked", "part": "hour"}, **USER},
        "user_hour": {"type": "categorical", "from": {"cross": ["user", "hour"]}, "hash_buckets": 20},
        "liked_hour": {"type": "multivalued", "from": {"cross": ["liked", "hour"]}, "max_len": 3},
        "no_income": {"type": "numeric", "from": {"missing": "income"}, "scale": "sqrt"},
        "user_item": {"type": "categorical", "from": {"cross": ["user", "item"]}, "hash_buckets": 30},
        "seen": {"type": "numeric", "from": {"match": ["item", "history"]}, "scale": "log1p"},
        "days": {"type": "numeric", "from": {"age": "published", "at": "clicked"}},
        "rate": {"type": "numeric", "from": {"ratio": ["price", "views"]}, "scale": "none"},
        "position": {"type": "categorical"},
    },
    "train_only": {"position": 1},
    "model": {"hidden_units": [24, 8], "embedding_dim": 8},
}


def click_row(i: int) -> dict[str, Any]:
    """Returns raw row i. Some values are missing, some lists are empty or too long, late rows have unseen tokens."""
    return {
        "click": (i // 2) % 2,
        "part": ("train", "train", "train", "eval", "test")[i % 5],
        "session": f"s{i // 4}",
        "user": f"u{i % 7}",
        "item": f"i{i * i % 13}" if i < 70 else f"new{i}",
        "history": [f"i{(i + k) % 17}" for k in range(3 * i % 19)],
        "watched": [0.1 * (k + i % 3) for k in range(3 * i % 19)],
        "genres": [f"g{(i + k) % 4}" for k in range(i % 5)],
        "tags": [f"i{(i * k) % 23}" for k in range(5 * i % 23)],
        "liked": [f"g{(i * k) % 5}" for k in range(i % 6)],
        "taste": None if i % 12 == 0 else [i / 7, -0.3, i % 5],
        "look": [0.1 * i, i % 3 - 1.0],
        "age": None if i % 13 == 0 else i * 29 % 70 / 3,
        "visits": None if i % 8 == 0 else float(i * i % 211),
        "income": None if i % 17 == 0 else float(i * 31 % 50),
        "price": None if i % 11 == 0 else i * 37 % 90 / 7,
        "views": None if i % 19 == 0 else float(i % 4),
        "clicked": None if i % 23 == 0 else 1_700_000_000 + 5_000 * i,
        "published": 1_600_000_000 + 77_777 * i,
        "position": i % 6,
    }


def make_ranked(folder: Path) -> None:
    """Transforms rows, and exports a model with random weights, in `folder`."""
    from fieldpool.model.export import export_model
    from fieldpool.model.from_spec import deepfm
    from fieldpool.model.run import Run
    from fieldpool.pipeline.runs.run_directory import transform
    from fieldpool.transforms.spec import Spec

    pq.write_table(pa.Table.from_pylist([click_row(i) for i in range(ROWS)]), folder / DATA)
    transform(Spec.model_validate(SPEC), [str(folder / DATA)], str(folder / "run"))
    run, rng = Run(str(folder / "run")), np.random.default_rng(0)
    model = deepfm(run.spec, run.vocabulary_sizes)
    for variable in model.variables:
        variable.assign(rng.normal(scale=0.2, size=variable.shape))
    (folder / "model").mkdir()
    model.save(folder / "model" / "model.keras")
    export_model(run, str(folder / "model"))


def ranked_in(folder: Path) -> Served:
    """Returns what `make_ranked` has made in a folder."""
    return served_in(folder, [click_row(i) for i in range(ROWS)])
