"""Duplicate keys: the number of accepted rows minus that of distinct keys, whatever the batches and their order."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.counts.counters import Counts, SumCounts
from fieldpool.pipeline.counts.duplicate_keys import CountDuplicateKeys, _count_duplicates, keys_by_shard
from fieldpool.pipeline.jobs.job import new_pipeline, run_pipeline
from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.pipeline.rows.checks import Checked

# Texts with the characters that separate the parts of a key.
PARTS = st.binary(min_size=1, max_size=2) | st.sampled_from([b":", b"1:", b"::", b"1"])


def checked(keys: list[Any]) -> Checked:
    """Returns rows with keys: texts, or tuples of texts."""
    parts = [key if isinstance(key, tuple) else (key,) for key in keys]
    columns = {
        name: pa.array(column, pa.large_binary()) for name, column in zip("ab", zip(*parts, strict=True), strict=False)
    }
    rows = pa.RecordBatch.from_pydict(columns) if keys else pa.RecordBatch.from_pylist([])
    return Checked("a.csv", len(keys), rows, np.arange(len(keys)), np.zeros(len(keys), np.int8), [])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(PARTS, max_size=20), max_size=5) | st.lists(st.lists(st.tuples(PARTS, PARTS), max_size=20)))
def test_count_is_rows_minus_distinct_keys(batches: list[list[Any]]) -> None:
    by_shard: dict[int, list[pa.Array]] = {}
    for keys in batches:
        rows = checked(keys)
        for shard, found in keys_by_shard(rows, rows.rows.schema.names):
            by_shard.setdefault(shard, []).append(found)
    total = Counts()
    for pair in by_shard.items():
        total.add(_count_duplicates(pair))
    keys = [key for batch in batches for key in batch]
    assert total.of("duplicate_keys") == len(keys) - len(set(keys))


def test_keys_of_different_batches_are_compared_in_a_job() -> None:
    def is_three(found: list[Counts]) -> None:
        assert [counts.of("duplicate_keys") for counts in found] == [3]

    pipeline = new_pipeline(beam_options())
    batches = [checked([b"a", b"b", b"a"]), checked([]), checked([b"c", b"a", b"b"])]
    counts = pipeline | beam.Create(batches, reshuffle=False) | CountDuplicateKeys(["a"])
    assert_that(counts | beam.CombineGlobally(SumCounts()), is_three)
    run_pipeline(pipeline)
