"""Shares of values are over the values that the model sees: after truncation, with the tokens of missing values."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_model import SPEC as PLAIN_SPEC
from served_model import Served

from fieldpool.model.run import Run
from fieldpool.pipeline.counts.row_counts import count_ids, count_rows
from fieldpool.pipeline.counts.stats import run_stats
from fieldpool.pipeline.counts.tfx_statistics import tfx_statistics
from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.terminal.tables import stats_tables
from fieldpool.pipeline.tfrecords.sink import Examples
from fieldpool.transforms.preprocessing import raw_feature_spec
from fieldpool.transforms.runs.run_stats import FieldStats, RunStats
from fieldpool.transforms.spec import SPLITS, Spec

Row = dict[str, Any]

FIELDS = Spec.model_validate(PLAIN_SPEC).fields
TOKENS = st.sampled_from(["i1", "i2", "t0", "t1", "u0", "u1", "g0", "g1", "new1", "new2", "(none)", "untagged"])
LISTS = st.lists(TOKENS, max_size=8)
RAW_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.just("r"),
            "click": st.integers(0, 1),
            "part": st.sampled_from(SPLITS),
            "user": st.none() | TOKENS,
            "item": st.none() | TOKENS,
            "history": LISTS,
            "genres": LISTS.map("|".join),
            "tags": LISTS,
            "age": st.just(1.0),
            "price": st.just(1.0),
        }
    ).map(lambda row: row | {"watched": [1.0] * len(row["history"])}),
    min_size=1,
    max_size=12,
)
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "part", "user", "item", "genres")),
        *((name, pa.list_(pa.string())) for name in ("history", "tags")),
        ("watched", pa.list_(pa.float64())),
        ("click", pa.int64()),
        *((name, pa.float64()) for name in ("age", "price")),
    ]
)


@cache
def transform_layer(run: str) -> Any:
    return tft.TFTransformOutput(f"{run}/transform").transform_features_layer()


def stats_of(run: Run, rows: list[Row]) -> RunStats:
    """Returns the statistics of rows that get the run's transform."""
    batch = SourceBatch("rows", np.arange(len(rows)), pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
    checked = check_rows(batch, run.spec)
    inputs: dict[str, Any] = {}
    for name, feature in raw_feature_spec(run.spec).items():
        values = checked.rows[name].to_pylist()
        if isinstance(feature, tf.io.FixedLenFeature):
            inputs[name] = tf.constant([b"" if value is None else value for value in values], feature.dtype)
        else:
            inputs[name] = tf.ragged.constant(values, dtype=feature.dtype, ragged_rank=1, row_splits_dtype=tf.int64)
    ids = {
        name: tensor.numpy().reshape(len(rows), -1).tolist()
        for name, tensor in transform_layer(run.path)(inputs).items()
    }
    counts = count_rows(checked, run.spec)
    counts.add(count_ids(Examples(pa.RecordBatch.from_pydict(ids), checked.splits), run.spec))
    return run_stats(counts, run.spec, run.stats.vocabularies)


def seen_tokens(name: str, row: Row) -> list[str | None]:
    """Returns the tokens of a field that the model sees in a raw row; None is a missing value with `missing: oov`."""
    if name == "user":
        return [row["user"] or "(none)"]
    if name == "item":
        return [row["item"]]
    if name == "history":
        return list(row["history"][-3:])
    if name == "genres-1":
        return [genre for genre in row["genres"].split("|") if genre][:3]
    return row["tags"][:2] or ["untagged"]


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(rows=RAW_ROWS)
def test_oov_share_is_over_the_values_that_the_model_sees(served: Served, rows: list[Row]) -> None:
    run = Run(str(served.run))
    stats = stats_of(run, rows)
    for split in SPLITS:
        of_split = [row for row in rows if row["part"] == split]
        for name in ("user", "item", "history", "genres-1", "tags"):
            tokens = [token and token.encode() for row in of_split for token in seen_tokens(name, row)]
            known = set(run.tokens(run.spec.vocabulary_of(name)))
            seen = stats.fields[name].values_seen
            assert seen is not None
            assert seen[split] == len(tokens)
            unknown = sum(token not in known for token in tokens)
            assert stats.fields[name].oov_share(split) == (unknown / len(tokens) if tokens else None)


def test_shares_of_a_run_are_those_of_its_examples(served: Served) -> None:
    run = Run(str(served.run))
    for split in SPLITS:
        records = [r for path in run.shards(split) for r in tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator()]
        examples = [tf.train.Example.FromString(record).features.feature for record in records]
        for name, field in run.spec.fields.items():
            if field.has_vocabulary:
                ids = np.concatenate([example[name].int64_list.value for example in examples])
                oov = np.mean(run.spec.vocabulary_settings_of(name).is_oov(ids[ids > 0]))
                assert run.stats.fields[name].oov_share(split) == oov


def field_stats(**counts: int) -> FieldStats:
    by_split = {name: {"train": 0, "eval": number, "test": 0} for name, number in counts.items()}
    return FieldStats.model_validate({"type": "multivalued", "vocabulary": "f", **by_split})


@pytest.mark.parametrize(
    ("counts", "share"),
    [
        ({"values": 1000, "values_truncated": 441, "values_seen": 559, "oov": 519}, 519 / 559),
        ({"values": 1, "missing": 3, "values_seen": 4, "oov": 3}, 3 / 4),  # `missing: oov`; was 300 %.
        ({"values": 0, "empty": 2, "values_seen": 2, "oov": 1}, 1 / 2),  # `empty: {token: X}`.
        ({"values": 0, "values_seen": 0, "oov": 0}, None),
        ({"values": 4, "oov": 3}, None),  # Counts of an earlier version.
    ],
    ids=["truncated", "missing", "empty", "no values", "unknown"],
)
def test_oov_share(counts: dict[str, int], share: float | None) -> None:
    assert field_stats(**counts).oov_share("eval") == share


def test_oov_share_of_several_splits() -> None:
    stats = FieldStats.model_validate(
        {
            "type": "categorical",
            "values": {"train": 9, "eval": 9, "test": 9},
            "values_seen": {"train": 6, "eval": 2, "test": 2},
            "oov": {"train": 0, "eval": 1, "test": 2},
        }
    )
    assert (stats.oov_share("eval", "test"), stats.oov_share(*SPLITS)) == (3 / 4, 3 / 10)


def test_tfx_statistics_and_table_have_the_same_share(served: Served) -> None:
    stats = Run(str(served.run)).stats
    share = stats.fields["item"].oov_share("eval")
    assert share is not None
    (dataset,) = tfx_statistics(stats)["eval"].datasets
    (item,) = [feature for feature in dataset.features if feature.path.step[0] == "item"]
    assert item.custom_stats[0].num == share
    _, fields = stats_tables(stats)
    column = [column.header for column in fields.columns].index("OOV eval")
    assert list(fields.columns[column].cells)[1] == f"{100 * share:.1f} %"
