"""The rows of a run without a Beam pipeline: threads of this process apply a saved transform.

    one thread reads → several check, transform, count and encode a batch each → the main thread compresses and writes

The functions are those of the DoFns of `preprocess`, and the batches are written in their order: the files are equal to
those of the pipeline with one worker, byte for byte, for any number of threads. A batch is a task, so memory does not
depend on the size of the input.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from apache_beam.io.filesystems import FileSystems

from ...transforms.run_files import EXAMPLES_FOLDER, REJECTED_FOLDER
from ...transforms.spec import Spec
from ..counts.counters import Counted, Counts
from ..counts.duplicate_keys import DuplicateKeys, keys_by_shard
from ..counts.row_counts import Ranges, count_clipped, count_ids, count_rows
from ..folders.work_folder import SHARDS_FOLDER
from ..jobs.in_order import in_order
from ..rows.checks import Checked, check_rows
from ..rows.rejected import RejectedFile, RejectedLimit
from ..rows.tft_rows import RowTransform, as_tft_rows
from ..sources.batches import Rejected, SourceBatch
from ..tfrecords.sink import Examples, Records, Shards, name_shards, records_by_split

Batches = Generator[SourceBatch, None, None]


@dataclass(frozen=True)
class _Task:
    """What to do with each batch.

    Attributes:
        spec: The resolved spec.
        transform: The transform of the run.
        check: Returns the checked rows of a batch.
        ranges: Minimum and maximum by numeric field; numbers outside are counted.
        encodes: Whether the examples are written, not only counted.
    """

    spec: Spec
    transform: RowTransform
    check: Callable[[SourceBatch], Checked]
    ranges: Ranges | None = None
    encodes: bool = True

    def __call__(self, batch: SourceBatch) -> _Done:
        checked = self.check(batch)
        counts = count_rows(checked, self.spec, self.ranges)
        done = _Done(checked.read, checked.rejected, counts)
        if checked.rows.num_rows:
            if self.spec.key is not None:
                done.keys.extend(keys_by_shard(checked, list(self.spec.key_columns)))
            examples = Examples(self.transform(as_tft_rows(checked.rows, self.spec)), checked.splits)
            counts.add(count_ids(examples, self.spec))
            counts.add(count_clipped(examples, self.spec))
            if self.encodes:
                done.records.extend(records_by_split(examples))
        return done


@dataclass(frozen=True)
class _Done:
    """What is left of a batch: its rejected rows, counts, keys by shard, and records by split."""

    read: int
    rejected: list[Rejected]
    counts: Counts
    keys: list[tuple[int, pa.Array]] = field(default_factory=list)
    records: list[Records] = field(default_factory=list)


def write_rows(batches: Batches, spec: Spec, work: str, folder: str, transform: RowTransform, threads: int) -> Counts:
    """Writes the examples and the rejected rows of a run; returns the counts.

    Args:
        batches: The rows.
        spec: The resolved spec.
        work: A folder for temporary files.
        folder: The run directory.
        transform: The transform of the run.
        threads: The number of threads that transform rows.

    Raises:
        TooManyRejected: more rows are rejected than `max_rejected`, if that is a count.
        SourceError: as `rows.read_rows.read_files`.
    """
    task = _Task(spec, transform, partial(check_rows, spec=spec))
    temporary = FileSystems.join(work, SHARDS_FOLDER)
    limit, shards, counts, keys = RejectedLimit(spec), Shards(temporary), Counts(), DuplicateKeys()
    with (
        closing(in_order(task, batches, threads)) as results,
        RejectedFile(FileSystems.join(folder, REJECTED_FOLDER)) as rejected,
    ):
        for done in results:
            limit.add(done.read, done.rejected)
            rejected.write(done.rejected)
            counts.add(done.counts)
            keys.add(done.keys)
            for records in done.records:
                shards.write(records)
    counts.add(keys.counts())
    for of_split in shards.close().items():
        split, examples, _ = name_shards(of_split, FileSystems.join(folder, EXAMPLES_FOLDER), temporary)
        counts.sums[Counted("written", split=split)] += examples
    return counts


def count_transformed(
    batches: Batches,
    spec: Spec,
    transform_path: str,
    threads: int,
    *,
    check: Callable[[SourceBatch], Checked],
    ranges: Ranges | None = None,
) -> Counts:
    """Returns the counts that `write_rows` returns, without `written`; nothing is written.

    Args:
        batches: The rows.
        spec: The resolved spec.
        transform_path: The `transform/` folder of a run, whose transform is applied.
        threads: See `write_rows`.
        check: Returns the checked rows of a batch.
        ranges: Minimum and maximum by numeric field; numbers outside are counted.
    """
    task = _Task(spec, RowTransform.saved(spec, transform_path), check, ranges, encodes=False)
    counts, keys = Counts(), DuplicateKeys()
    with closing(in_order(task, batches, threads)) as results:
        for done in results:
            counts.add(done.counts)
            keys.add(done.keys)
    counts.add(keys.counts())
    return counts


def copy_transform(source: str, target: str) -> None:
    """Copies the transform of a `transform/` folder to another one, as `tft_beam.WriteTransformFn` does."""
    for part in (tft.TFTransformOutput.TRANSFORM_FN_DIR, tft.TFTransformOutput.TRANSFORMED_METADATA_DIR):
        for folder, _, names in tf.io.gfile.walk(os.path.join(source, part)):
            copy = target + folder[len(source) :]
            tf.io.gfile.makedirs(copy)
            for name in names:
                tf.io.gfile.copy(os.path.join(folder, name), os.path.join(copy, name))
