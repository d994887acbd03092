"""Reads a run's examples as a `tf.data.Dataset` of features, labels and their weights.

Examples are gzipped TFRecord shards of `tf.train.Example`. They are read, parsed and shuffled in blocks, because one
example at a time takes several times as long.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from os.path import join
from typing import Any

import tensorflow as tf

from ..transforms.errors import UserError
from ..transforms.process.cores import cores
from ..transforms.run_files import EXAMPLES_FOLDER
from ..transforms.runs.damage import reading
from ..transforms.runs.run import Run
from ..transforms.spec import SPLITS, Spec, weights_feature

# Up to 16 shards are interleaved, in blocks of 256 records. Both are fixed, not tuned at run time, so that a seed gives
# the same order on every machine; the number of threads does not change the order. Single records would cost 4 µs each.
_SHARDS_AT_ONCE = 16
_BLOCK = 256
_BATCHES_AHEAD = 2


@contextlib.contextmanager
def reading_examples(run: Run) -> Iterator[None]:
    """Raises Damaged if a shard that is read in the block is damaged."""
    try:
        yield
    except tf.errors.DataLossError as error:
        with reading(join(run.path, EXAMPLES_FOLDER), "transform"):
            raise error


class NoExamples(UserError):
    """The split of a run has no examples."""


def feature_spec(spec: Spec) -> dict[str, tf.io.FixedLenFeature]:
    """Returns the features of a run's examples for `tf.io.parse_example`.

    Categorical: int64 `[]`. Multivalued: int64 `[max_len]`, its weights float32 `[max_len]`. Numeric: float32
    `[]`, or int64 `[]` in quantile buckets. In addition the label and, if the spec has one, its weight, float32 `[]`,
    and each column of the key and of `carry`, string `[]`.

    Raises:
        ValueError: if a `max_len` is `auto` or a percentile, as in a spec that is not that of a run.
    """
    features: dict[str, tf.io.FixedLenFeature] = {}
    for name, field in spec.fields.items():
        try:
            shape = list(field.shape)
        except ValueError as error:
            raise ValueError(f"fields.{name}.{error}: use `Run(path).spec`") from None
        features[name] = tf.io.FixedLenFeature(shape, tf.as_dtype(field.dtype))
        if field.is_weighted:
            features[weights_feature(name)] = tf.io.FixedLenFeature(shape, tf.float32)
    features |= {name: tf.io.FixedLenFeature([], tf.float32) for name in spec.label.features}
    features |= dict.fromkeys(spec.copied_columns, tf.io.FixedLenFeature([], tf.string))
    return features


def read_examples(
    run: Run,
    split: str,
    *,
    batch_size: int,
    shuffle_buffer: int = 0,
    seed: int | None = None,
    epoch: int | None = None,
    skip: int = 0,
    with_key: bool = False,
    columns: Sequence[str] = (),
    repeat: bool = False,
    cache: str | None = None,
    shard: tuple[int, int] | None = None,
) -> tf.data.Dataset:
    """Returns a dataset of `(features, label)`, with `label.weight` in the spec `(features, label, weight)`.

    These are the forms that `fit` takes. With `with_key`, the key is added at the end. Features are the fields of
    `feature_spec` with a batch dimension in front; label and weight are float32 `[batch]`, the key string `[batch]` or,
    of several columns, `[batch, columns]`. The last batch may be smaller.

    Args:
        run: The run to read.
        split: train, eval or test.
        batch_size: Examples per batch.
        shuffle_buffer: Size of the shuffle buffer in examples, which come from up to 16 interleaved shards; memory
            holds up to three times that number. The order of the shards is shuffled, too. Each iteration of the
            dataset shuffles again. Default 0: no shuffling.
        seed: The same seed gives the same order in every process. Default None: a random order.
        epoch: With a seed, the number of the first epoch, from 0. The order of an epoch does not depend on the epochs
            before it, so training can be resumed. Default None: each iteration of the dataset is the next epoch.
        skip: Number of batches to skip at the start of the first epoch.
        with_key: Whether to add the key, for predictions. Not for `fit`, which would use it as sample weights.
        columns: Columns of the key or of `carry`, by feature, to read as well: they are among the features, string
            `[batch]`. Default: none, because a model does not read them.
        repeat: Whether the dataset is endless: one epoch follows another.
        cache: "memory": this function reads and parses all examples, and each epoch shuffles all of them together. The
            path of new files: parsed examples are kept there from the first epoch on, with the blocks in the same
            order in each epoch. Default None: each epoch reads the shards, 3 µs per example.
        shard: `(index, count)` of a worker that reads only its part of the examples: every count-th shard if there are
            at least `count`, else every count-th block of records.

    Raises:
        NoExamples: if the split has no shards.
        ValueError: if the split is unknown, for `with_key` if the spec has no key, or if it has no such column.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)}; found {split!r}")
    if with_key and run.spec.key is None:
        raise ValueError(f"{run.path}: the spec has no `key`; add `key: <column>` and run `fieldpool transform` again")
    copied = run.spec.copied_columns
    unknown = next((name for name in columns if name not in copied), None)
    if unknown is not None:
        raise ValueError(
            f"{run.path}: columns: expected columns of the key or of `carry` ({', '.join(copied) or 'none'}), found "
            f"{unknown!r}"
        )
    files = run.shards(split)
    if not files:
        raise NoExamples(
            f"{run.path}: no examples in the split {split!r} (examples/{split}-*.tfrecord.gz); change "
            "`split:` in the spec so that this split has rows, and run `fieldpool transform` again"
        )
    key = list(run.spec.key_columns) if with_key else []
    features = {
        name: feature
        for name, feature in feature_spec(run.spec).items()
        if name not in copied or name in key or name in columns
    }
    if cache == "memory":
        batches = _from_memory(_blocks(tf.constant(files), features, shard), batch_size, bool(shuffle_buffer))
    elif cache is not None:
        kept = _blocks(tf.constant(files), features, shard).cache(cache)
        batches = _from_blocks(lambda _: kept, batch_size, shuffle_buffer)
    elif shuffle_buffer:
        batches = _from_blocks(
            lambda epoch_seed: _blocks(_shuffled(tf.constant(files), [epoch_seed, 0]), features, shard),
            batch_size,
            shuffle_buffer,
        )
    else:
        batches = _from_blocks(lambda _: _blocks(tf.constant(files), features, shard), batch_size, 0)
    epochs = _epoch_seeds(seed, epoch, repeat).enumerate()
    dataset = epochs.flat_map(
        lambda i, epoch_seed: batches(epoch_seed).skip(tf.where(i == 0, tf.cast(skip, tf.int64), 0))
    )
    labels = run.spec.label.features
    dataset = dataset.map(lambda example: _features_and_label(example, labels, key, columns))
    return dataset.prefetch(_BATCHES_AHEAD).with_options(_without_autotune())


