"""The tasks of the training benchmark: click rows of the shape of `pipelines/rows.py`, and MovieLens-100K."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from fieldpool.model.examples import read_examples
from fieldpool.model.run import Run
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.transforms.spec import Spec

from ..pipelines import rows as click_rows
from .task import Field, Rows, Task

EXAMPLES = Path(__file__).parents[2] / "examples"
BATCH = 4096
IDS = 162_000
MODEL = {"embedding_dim": 16, "hidden_units": [256, 128], "dropout": 0.0, "l2_embedding": 0.0}


def click_task(ids: int, steps: int, seed: int = 0) -> Task:
    """Returns `steps` batches of rows: 8 single-valued fields, 4 multi-valued ones, `ids` ids in total.

    No dropout and no L2, because not every system has them. Labels depend on all fields, so that systems can learn.
    """
    rng = np.random.default_rng(seed)
    n = steps * BATCH
    distinct = [*click_rows.SINGLE_TOKENS, *(tokens for tokens, _ in click_rows.MULTI_TOKENS)]
    tables: dict[str, int] = {}
    fields: dict[str, Field] = {}
    features: dict[str, np.ndarray] = {}
    logit = np.full(n, -1.2)
    for i, tokens in enumerate(distinct):
        multi = i - click_rows.SINGLE
        name = f"single{i}" if multi < 0 else f"multi{multi}"
        rows = max(4, round(tokens * ids / sum(distinct)))
        max_len = 0 if multi < 0 else click_rows.MAX_LENS[name]
        # The frequency of an id is roughly proportional to 1 / rank, as in `click_rows.tokens`.
        values = np.floor((rows - 1) ** rng.random((n, max(1, max_len)))).astype(np.int32)
        if max_len:
            lengths = rng.poisson(click_rows.MULTI_TOKENS[multi][1], n)
            values[np.arange(max_len) >= lengths[:, np.newaxis]] = 0
        truth = rng.normal(0, 0.5, rows)
        truth[0] = 0
        logit += truth[values].sum(1) / np.maximum((values != 0).sum(1), 1)
        tables[name], fields[name] = rows, Field(name, max_len)
        features[name] = values if max_len else values[:, 0]
    label = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    return Task(
        tables=tables,
        fields=fields,
        numeric=[],
        batch_size=BATCH,
        dim=16,
        hidden_units=[256, 128],
        dropout=0.0,
        l2=0.0,
        learning_rate=1e-3,
        splits={"train": (features, label)},
    )


def click_run(folder: Path, rows: int) -> Path:
    """Returns a run of `rows` rows of `pipelines/rows.py`, without their numbers; creates it if it does not exist."""
    run = folder / f"train-run-{rows}"
    if not (run / "DONE").exists():
        data = click_rows.rows_file(folder, rows)
        columns = [name for name in click_rows.columns_of(str(data)) if not name.startswith("number")]
        spec = {**click_rows.spec(columns), "model": MODEL, "train": {"batch_size": BATCH}}
        transform(Spec.model_validate(spec), [str(data)], str(run))
    return run


def movielens_task(data: Path, folder: Path) -> Task:
    """Returns MovieLens-100K with the features and hyper-parameters of `examples/movielens.yaml`."""
    path = folder / "movielens-run"
    if not (path / "DONE").exists():
        spec = Spec.model_validate(yaml.safe_load((EXAMPLES / "movielens.yaml").read_text()))
        transform(spec, [str(data / "ml100k/ratings.parquet")], str(path))
    run = Run(str(path))
    spec = run.spec
    fields = {
        name: Field(spec.table_of(name), field.shape[0] if field.is_list else 0)
        for name, field in spec.fields.items()
        if field.is_embedded
    }
    return Task(
        tables={name: table.rows for name, table in spec.embedding_tables(run.vocabulary_sizes).items()},
        fields=fields,
        numeric=[name for name in spec.fields if name not in fields],
        batch_size=spec.train.batch_size,
        dim=spec.model.embedding_dim,
        hidden_units=spec.model.hidden_units,
        dropout=spec.model.dropout,
        l2=spec.model.l2_embedding,
        learning_rate=spec.train.learning_rate,
        splits={split: rows_of(run, split) for split in ("train", "eval", "test")},
    )


def rows_of(run: Run, split: str) -> Rows:
    """Returns all rows of a split."""
    batches = [(x, y.numpy()) for x, y in read_examples(run, split, batch_size=BATCH)]
    features = {}
    for name, tensor in batches[0][0].items():
        array = np.concatenate([x[name].numpy() for x, _ in batches])
        features[name] = array.astype(np.float32 if tensor.dtype.is_floating else np.int32)
    return features, np.concatenate([y for _, y in batches])
