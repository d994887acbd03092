"""Vocabularies: their tokens and the order of these, for any bundles and batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fieldpool.transforms.vocabulary_counts import count_and_order


def packed(batch: tuple[list[bytes], ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the batch in the form in which the analyzer of `packed_vocabularies` gets it."""
    tokens = [token for values in batch for token in values]
    lengths = np.array([len(token) for token in tokens], np.int32)
    return np.array([b"".join(tokens)], object), lengths, np.array([len(values) for values in batch])


def vocabularies(
    batches: Sequence[tuple[list[bytes], ...]],
    folder: Path,
    *,
    fed: list[int],
    thresholds: list[tuple[str, int, int | None]],
) -> list[list[bytes]]:
    """Returns the lines of each vocabulary's file."""
    analyzer = count_and_order(fed=fed, thresholds=thresholds)
    analyzer.extract_output_ptransform.base_temp_dir = str(folder)
    arrays = [packed(batch) for batch in batches]
    for previous in folder.glob("out-*"):
        previous.unlink()
    with TestPipeline(runner="FnApiRunner") as pipeline:
        _ = (
            pipeline
            | beam.Create(arrays)
            | analyzer.make_accumulators_ptransform
            | analyzer.merge_accumulators_ptransform
            | analyzer.extract_output_ptransform
            | "Text" >> beam.FlatMap(lambda paths: [path.decode() for path in paths])
            | "Write" >> beam.io.WriteToText(str(folder / "out-paths"), shard_name_template="")
        )
    paths = (folder / "out-paths").read_text().split()
    return [Path(path).read_bytes().split(b"\n")[:-1] for path in paths]


def single_vocabulary(
    batches: list[list[bytes]], folder: Path, min_count: int = 1, top_k: int | None = None
) -> list[bytes]:
    """Returns the tokens of a vocabulary that counts one field."""
    return vocabularies([(b,) for b in batches], folder, fed=[0], thresholds=[("v", min_count, top_k)])[0]


def test_most_frequent_tokens_first_ties_in_byte_order(tmp_path: Path) -> None:
    batches = [[b"b", b"c", b"a"], [b"c", b"\xff", b"Z"]]
    assert single_vocabulary(batches, tmp_path) == [b"c", b"Z", b"a", b"b", b"\xff"]


@pytest.mark.parametrize(
    ("min_count", "top_k", "expected"),
    [
        (1, None, [b"c", b"b", b"a", b"d"]),
        (2, None, [b"c", b"b"]),
        (1, 3, [b"c", b"b", b"a"]),
        (9, None, []),
    ],
)
def test_min_count_and_top_k(tmp_path: Path, min_count: int, top_k: int | None, expected: list[bytes]) -> None:
    batches = [[b"a", b"b", b"c"], [b"c", b"b", b"c", b"d"]]
    assert single_vocabulary(batches, tmp_path, min_count, top_k) == expected


def test_fields_are_counted_together_in_a_shared_vocabulary(tmp_path: Path) -> None:
    batches = [([b"x"], [b"1", b"2"], [b"2", b"x"])]
    assert vocabularies(batches, tmp_path, fed=[0, 1, 0], thresholds=[("shared", 1, None), ("own", 1, None)]) == [
        [b"x", b"2"],
        [b"1", b"2"],
    ]


def test_tokens_are_any_bytes_except_empty_text_and_line_ends(tmp_path: Path) -> None:
    assert single_vocabulary([[b"", b"a\nb", b"a\rb", b"nul\0", b"\xff\xfe", b" "]], tmp_path) == [
        b" ",
        b"nul\0",
        b"\xff\xfe",
    ]


def test_vocabulary_without_tokens_is_an_empty_file(tmp_path: Path) -> None:
    assert single_vocabulary([[], [b""]], tmp_path) == []


def test_counts_are_shuffled_once_although_tft_merges_them_twice() -> None:
    merge = count_and_order(fed=[0], thresholds=[("v", 1, None)]).merge_accumulators_ptransform
    with TestPipeline(runner="FnApiRunner") as pipeline:
        counts = pipeline | beam.Create([], reshuffle=False) | "OfDataSet" >> merge | "OfAll" >> merge
    assert counts.producer.full_label.startswith("OfAll/AlreadyMerged")


FIELDS = 5  # Each pipeline counts this number of random examples at once, one per field.


@given(
    batches=st.lists(
        st.tuples(*[st.lists(st.binary(max_size=3), max_size=30)] * FIELDS),
        min_size=1,
        max_size=4,
    ),
    thresholds=st.tuples(*[st.tuples(st.integers(1, 3), st.none() | st.integers(1, 5))] * FIELDS),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equals_counting_in_python(
    tmp_path: Path, batches: list[tuple[list[bytes], ...]], thresholds: tuple[tuple[int, int | None], ...]
) -> None:
    def python_count(field: int, min_count: int, top_k: int | None) -> list[bytes]:
        counts = Counter(token for batch in batches for token in batch[field])
        allowed = [t for t, n in counts.items() if n >= min_count and t and b"\n" not in t and b"\r" not in t]
        return sorted(allowed, key=lambda token: (-counts[token], token))[:top_k]

    counted = vocabularies(
        batches, tmp_path, fed=list(range(FIELDS)), thresholds=[(f"v{i}", *t) for i, t in enumerate(thresholds)]
    )
    assert counted == [python_count(i, *t) for i, t in enumerate(thresholds)]