def count_examples(run: Run, split: str) -> int:
    """Returns the number of examples of a split: from the run's counts or, if it has none, by reading the examples."""
    if not run.shards(split):
        return 0
    if run.has_stats:
        return run.stats.rows(split)
    return sum(len(label) for _, label, *_ in read_examples(run, split, batch_size=4096))


def _from_blocks(
    blocks_of: Callable[[tf.Tensor], tf.data.Dataset], batch_size: int, shuffle_buffer: int
) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Returns the function from an epoch's seed to its batches, shuffled within windows of `shuffle_buffer`."""

    def batches(epoch_seed: tf.Tensor) -> tf.data.Dataset:
        blocks = blocks_of(epoch_seed)
        if not shuffle_buffer:
            return blocks.rebatch(batch_size)
        # The first window has a random size, so that epochs differ even if the order of blocks does not. `rebatch`
        # repeats the sizes: after 1,000 windows there is another small one.
        first = tf.random.stateless_uniform([1], tf.stack([epoch_seed, -1]), 1, shuffle_buffer + 1, tf.int64)
        sizes = tf.concat([first, tf.fill([999], tf.constant(shuffle_buffer, tf.int64))], axis=0)
        windows = blocks.rebatch(sizes).enumerate(1).map(lambda i, window: _shuffled(window, [epoch_seed, i]))
        return windows.prefetch(1).rebatch(batch_size)

    return batches


