"""The Beam side of `packed_vocabularies`: batches of tokens in, ordered vocabulary files out.

Counts are Arrow tables with one row per token, keyed by (vocabulary, hash shard). They are summed within a bundle, then
across bundles, filtered by `min_count` and `top_k`, and sorted in the order of the ids. TFT's cache holds the sums of
each data set, before they are filtered.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.beam.experimental import PTransformAnalyzer

from .accumulators.arrow_bytes import FORMAT, ShardCounts, bytes_of_counts, counts_of_bytes
from .accumulators.cacheable import ArrowCoder, cacheable_analyzer
from .sums.token_counts import (
    COUNTS,
    candidates,
    count_lines,
    most_frequent_first,
    summed,
    token_counts,
    vocabulary_lines,
    with_counts,
)

METRICS_NAMESPACE = "fieldpool"

# Hash shards of each vocabulary's counts: a worker holds one shard before thresholds are applied.
COUNT_SHARDS = 16

# Name, min_count and top_k of one vocabulary.
Thresholds = tuple[str, int, int | None]


def count_and_order(
    *, fed: Sequence[int], thresholds: Sequence[Thresholds], counts_folder: str | None = None
) -> tft.experimental.CacheablePTransformAnalyzer:
    """Returns the analyzer: batches of tokens → one array of the paths of the vocabularies, bytes `[vocabularies]`.

    A batch has three arrays: the tokens of all inputs, concatenated to one text (bytes `[1]`); the length of each token
    in bytes (int32 `[tokens]`); the number of tokens of each input (int64 `[inputs]`). A file has one token per line,
    in the order of the ids.

    Args:
        fed: For each input the index of the vocabulary that counts it.
        thresholds: Name, min_count and top_k of each vocabulary.
        counts_folder: The folder for the counts of each vocabulary, a file with its name and one number per line, in
            the order of the tokens. Default None: no counts are written.
    """
    return cacheable_analyzer(
        accumulate="CountBundles" >> beam.ParDo(_CountBundle(list(fed))),
        merge=_SumShards(),
        extract=_OrderAndWrite(thresholds, counts_folder),
        coder=ArrowCoder(encode=bytes_of_counts, decode=counts_of_bytes),
        key=f"format {FORMAT}, {COUNT_SHARDS} shards, fed {list(fed)}",
    )


class _SumShards(beam.PTransform):
    """((vocabulary, shard), counts) → the same, each shard once."""

    def expand(self, counts: beam.PCollection) -> beam.PCollection:
        # Not a Combine: a worker would sum the shards of its bundle before the shuffle, where each token is there only
        # once anyway, and would hold all of them for that.
        return counts | "GatherShard" >> beam.GroupByKey() | "SumShard" >> beam.MapTuple(_sum_shard)


def _sum_shard(shard: tuple[int, int], parts: Iterable[pa.Table]) -> ShardCounts:
    tables: list[pa.Table] = []
    for part in parts:
        tables = with_counts(tables, part)
    return shard, summed(tables) if len(tables) > 1 else tables[0]


class _OrderAndWrite(PTransformAnalyzer):
    """((vocabulary, shard), all counts) → a file for each vocabulary; one array of their paths."""

    def __init__(self, thresholds: Sequence[Thresholds], counts_folder: str | None) -> None:
        super().__init__()
        self._thresholds, self._counts_folder = list(thresholds), counts_folder

    def expand(self, counts: beam.PCollection) -> beam.PCollection:
        folder = os.path.join(self.base_temp_dir, f"vocabularies-{uuid.uuid4().hex}")
        kept = counts | "ApplyThresholds" >> beam.ParDo(_ApplyThresholds(self._thresholds))
        # A vocabulary without tokens also gets a file.
        no_tokens = counts.pipeline | "NoTokens" >> beam.Create(
            [(index, COUNTS.empty_table()) for index in range(len(self._thresholds))], reshuffle=False
        )
        return (
            (kept, no_tokens)
            | "WithNoTokens" >> beam.Flatten()
            | "GatherVocabulary" >> beam.GroupByKey()
            | "WriteInOrder" >> beam.ParDo(_WriteInOrder(folder, self._thresholds, self._counts_folder))
            | "AllPaths" >> beam.combiners.ToList()
            | "PathsInOrder" >> beam.Map(lambda paths: np.array([path for _, path in sorted(paths)], dtype=object))
        )


def _tokens(text: bytes, lengths: np.ndarray) -> pa.LargeBinaryArray:
    """Returns the tokens of `text`, which have the given lengths, without a copy."""
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return pa.Array.from_buffers(pa.large_binary(), len(lengths), [None, pa.py_buffer(ends), pa.py_buffer(text)])


class _CountBundle(beam.DoFn):
    """Batches → ((vocabulary, shard), counts), once per bundle."""

    def __init__(self, fed: list[int]) -> None:
        self._fed = fed

    def start_bundle(self) -> None:
        self._counts: dict[int, list[pa.Table]] = {}

    def process(self, batch: tuple[np.ndarray, ...]) -> None:
        text, lengths, sizes = batch
        tokens = _tokens(text[0], lengths)
        starts = np.cumsum(sizes) - sizes
        for vocabulary, start, size in zip(self._fed, starts.tolist(), sizes.tolist(), strict=True):
            self._add(vocabulary, token_counts(tokens.slice(start, size)))

    def _add(self, vocabulary: int, counts: pa.Table) -> None:
        self._counts[vocabulary] = with_counts(self._counts.get(vocabulary, []), counts)

    def finish_bundle(self) -> Iterator[Any]:
        for vocabulary, tables in self._counts.items():
            for shard, counts in _by_hash(summed(tables)):
                yield beam.transforms.window.GlobalWindows.windowed_value(((vocabulary, shard), counts))


def _by_hash(counts: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Yields the counts of each hash shard; a token is in the same shard on every worker."""
    if counts.num_rows == 0:
        return
    tokens = counts["token"].to_numpy(zero_copy_only=False)
    shards = tf.strings.to_hash_bucket_fast(tf.constant(tokens, tf.string), COUNT_SHARDS).numpy()
    order = np.argsort(shards, kind="stable")
    bounds = np.searchsorted(shards[order], np.arange(COUNT_SHARDS + 1))
    for shard in np.unique(shards):
        yield int(shard), counts.take(order[bounds[shard] : bounds[shard + 1]])


