"""Counts rows whose key another row has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.spec import KEY_FEATURE
from ..kernels.fingerprints import fingerprint64
from ..rows.checks import Checked
from .counters import Counted, Counts

# A worker holds the keys of one shard, and each batch of rows becomes at most this number of elements.
_SHARDS = 256


class CountDuplicateKeys(beam.PTransform):
    """Checked rows with keys → Counts with `duplicate_keys`: the number of accepted rows minus that of distinct keys.

    The count is exact. Keys are grouped by their hash as arrays, which is a hundred times fewer elements than rows.
    """

    def expand(self, checked: beam.PCollection) -> beam.PCollection:
        """Returns the Counts of each shard."""
        by_shard = checked | "KeysByHash" >> beam.FlatMap(keys_by_shard) | "GroupKeys" >> beam.GroupByKey()
        return by_shard | "CountShard" >> beam.Map(_count_duplicates)


def keys_by_shard(checked: Checked) -> Iterator[tuple[int, pa.Array]]:
    """Yields the keys of the valid rows by hash shard; a key is in the same shard on every worker."""
    if not checked.rows.num_rows:
        return
    keys = checked.rows[KEY_FEATURE]
    shards = (fingerprint64(keys) % _SHARDS).astype(np.uint8)  # A type that NumPy sorts by radix.
    order = np.argsort(shards, kind="stable")
    starts = np.searchsorted(shards[order], np.arange(_SHARDS + 1))
    for shard in np.unique(shards).tolist():
        yield shard, keys.take(pa.array(order[starts[shard] : starts[shard + 1]]))


def _count_duplicates(of_shard: tuple[int, Iterable[pa.Array]]) -> Counts:
    keys = pa.chunked_array(list(of_shard[1]))
    return Counts(Counter({Counted("duplicate_keys"): len(keys) - pc.count_distinct(keys).as_py()}))
