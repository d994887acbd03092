"""Counts can be summed in any order, and survive a round trip through a file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from fieldpool.pipeline.counts.counters import Counted, Counts, SumCounts, WriteCounts, read_counts
from fieldpool.pipeline.counts.row_counts import count_clipped, count_ids, count_rows
from fieldpool.pipeline.counts.stats import run_stats
from fieldpool.pipeline.rows.checks import Checked
from fieldpool.pipeline.tfrecords.sink import Examples
from fieldpool.transforms.spec import Spec

KEYS = st.builds(Counted, st.sampled_from(["values", "oov"]), st.sampled_from(["a", "b"]), st.just("train"))
COUNTS = st.builds(
    Counts,
    st.dictionaries(KEYS, st.integers(0, 2**62)).map(Counter),
    st.dictionaries(KEYS, st.floats(-1e9, 1e9)),
    st.dictionaries(KEYS, st.floats(-1e9, 1e9)),
)


@given(st.lists(COUNTS, max_size=4))
def test_counts_can_be_summed_in_any_order(parts: list[Counts]) -> None:
    combine = SumCounts()
    total = combine.merge_accumulators(parts)
    in_two = combine.merge_accumulators(
        [combine.merge_accumulators(parts[::2]), combine.merge_accumulators(parts[1::2])]
    )
    assert in_two == total
    for key in {key for part in parts for key in part.sums}:
        assert total.sums[key] == sum(part.sums[key] for part in parts)
    for key in {key for part in parts for key in part.lowest}:
        assert total.lowest[key] == min(part.lowest[key] for part in parts if key in part.lowest)
    for key in {key for part in parts for key in part.highest}:
        assert total.highest[key] == max(part.highest[key] for part in parts if key in part.highest)


def test_counts_survive_a_round_trip_through_a_file(tmp_path: Path) -> None:
    key = Counted("number", "age", "train")
    counts = Counts(Counter({Counted("length", "tags", "eval", 3): 2**62}), {key: -1.5}, {key: 0.1})
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | beam.Create([counts, Counts(highest={key: 7.0})]) | WriteCounts(str(tmp_path / "counts.json"))
    counts.highest[key] = 7.0
    assert read_counts(str(tmp_path / "counts.json")) == counts


SPEC = Spec.model_validate(
    {
        "label": {"field": "label"},
        "split": {"column": "s"},
        "fields": {
            "user": {"type": "categorical", "num_oov_buckets": 2},
            "tags": {"type": "multivalued", "max_len": 2},
            "age": {"type": "numeric"},
        },
    }
)


def test_stats_of_three_rows() -> None:
    rows = pa.RecordBatch.from_pydict(
        {
            "label": pa.array([1, 0, 1], pa.float32()),
            "user": pa.array([b"u", None, b"v"], pa.large_binary()),
            "tags": pa.array([[b"a", b"", b"b", b"c"], [], [b"a"]], pa.large_list(pa.large_binary())),
            "age": pa.array([10, 0, None], pa.float32()),
        }
    )
    checked = Checked("rows", 4, rows, np.array([1, 2, 4]), np.array([0, 0, 1], np.int8), rejected=[])
    counts = count_rows(checked, SPEC)
    encoded = pa.RecordBatch.from_pydict({"user": [[3], [0], [2]], "tags": [[2, 1], [0, 0], [1, 0]]})
    counts.add(count_ids(Examples(encoded, checked.splits), SPEC))
    stats = run_stats(counts, SPEC, {}).as_json()

    def by_split(train: int, evaluation: int) -> dict[str, int]:
        return {"train": train, "eval": evaluation, "test": 0}

    assert stats["fields"]["user"] == {
        "type": "categorical",
        "vocabulary": "user",
        "missing": by_split(1, 0),
        "values": by_split(1, 1),
        "values_seen": by_split(1, 1),
        "oov": by_split(0, 1),
    }
    assert stats["fields"]["tags"] == {
        "type": "multivalued",
        "vocabulary": "tags",
        "empty": by_split(1, 0),
        "values": by_split(3, 1),
        "values_seen": by_split(2, 1),
        "oov": by_split(1, 1),
        "max_len": 2,
        "values_truncated": by_split(1, 0),
        "rows_truncated": by_split(1, 0),
        "lengths": {"train": {"0": 1, "3": 1}, "eval": {"1": 1}, "test": {}},
    }
    assert stats["fields"]["age"] == {
        "type": "numeric",
        "missing": by_split(0, 1),
        "values": by_split(2, 0),
        "numbers": {"train": {"mean": 5.0, "std": 5.0, "min": 0.0, "max": 10.0, "zeros": 1}},
        "clipped": by_split(0, 0),
    }
    assert (stats["read"], stats["train"], stats["eval"], stats["positives"]) == (4, 2, 1, by_split(1, 1))


def test_numbers_at_the_limit_are_counted_by_split() -> None:
    fields = {
        "a": {"type": "numeric", "clip": 0.1},
        "b": {"type": "numeric"},
        "c": {"type": "numeric", "scale": "none"},
    }
    spec = Spec.model_validate(SPEC.model_dump(exclude_unset=True) | {"fields": fields})
    numbers = np.float32([0.1, -0.1, 0.05, 0.1])
    encoded = pa.RecordBatch.from_pydict({name: [[x] for x in numbers] for name in fields})
    counts = count_clipped(Examples(encoded, np.array([0, 0, 0, 2], np.int8)), spec)
    found = {name: field.clipped for name, field in run_stats(counts, spec, {}).fields.items()}
    assert found == {
        "a": {"train": 2, "eval": 0, "test": 1},
        "b": {"train": 0, "eval": 0, "test": 0},
        "c": None,
    }
