"""Decodes a run's examples for display: the ids of each field beside their tokens. Does not import TensorFlow."""

from __future__ import annotations

import dataclasses
import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from ...transforms.errors import UserError
from ...transforms.runs.damage import reading
from ...transforms.runs.files import opened
from ...transforms.runs.run import Run
from ...transforms.spec import weights_feature
from ..sources.formats.tfrecord_files import decoder, read_records

# The values of each feature of an example.
_Example = dict[str, list[Any] | None]

# Records that are decoded at a time, and the size at which fewer are. A serialized tf.Example is smaller than 2 GiB.
_BATCH, _BATCH_BYTES, _RECORD_BYTES = 1024, 64 << 20, 2 << 30


@dataclass(frozen=True)
class DecodedField:
    """One field of one example: its ids without padding and their tokens, its number, or its vector."""

    tokens: list[str]
    ids: list[int]
    padding: int = 0
    number: float | None = None
    vector: list[float] | None = None
    weights: list[float] | None = None


@dataclass(frozen=True)
class DecodedExample:
    """One decoded example.

    Attributes:
        key: The key; the values of several columns are joined by ", ". None if the spec has none.
        label: 0 or 1.
        fields: The fields by name.
        carried: The carried columns by name.
        label_weight: The weight of the row; None without `label.weight` in the spec.
    """

    key: str | None
    label: float
    fields: dict[str, DecodedField]
    carried: dict[str, str] = dataclasses.field(default_factory=dict)
    label_weight: float | None = None


def decoded_examples(run: Run, split: str, limit: int) -> Iterator[DecodedExample]:
    """Yields the first `limit` examples of a split, in the order of its files.

    Raises:
        UserError: the split has no examples.
        Damaged: a file of the split is damaged, or does not fit the spec or the vocabularies of the run.
    """
    shards = run.shards(split)
    if not shards:
        raise UserError(f"{run.path}: has no examples in the {split} split; choose another with --split")
    names = {vocabulary: _names(run, vocabulary) for vocabulary in run.spec.vocabulary_fields()}
    yield from islice(chain.from_iterable(_of_shard(shard, run, names, min(limit, _BATCH)) for shard in shards), limit)


def _names(run: Run, vocabulary: str) -> list[str]:
    oov = [f"[OOV {bucket}]" for bucket in range(1, run.spec.resolved_vocabularies()[vocabulary].first_token_id)]
    return [
        "[padding]",
        *oov,
        *(token.decode("utf-8", "backslashreplace") for token in run.tokens(vocabulary)),
    ]


def _of_shard(path: str, run: Run, names: dict[str, list[str]], batch: int) -> Iterator[DecodedExample]:
    """Yields the examples of a file; reads `batch` of them at a time."""
    with reading(path, "transform"), opened(path) as stored, gzip.open(stored) as file:
        for records in read_records(file, _RECORD_BYTES, batch, _BATCH_BYTES):
            for example in decoder().DecodeBatch(records).to_pylist():
                yield _decoded(example, run, names)


def _decoded(example: _Example, run: Run, names: dict[str, list[str]]) -> DecodedExample:
    fields = {}
    for name, field in run.spec.fields.items():
        values = _values(example, name, math.prod(field.shape))
        if field.raw == "vector":
            fields[name] = DecodedField([], [], vector=[float(value) for value in values])
            continue
        if not field.is_embedded:
            fields[name] = DecodedField([], [], number=float(values[0]))
            continue
        real = [i for i in values if i != 0]
        if not field.has_vocabulary or run.spec.vocabulary_settings_of(name).hash_buckets is not None:
            tokens = [f"bucket {i}" for i in real]
        else:
            of_ids = names[run.spec.vocabulary_of(name)]
            if wrong := [i for i in real if i not in range(len(of_ids))]:
                raise ValueError(f"feature {name!r}: expected ids from 0 to {len(of_ids) - 1:,}, found {wrong[0]}")
            tokens = [of_ids[i] for i in real]
        shown = None
        if field.is_weighted:
            weights = _values(example, weights_feature(name), len(values))
            shown = [w for w, i in zip(weights, values, strict=True) if i]
        fields[name] = DecodedField(tokens, real, len(values) - len(real), weights=shown)
    copied = {
        name: _values(example, name, 1)[0].decode("utf-8", "backslashreplace") for name in run.spec.copied_columns
    }
    key = ", ".join(copied[name] for name in run.spec.key_columns) or None
    carried = {name: copied[name] for name in run.spec.carry}
    label, *weight = (float(_values(example, name, 1)[0]) for name in run.spec.label.features)
    return DecodedExample(key, label, fields, carried, *weight)


def _values(example: _Example, feature: str, expected: int) -> list[Any]:
    """Returns the values of a feature.

    Raises:
        ValueError: their number is not the expected one.
    """
    values = example.get(feature) or []
    if len(values) != expected:
        raise ValueError(f"feature {feature!r}: expected {expected} values, found {len(values)}")
    return values
