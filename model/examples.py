"""Reads a run's examples as a `tf.data.Dataset` of features and labels.

Shards of gzipped `tf.train.Example` go in; whole batches are parsed at once, for one example at a time
costs several times as much.
"""

from __future__ import annotations

import tensorflow as tf

from ..transforms.errors import UserError
from ..transforms.spec import (
    KEY_FEATURE,
    LABEL_FEATURE,
    SPLITS,
    CategoricalField,
    NumericField,
    Quantiles,
    Spec,
    weights_feature,
)
from .run import Run

# So many shards are read at once, taken in turns of so many records: fixed, not tuned by the machine, so
# that a seed gives the same order everywhere.
_SHARDS_AT_ONCE = 16
_RECORDS_IN_TURN = 16


class NoExamples(UserError):
    """The split of a run holds no examples."""


def feature_spec(spec: Spec) -> dict[str, tf.io.FixedLenFeature]:
    """Returns what `tf.io.parse_example` needs to read the examples of a finished run.

    Categorical: int64 `[]`. Multivalued: int64 `[max_len]`, its weights float32 `[max_len]`. Numeric: float32
    `[]`, or int64 `[]` in quantile buckets. Besides them the label, float32 `[]`, and the key, a string
    `[]`, if the spec has one.

    Raises:
        ValueError: if a `max_len` is not a number yet: the spec is not that of a run.
    """
    features: dict[str, tf.io.FixedLenFeature] = {}
    for name, field in spec.fields.items():
        if isinstance(field, CategoricalField):
            features[name] = tf.io.FixedLenFeature([], tf.int64)
        elif isinstance(field, NumericField):
            in_buckets = isinstance(field.scale, Quantiles)
            features[name] = tf.io.FixedLenFeature([], tf.int64 if in_buckets else tf.float32)
        else:
            if not isinstance(field.max_len, int):
                raise ValueError(
                    f"fields.{name}.max_len: expected a number, found {field.max_len!r}; take the spec of a "
                    "run, `Run(path).spec`, where it is resolved"
                )
            features[name] = tf.io.FixedLenFeature([field.max_len], tf.int64)
            if field.weights:
                features[weights_feature(name)] = tf.io.FixedLenFeature([field.max_len], tf.float32)
    features[LABEL_FEATURE] = tf.io.FixedLenFeature([], tf.float32)
    if spec.key is not None:
        features[KEY_FEATURE] = tf.io.FixedLenFeature([], tf.string)
    return features


def read_examples(
    run: Run,
    split: str,
    *,
    batch_size: int,
    shuffle_buffer: int = 0,
    seed: int | None = None,
    with_key: bool = False,
    repeat: bool = False,
) -> tf.data.Dataset:
    """Returns a dataset of `(features, label)`, or `(features, label, key)`.

    Features are as in `feature_spec`, with a batch in front; label is float32 `[batch]`, key a string
    `[batch]`. The last batch may be smaller.

    Args:
        run: The run to read.
        split: train, eval or test.
        batch_size: Examples a batch.
        shuffle_buffer: Examples to draw from at random. Shards are shuffled as well, and both anew each
            time the dataset is iterated. Default 0: the order of the files, always the same.
        seed: Makes the random order the same in every process. Default None: as it comes, a little faster.
        with_key: Adds the key, for predictions; the dataset then does not suit `fit`, which would take it
            for sample weights.
        repeat: Goes on for ever.

    Raises:
        NoExamples: if the split has no shards.
        ValueError: if there is no such split, or `with_key` and the spec has no key.
    """
    if split not in SPLITS:
        raise ValueError(f"expected a split of {', '.join(SPLITS)}; received {split!r}")
    if with_key and run.spec.key is None:
        raise ValueError(f"{run.path}: the spec names no `key`; add `key: <column>` and make the run again")
    shards = run.shards(split)
    if not shards:
        raise NoExamples(
            f"{run.path}: no examples in the split {split!r} (examples/{split}-*.tfrecord.gz); change "
            "`split:` in the spec so that rows fall into it, and run `fieldpool transform` again"
        )
    dataset = tf.data.Dataset.from_tensor_slices(shards)
    if shuffle_buffer:
        dataset = dataset.shuffle(len(shards), seed=seed)
    dataset = dataset.interleave(
        _records,
        cycle_length=min(_SHARDS_AT_ONCE, len(shards)),
        block_length=_RECORDS_IN_TURN,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=not shuffle_buffer or seed is not None,
    )
    if shuffle_buffer:
        dataset = dataset.shuffle(shuffle_buffer, seed=seed)
    if repeat:
        dataset = dataset.repeat()
    dataset = dataset.batch(batch_size)
    features = feature_spec(run.spec)
    if not with_key:
        features.pop(KEY_FEATURE, None)
    dataset = dataset.map(
        lambda records: _split_off(tf.io.parse_example(records, features), with_key),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return dataset.prefetch(tf.data.AUTOTUNE)


def _records(shard: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(shard, compression_type="GZIP")


def _split_off(features: dict[str, tf.Tensor], with_key: bool) -> tuple:
    label = features.pop(LABEL_FEATURE)
    if with_key:
        key = features.pop(KEY_FEATURE)
        return features, label, key
    return features, label
