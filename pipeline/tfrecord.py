"""The TFRecord sink: batches of examples to sharded, gzipped files, one or more shards a bundle and split.

A bundle writes under names of its own in a temporary folder; only the shards of bundles that succeeded are
renamed to `{split}-00000-of-00003.tfrecord.gz`, so a retried bundle neither doubles nor loses a record.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from isal import isal_zlib

from .example_encoding import encode_tfrecords

# Examples before compression; about a tenth of it lands on disk. Small enough to shuffle by shards.
SHARD_BYTES = 64 << 20

# Of ISA-L's levels (0 to 3): a seventh of zlib's time at its level 3, for six in a hundred more bytes.
GZIP_LEVEL = 2


class Shard(NamedTuple):
    """A finished temporary file. `order` sorts shards alike whatever their temporary names."""

    order: tuple[int, int]
    path: str
    examples: int


class WriteExamples(beam.PTransform):
    """Writes (split, RecordBatch of examples) to `folder`; gives (split, examples, shards) once a split."""

    def __init__(self, folder: str, temp_folder: str, shard_bytes: int = SHARD_BYTES) -> None:
        super().__init__()
        self._folder, self._temp_folder, self._shard_bytes = folder, temp_folder, shard_bytes

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        """Returns the number of examples and shards of each split."""
        return (
            examples
            | "WriteShards" >> beam.ParDo(_WriteShards(self._temp_folder, self._shard_bytes))
            | "AllShards" >> beam.GroupByKey()
            | "NameShards" >> beam.Map(_name_shards, self._folder)
        )


class _OpenShard:
    """One temporary file being written."""

    def __init__(self, path: str, order: tuple[int, int]) -> None:
        self.path, self.order, self.examples, self.size = path, order, 0, 0
        self._file = FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)
        # 31: a gzip header, without a time stamp, so that equal records make equal files.
        self._gzip = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, 31)

    def write(self, framed: bytes, examples: int) -> None:
        self._file.write(self._gzip.compress(framed))
        self.examples += examples
        self.size += len(framed)

    def close(self) -> Shard:
        self._file.write(self._gzip.flush())
        self._file.close()
        return Shard(self.order, self.path, self.examples)


class _WriteShards(beam.DoFn):
    """(split, RecordBatch) → (split, Shard), at the latest when the bundle ends."""

    def __init__(self, folder: str, shard_bytes: int) -> None:
        self._folder, self._shard_bytes = folder, shard_bytes

    def start_bundle(self) -> None:
        self._open: dict[str, _OpenShard] = {}
        self._first_crc: dict[str, int] = {}
        self._closed: dict[str, int] = {}

    def process(self, element: tuple[str, pa.RecordBatch]) -> Iterator[tuple[str, Shard]]:
        split, batch = element
        if not batch.num_rows:
            return
        framed = encode_tfrecords(batch)
        if split not in self._open:
            # Bundles sort by their first batch, shards of a bundle by their place in it.
            first = self._first_crc.setdefault(split, zlib.crc32(framed))
            path = FileSystems.join(self._folder, f"{split}-{uuid.uuid4().hex}")
            self._open[split] = _OpenShard(path, (first, self._closed.get(split, 0)))
        shard = self._open[split]
        shard.write(framed, batch.num_rows)
        if shard.size >= self._shard_bytes:
            self._closed[split] = self._closed.get(split, 0) + 1
            yield split, self._open.pop(split).close()

    def finish_bundle(self) -> Iterator[Any]:
        for split, shard in self._open.items():
            yield beam.transforms.window.GlobalWindows.windowed_value((split, shard.close()))


def _name_shards(element: tuple[str, Iterable[Shard]], folder: str) -> tuple[str, int, int]:
    """Renames the shards of one split to their final names; a retry finds some renamed already."""
    split, shards = element
    ordered = sorted(shards)
    for index, shard in enumerate(ordered):
        target = FileSystems.join(folder, f"{split}-{index:05d}-of-{len(ordered):05d}.tfrecord.gz")
        if FileSystems.exists(shard.path) or not FileSystems.exists(target):
            FileSystems.rename([shard.path], [target])
    return split, sum(shard.examples for shard in ordered), len(ordered)