class _ApplyThresholds(beam.DoFn):
    """((vocabulary, shard), counts) → (vocabulary, counts of the tokens that may be in it)."""

    def __init__(self, thresholds: list[Thresholds]) -> None:
        self._thresholds = thresholds

    def process(self, element: ShardCounts) -> Iterator[tuple[int, pa.Table]]:
        (vocabulary, _), counts = element
        name, min_count, top_k = self._thresholds[vocabulary]
        beam.metrics.Metrics.counter(METRICS_NAMESPACE, f"distinct/{name}").inc(counts.num_rows)
        kept = candidates(counts, min_count)
        if top_k is not None and kept.num_rows > top_k:
            kept = most_frequent_first(kept, top_k)
        yield vocabulary, kept


class _WriteInOrder(beam.DoFn):
    """(vocabulary, its counts) → (vocabulary, the path of its file)."""

    def __init__(self, folder: str, thresholds: list[Thresholds], counts_folder: str | None) -> None:
        self._folder, self._counts_folder = folder, counts_folder
        self._thresholds = thresholds

    def process(self, element: tuple[int, Iterable[pa.Table]]) -> Iterator[tuple[int, bytes]]:
        vocabulary, tables = element
        name, _, top_k = self._thresholds[vocabulary]
        ordered = most_frequent_first(pa.concat_tables(tables), top_k)
        # A new folder for each attempt, so that a retried or duplicate bundle never writes to the same file.
        folder = os.path.join(self._folder, uuid.uuid4().hex)
        tf.io.gfile.makedirs(folder)
        path = os.path.join(folder, name)
        _write(vocabulary_lines(ordered), path)
        if self._counts_folder is not None:
            tf.io.gfile.makedirs(self._counts_folder)
            # A retried bundle writes the same bytes.
            _write(count_lines(ordered), os.path.join(self._counts_folder, name))
        yield vocabulary, path.encode()


def _write(lines: Iterable[bytes], path: str) -> None:
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(b"")  # Creates the file, also if there are no tokens.
        for block in lines:
            file.write(block)
