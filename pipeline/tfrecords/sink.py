"""The TFRecord sink: writes batches of examples to gzipped shards, at least one for each bundle and split.

A bundle writes to unique names in a temporary folder; only the shards of bundles that succeeded are renamed to
`{split}-00000-of-00003.tfrecord.gz`, so a retried bundle neither duplicates nor loses records.
"""

from __future__ import annotations

import uuid
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from isal import isal_zlib

from ...transforms.spec import SPLITS
from .encoding import encode_tfrecords, end_to_end

# Size of a shard before compression, about ten times its size on disk. Small enough to shuffle by shards.
SHARD_BYTES = 64 << 20

# ISA-L has levels 0 to 3. Level 2 takes a seventh of the time of zlib's level 3 and makes files 6% larger.
GZIP_LEVEL = 2

_MOST_PENDING = 3


class Examples(NamedTuple):
    """Rows after the transform, in the Arrow form of tf.Examples, and the split of each: int8, indices into SPLITS."""

    rows: pa.RecordBatch
    splits: np.ndarray


class Records(NamedTuple):
    """The framed tf.Examples of one split, end to end, and their number."""

    split: str
    data: pa.Buffer
    examples: int


def records_by_split(examples: Examples) -> list[Records]:
    """Returns the records of each split that has rows."""
    records = encode_tfrecords(examples.rows)
    by_split = [(code, records.filter(pa.array(examples.splits == code))) for code in np.unique(examples.splits)]
    return [Records(SPLITS[code], end_to_end(of_split), len(of_split)) for code, of_split in by_split]


class Shard(NamedTuple):
    """A finished temporary file. `order` sorts shards independently of their temporary names."""

    order: tuple[int, int]
    path: str
    examples: int


class WriteExamples(beam.PTransform):
    """Writes `Examples` to `folder`; returns one (split, number of examples, number of shards) for each split."""

    def __init__(self, folder: str, temp_folder: str, shard_bytes: int = SHARD_BYTES) -> None:
        super().__init__()
        self._folder, self._temp_folder, self._shard_bytes = folder, temp_folder, shard_bytes

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        """Returns the number of examples and shards of each split."""
        return (
            examples
            | "WriteShards" >> beam.ParDo(_WriteShards(self._temp_folder, self._shard_bytes))
            | "AllShards" >> beam.GroupByKey()
            | "NameShards" >> beam.Map(name_shards, self._folder, self._temp_folder)
        )


class _OpenShard:
    """One temporary file being written."""

    def __init__(self, path: str, order: tuple[int, int]) -> None:
        self.path, self.order, self.examples, self.size = path, order, 0, 0
        self._file = FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)
        # 31: with a gzip header. It has no time stamp, so equal records make equal files.
        self._gzip = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, 31)

    def write(self, records: Records) -> None:
        self._file.write(self._gzip.compress(records.data))
        self.examples += records.examples
        self.size += records.data.size

    def close(self) -> Shard:
        self._file.write(self._gzip.flush())
        self._file.close()
        return Shard(self.order, self.path, self.examples)


class Shards:
    """Temporary files of records: those of one bundle, or of all rows of a process. Records keep their order.

    Args:
        folder: The folder of the files.
        shard_bytes: The size before compression at which a file is closed.
    """

    def __init__(self, folder: str, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._shard_bytes = folder, shard_bytes
        self._open: dict[str, _OpenShard] = {}
        self._first_crc: dict[str, int] = {}
        self._closed: dict[str, list[Shard]] = {}

    def write(self, records: Records) -> None:
        """Appends records to the open file of their split."""
        split = records.split
        if split not in self._open:
            # Sort bundles by the checksum of their first batch, and the shards of a bundle by their index in it.
            first = self._first_crc.setdefault(split, zlib.crc32(records.data))
            path = FileSystems.join(self._folder, f"{split}-{uuid.uuid4().hex}")
            self._open[split] = _OpenShard(path, (first, len(self._closed.get(split, []))))
        shard = self._open[split]
        shard.write(records)
        if shard.size >= self._shard_bytes:
            self._closed.setdefault(split, []).append(self._open.pop(split).close())

    def close(self) -> dict[str, list[Shard]]:
        """Closes all files; returns the shards of each split that has records."""
        for split, shard in self._open.items():
            self._closed.setdefault(split, []).append(shard.close())
        return self._closed


class _ShardsOfBundle:
    """The shards of one bundle, encoded and written by a separate thread, in the order of the batches."""

    def __init__(self, folder: str, shard_bytes: int) -> None:
        self._shards = Shards(folder, shard_bytes)
        self._thread = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    def write(self, examples: Examples) -> None:
        # Encoding runs while the next batch is transformed; the number of waiting batches is limited to save memory.
        self._pending.append(self._thread.submit(self._write, examples))
        if len(self._pending) > _MOST_PENDING:
            self._pending.popleft().result()

    def close(self) -> Iterator[tuple[str, Shard]]:
        while self._pending:
            self._pending.popleft().result()
        self._thread.shutdown()
        for split, shards in self._shards.close().items():
            yield from ((split, shard) for shard in shards)

    def _write(self, examples: Examples) -> None:
        for records in records_by_split(examples):
            self._shards.write(records)


class _WriteShards(beam.DoFn):
    """Examples → (split, Shard), when the bundle ends."""

    def __init__(self, folder: str, shard_bytes: int) -> None:
        self._folder, self._shard_bytes = folder, shard_bytes

    def start_bundle(self) -> None:
        self._shards = _ShardsOfBundle(self._folder, self._shard_bytes)

    def process(self, examples: Examples) -> None:
        if examples.rows.num_rows:
            self._shards.write(examples)

    def finish_bundle(self) -> Iterator[Any]:
        for shard in self._shards.close():
            yield beam.transforms.window.GlobalWindows.windowed_value(shard)


def name_shards(element: tuple[str, Iterable[Shard]], folder: str, temp_folder: str) -> tuple[str, int, int]:
    """Renames the shards of one split to their final names; skips shards that an earlier attempt has renamed.

    All names go to the file system in one call, which object stores execute in large batches.
    """
    split, shards = element
    ordered = sorted(shards)
    names = [f"{split}-{index:05d}-of-{len(ordered):05d}.tfrecord.gz" for index in range(len(ordered))]
    targets = {FileSystems.join(folder, name): shard.path for name, shard in zip(names, ordered, strict=True)}
    unfinished, finished = _paths(temp_folder, f"{split}-*"), _paths(folder, f"{split}-*")
    if stale := finished - targets.keys():  # From an earlier attempt of the runner, with other bundles.
        FileSystems.delete(sorted(stale))
    left = {target: path for target, path in targets.items() if path in unfinished or target not in finished}
    if left:
        FileSystems.rename(list(left.values()), list(left))
    return split, sum(shard.examples for shard in ordered), len(ordered)


def _paths(folder: str, pattern: str) -> set[str]:
    return {found.path for found in FileSystems.match([FileSystems.join(folder, pattern)])[0].metadata_list}
