"""Writes a run in the layout of the pipeline, from examples that a test defines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import yaml

from fieldpool.transforms.runs.run_stats import FieldStats, RunStats, VocabularyStats
from fieldpool.transforms.spec import LABEL_FEATURE, SPLITS, Spec

# Feature name to the list of its values.
Row = dict[str, list[Any]]


def write_run(
    folder: Path,
    spec: dict[str, Any],
    tokens: Mapping[str, Sequence[bytes]],
    examples: Mapping[str, Sequence[Sequence[Row]]],
) -> str:
    """Writes a run to `folder`, and returns its path.

    Args:
        folder: The folder to create.
        spec: Plain values, with a number for each `max_len`.
        tokens: The tokens of each vocabulary, in the order of their ids.
        examples: By split, the rows of each shard.
    """
    assets = folder / "transform" / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    (folder / "examples").mkdir()
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    for vocabulary, its_tokens in tokens.items():
        (assets / vocabulary).write_bytes(b"".join(token + b"\n" for token in its_tokens))
    for split, shards in examples.items():
        for i, rows in enumerate(shards):
            _write_shard(folder / "examples" / f"{split}-{i:05d}-of-{len(shards):05d}.tfrecord.gz", rows)
    rows_by_split = {split: [row for shard in examples.get(split, []) for row in shard] for split in SPLITS}
    stats = _stats(Spec.model_validate(spec), tokens, rows_by_split)
    (folder / "stats.json").write_text(json.dumps(stats.as_json()))
    (folder / "DONE").write_text("")
    return str(folder)


def _write_shard(path: Path, rows: Iterable[Row]) -> None:
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as file:
        for row in rows:
            features = {name: _feature(values) for name, values in row.items()}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            file.write(example.SerializeToString())


def _feature(values: list[Any]) -> tf.train.Feature:
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _stats(spec: Spec, tokens: Mapping[str, Sequence[bytes]], rows: dict[str, list[Row]]) -> RunStats:
    """Returns the counts of a run whose source has exactly these rows."""
    return RunStats(
        read=sum(map(len, rows.values())),
        **{split: len(rows[split]) for split in SPLITS},
        rejected=0,
        positives={split: sum(row[LABEL_FEATURE] == [1.0] for row in rows[split]) for split in SPLITS},
        vocabularies={
            name: VocabularyStats(distinct=len(tokens.get(name, ())), tokens=len(tokens.get(name, ())))
            for name in spec.resolved_vocabularies()
        },
        fields={
            name: _field_stats(spec, name, {split: [row[name] for row in rows[split]] for split in SPLITS})
            for name in spec.fields
        },
    )


def _field_stats(spec: Spec, name: str, lists: dict[str, list[list[Any]]]) -> FieldStats:
    """Returns the counts of a field. `lists` has by split the values of each row: padded ids, or a number."""
    field = spec.fields[name]
    if not field.has_vocabulary:
        return FieldStats(
            type=field.type,
            missing=dict.fromkeys(SPLITS, 0),
            values={split: len(lists[split]) for split in SPLITS},
            buckets=field.buckets,
        )
    vocabulary = spec.vocabulary_settings_of(name)
    lengths = {split: [sum(i != 0 for i in ids) for ids in lists[split]] for split in SPLITS}
    absent = {split: lengths[split].count(0) for split in SPLITS}
    of_lists: dict[str, Any] = {
        "empty": absent,
        "max_len": field.shape[0] if field.is_list else None,
        "values_truncated": dict.fromkeys(SPLITS, 0),
        "rows_truncated": dict.fromkeys(SPLITS, 0),
        "lengths": {split: dict(sorted(Counter(lengths[split]).items())) for split in SPLITS},
    }
    return FieldStats(
        type=field.type,
        vocabulary=spec.vocabulary_of(name),
        values={split: sum(lengths[split]) for split in SPLITS},
        values_seen={split: sum(lengths[split]) for split in SPLITS},
        oov={split: sum(bool(vocabulary.is_oov(i)) for ids in lists[split] for i in ids) for split in SPLITS},
        **(of_lists if field.is_list else {"missing": absent}),
    )
