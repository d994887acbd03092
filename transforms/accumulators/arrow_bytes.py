"""Accumulators as bytes, for a cache: Arrow IPC streams that say what they hold, in equal bytes for equal sums.

Token counts: a row for each token, ordered by token; the schema's metadata has the vocabulary and the shard.
Numbers: a row for each field, with its `Moments` and its `Histogram`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from ..sums.exact_sums import Histogram, Moments, Summaries
from ..sums.token_counts import COUNTS

# Part of the keys of a cache. Another number whenever a release counts otherwise, or writes other tables.
FORMAT = 1

# (vocabulary, hash shard) and the counts of its tokens.
ShardCounts = tuple[tuple[int, int], pa.Table]

_LISTS = pa.large_list(pa.int64())
_SUMMARIES = pa.schema(
    [
        ("number", pa.int64()),
        ("sums", _LISTS),
        ("high_squares", _LISTS),
        ("low_squares", _LISTS),
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("level", pa.int64()),
        ("bins", _LISTS),
        ("counts", _LISTS),
    ]
)


def bytes_of_counts(shard_counts: ShardCounts) -> bytes:
    """Returns the bytes of the counts of one shard, which has each token once."""
    (vocabulary, shard), counts = shard_counts
    return _encoded(counts.sort_by("token"), "token counts", {"vocabulary": vocabulary, "shard": shard})


def counts_of_bytes(encoded: bytes) -> ShardCounts:
    """Returns the counts that `bytes_of_counts` had.

    Raises:
        ValueError: the bytes are damaged, or of another format.
    """
    table = _decoded(encoded, "token counts")
    vocabulary, shard = (int(table.schema.metadata[name]) for name in (b"vocabulary", b"shard"))
    return (vocabulary, shard), table.cast(COUNTS)


def bytes_of_summaries(summaries: Summaries) -> bytes:
    """Returns the bytes of the moments and histograms of all fields."""
    moments, histograms = summaries
    columns = [
        moments.number,
        *map(_lists, moments[1:4]),
        moments.min,
        moments.max,
        [histogram.level for histogram in histograms],
        _lists(histogram.bins for histogram in histograms),
        _lists(histogram.counts for histogram in histograms),
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, _SUMMARIES, strict=True)]
    return _encoded(pa.Table.from_arrays(arrays, schema=_SUMMARIES), "numbers", {})


def summaries_of_bytes(encoded: bytes) -> Summaries:
    """Returns the moments and histograms that `bytes_of_summaries` had.

    Raises:
        ValueError: the bytes are damaged, or of another format.
    """
    table = _decoded(encoded, "numbers").combine_chunks()
    moments = Moments(
        number=table["number"].to_numpy(),
        sums=np.stack(_arrays(table["sums"])),
        high_squares=np.stack(_arrays(table["high_squares"])),
        low_squares=np.stack(_arrays(table["low_squares"])),
        min=table["min"].to_numpy(),
        max=table["max"].to_numpy(),
    )
    histograms = map(Histogram, table["level"].to_pylist(), _arrays(table["bins"]), _arrays(table["counts"]))
    return moments, list(histograms)


def _lists(arrays: Iterable[np.ndarray]) -> pa.Array:
    return pa.array(list(arrays), _LISTS)


def _arrays(lists: pa.ChunkedArray) -> list[np.ndarray]:
    return [values.values.to_numpy() for values in lists]


def _encoded(table: pa.Table, content: str, metadata: dict[str, int]) -> bytes:
    texts = {"content": f"fieldpool {content}", **{name: str(n) for name, n in {"format": FORMAT, **metadata}.items()}}
    table = table.replace_schema_metadata(texts).combine_chunks()
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _decoded(encoded: bytes, content: str) -> pa.Table:
    next_step = "Analyze with an empty cache of analyzers"
    try:
        table = pa.ipc.open_stream(encoded).read_all()
    except pa.ArrowException as error:
        raise ValueError(f"cached {content}: expected an Arrow stream, found: {error}. {next_step}") from None
    metadata = table.schema.metadata or {}
    found = [metadata.get(name, b"").decode() for name in (b"content", b"format")]
    if found != [f"fieldpool {content}", str(FORMAT)]:
        raise ValueError(f"cached {content}: expected format {FORMAT}, found {' '.join(found) or 'none'}. {next_step}")
    return table
