"""Counts rows whose key another row has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrow_lists import offsets
from ..kernels.fingerprints import fingerprint64
from ..rows.checks import Checked
from .counters import Counted, Counts

# A worker holds the keys of one shard, and each batch of rows becomes at most this number of elements.
_SHARDS = 256


class CountDuplicateKeys(beam.PTransform):
    """Checked rows with keys → Counts with `duplicate_keys`: the number of accepted rows minus that of distinct keys.

    The count is exact. Keys are grouped by their hash as arrays, which is a hundred times fewer elements than rows.

    Args:
        features: The features of the key: `Spec.key_columns`.
    """

    def __init__(self, features: Iterable[str]) -> None:
        super().__init__()
        self._features = list(features)

    def expand(self, checked: beam.PCollection) -> beam.PCollection:
        """Returns the Counts of each shard."""
        by_shard = (
            checked | "KeysByHash" >> beam.FlatMap(keys_by_shard, self._features) | "GroupKeys" >> beam.GroupByKey()
        )
        return by_shard | "CountShard" >> beam.Map(_count_duplicates)


class DuplicateKeys:
    """Counts the duplicate keys of the rows of this process, in memory, as CountDuplicateKeys does."""

    def __init__(self) -> None:
        self._keys: dict[int, list[pa.Array]] = {}

    def add(self, by_shard: Iterable[tuple[int, pa.Array]]) -> None:
        """Adds the keys of a batch, from `keys_by_shard`."""
        for shard, keys in by_shard:
            self._keys.setdefault(shard, []).append(keys)

    def counts(self) -> Counts:
        """Returns the Counts of all keys."""
        total = Counts()
        for of_shard in self._keys.items():
            total.add(_count_duplicates(of_shard))
        return total


def keys_by_shard(checked: Checked, features: Sequence[str]) -> Iterator[tuple[int, pa.Array]]:
    """Yields the keys of the valid rows by hash shard; a key is in the same shard on every worker.

    Args:
        checked: Rows with the features of the key.
        features: Their names. Keys of several columns are compared as tuples.
    """
    if not checked.rows.num_rows:
        return
    keys = _as_one([checked.rows[name] for name in features])
    shards = (fingerprint64(keys) % _SHARDS).astype(np.uint8)  # A type that NumPy sorts by radix.
    by_shard = keys.take(pa.array(np.argsort(shards, kind="stable")))
    sizes = np.bincount(shards, minlength=_SHARDS)
    starts = offsets(sizes)
    for shard in np.flatnonzero(sizes).tolist():
        # A copy: a slice that is sent to another worker takes all keys with it.
        yield shard, pa.concat_arrays([by_shard.slice(starts[shard], sizes[shard])])


def _as_one(columns: Sequence[pa.Array]) -> pa.Array:
    """Returns one text a row, large_binary: different for different tuples of texts."""
    if len(columns) == 1:
        return columns[0]
    lengths = [pc.binary_length(column).cast(pa.large_string()).cast(pa.large_binary()) for column in columns]
    # The lengths come first: without them, ("a", ":b") and ("a:", "b") would be the same.
    return pc.binary_join_element_wise(*lengths, *columns, pa.scalar(b":", pa.large_binary()))


def _count_duplicates(of_shard: tuple[int, Iterable[pa.Array]]) -> Counts:
    keys = pa.chunked_array(list(of_shard[1]))
    return Counts(Counter({Counted("duplicate_keys"): len(keys) - pc.count_distinct(keys).as_py()}))