def _from_memory(blocks: tf.data.Dataset, batch_size: int, shuffle: bool) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Reads all blocks; returns the function from an epoch's seed to its batches, shuffled over all examples."""
    parts = list(blocks)
    if not parts:
        return lambda _: blocks
    examples = {name: tf.concat([part[name] for part in parts], axis=0) for name in parts[0]}
    count = len(next(iter(examples.values())))

    def batches(epoch_seed: tf.Tensor) -> tf.data.Dataset:
        rows = tf.range(count)
        rows = _shuffled(rows, [epoch_seed, 0]) if shuffle else rows
        starts = tf.data.Dataset.range(0, count, batch_size)
        return starts.map(lambda i: {name: tf.gather(x, rows[i : i + batch_size]) for name, x in examples.items()})

    return batches


def _epoch_seeds(seed: int | None, epoch: int | None, repeat: bool) -> tf.data.Dataset:
    """Returns one seed for each epoch in an iteration of the dataset: a single one, or with `repeat` endless ones."""
    next_epoch_each_iteration = epoch is None and not repeat
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=next_epoch_each_iteration).skip(epoch or 0)
    return seeds if repeat else seeds.take(1)


def _blocks(files: tf.Tensor, features: dict[str, Any], shard: tuple[int, int] | None) -> tf.data.Dataset:
    """Returns blocks of parsed examples, interleaved from several files."""
    count = files.shape[0]
    dataset = tf.data.Dataset.from_tensor_slices(files)
    by_file = shard is not None and count >= shard[1]
    if shard is not None and by_file:
        dataset = dataset.shard(shard[1], shard[0])
    dataset = dataset.interleave(
        lambda file: tf.data.TFRecordDataset(file, compression_type="GZIP").batch(_BLOCK),
        cycle_length=min(_SHARDS_AT_ONCE, count),
        block_length=1,
        num_parallel_calls=min(cores(), _SHARDS_AT_ONCE, count),
        deterministic=True,
    )
    if shard is not None and not by_file:
        dataset = dataset.shard(shard[1], shard[0])
    return dataset.map(
        lambda records: tf.io.parse_example(records, features), num_parallel_calls=cores(), deterministic=True
    )


def _without_autotune() -> tf.data.Options:
    """Returns options with which the end of an iteration does not wait.

    The thread that tunes a pipeline sleeps for 10 ms, then 20 ms, 40 ms and so on, and TensorFlow 2.21 often waits for
    it at the end: an iteration that would take 3.3 s then takes 5.11 s, the sum of the first nine.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def _shuffled(rows: Any, seed: Any) -> Any:
    """Returns tensors with their rows in a random order, the same for all of them."""
    tensors = tf.nest.flatten(rows)
    order = tf.random.experimental.stateless_shuffle(tf.range(tf.shape(tensors[0])[0]), seed=tf.stack(seed))
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, order), rows)


def _features_and_label(
    parsed: dict[str, tf.Tensor], labels: Sequence[str], key: Sequence[str], columns: Sequence[str]
) -> tuple:
    """Returns the features of a batch, label and weight by the names in `labels` and, if it has features, the key."""
    left_out = {*labels, *(name for name in key if name not in columns)}
    features = {name: tensor for name, tensor in parsed.items() if name not in left_out}
    of_labels = [parsed[name] for name in labels]
    if not key:
        return features, *of_labels
    parts = [parsed[name] for name in key]
    return features, *of_labels, parts[0] if len(parts) == 1 else tf.stack(parts, axis=1)
