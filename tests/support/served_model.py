"""A small run with a field of every kind, a model trained on it, and its export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 120
DATA = "rows.parquet"

SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "click"},
    "split": {"column": "part"},
    "max_rejected": 2,
    "vocabularies": {"items": {"num_oov_buckets": 2}},
    "fields": {
        "user": {"type": "categorical", "missing": {"token": "(none)"}},
        "item": {"type": "categorical", "vocabulary": "items", "missing": "oov"},
        "history": {"type": "multivalued", "vocabulary": "items", "max_len": 3, "keep": "last", "weights": "watched"},
        "genres-1": {"type": "multivalued", "column": "genres", "separator": "|", "max_len": "auto", "pooling": "max"},
        "tags": {"type": "multivalued", "max_len": 2, "empty": {"token": "untagged"}, "pooling": "sqrtn"},
        "age": {"type": "numeric"},
        "price": {"type": "numeric", "scale": {"quantiles": 3}},
    },
    "model": {"hidden_units": [4], "embedding_dim": 4},
    "train": {"epochs": 1, "batch_size": 16},
}


def click_row(i: int) -> dict[str, Any]:
    """Returns raw row i. Some values are missing, some lists are empty or too long, late rows have unseen tokens."""
    return {
        "id": f"r{i}",
        "click": (i // 2) % 2,
        "part": ("train", "train", "train", "eval", "test")[i % 5],
        "user": None if i % 7 == 0 else f"u{i % 5}",
        "item": None if i % 11 == 0 else f"i{i * i % 13}",
        "history": [f"i{(i + k) % 17}" for k in range(i % 6)],
        "watched": [0.5 * (k + i % 3) for k in range(i % 6)],
        "genres": "|".join(f"g{(i + k) % 4}" for k in range(i % 4)),
        "tags": [f"t{(i * k) % 9}" if i < 100 else f"new{i}" for k in range(i % 3)],
        "age": None if i % 13 == 0 else float(i * 29 % 70),
        "price": None if i % 17 == 0 else float(i * 31 % 50),
    }


@dataclass(frozen=True)
class Served:
    """A run, the folder of its training, the export in that folder, and the raw rows."""

    rows: list[dict[str, Any]]
    data: Path
    run: Path
    model: Path
    export: Path


def make_served(folder: Path, spec: dict[str, Any], rows: list[dict[str, Any]], *, trained: bool = True) -> Served:
    """Transforms rows, trains a model and exports it, in `folder`.

    If not `trained`, the model has its initial weights, which saves seconds.
    """
    from fieldpool.model.export import export_model
    from fieldpool.model.from_spec import deepfm
    from fieldpool.model.run import Run
    from fieldpool.model.training.train import train
    from fieldpool.pipeline.runs.run_directory import transform
    from fieldpool.transforms.spec import Spec

    data = folder / DATA
    pq.write_table(pa.Table.from_pylist(rows), data)
    transform(Spec.model_validate(spec), [str(data)], str(folder / "run"))
    run = Run(str(folder / "run"))
    if trained:
        train(run, str(folder / "model"))
    else:
        (folder / "model").mkdir()
        deepfm(run.spec, run.vocabulary_sizes).save(folder / "model" / "model.keras")
    export_model(run, str(folder / "model"))
    return served_in(folder, rows)


def served_in(folder: Path, rows: list[dict[str, Any]]) -> Served:
    """Returns what `make_served` has made in a folder."""
    return Served(rows, folder / DATA, folder / "run", folder / "model", folder / "model" / "serving")


def expected_probabilities(served: Served) -> dict[str, float]:
    """Returns by key the Keras model's probabilities of the run's examples."""
    import tensorflow as tf

    from fieldpool.model.evaluation import score, scorer
    from fieldpool.model.examples import read_examples
    from fieldpool.model.run import Run
    from fieldpool.model.training.folder import load_model

    run, model = Run(str(served.run)), load_model(str(served.model))
    found: dict[str, float] = {}
    for split in ("train", "eval", "test"):
        dataset = read_examples(run, split, batch_size=32)
        with_keys = read_examples(run, split, batch_size=32, with_key=True)
        keys = [key.decode() for *_, batch in with_keys for key in batch.numpy()]
        logits = score(scorer(model, dataset.element_spec[0]), dataset).logits
        found.update(zip(keys, tf.sigmoid(logits).numpy().tolist(), strict=True))
    return found
