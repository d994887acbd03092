"""Decodes a run's examples for display: the ids of each field beside their tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...model.examples import feature_spec, reading_examples
from ...transforms.errors import UserError
from ...transforms.runs.run import Run
from ...transforms.spec import weights_feature


@dataclass(frozen=True)
class DecodedField:
    """One field of one example: its ids without padding and their tokens, or its number."""

    tokens: list[str]
    ids: list[int]
    padding: int = 0
    number: float | None = None
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
    """Yields the first `limit` examples of a split, in the order of its files."""
    if not run.shards(split):
        raise UserError(f"{run.path}: has no examples in the {split} split; choose another with --split")
    names = {vocabulary: _names(run, vocabulary) for vocabulary in run.spec.vocabulary_fields()}
    records = tf.data.TFRecordDataset(run.shards(split), "GZIP").take(limit)
    with reading_examples(run):
        for record in records:
            yield _decoded(tf.io.parse_single_example(record, feature_spec(run.spec)), run, names)


def _names(run: Run, vocabulary: str) -> list[str]:
    oov = [f"[OOV {bucket}]" for bucket in range(1, run.spec.resolved_vocabularies()[vocabulary].first_token_id)]
    return [
        "[padding]",
        *oov,
        *(token.decode("utf-8", "backslashreplace") for token in run.tokens(vocabulary)),
    ]


def _decoded(example: dict[str, tf.Tensor], run: Run, names: dict[str, list[str]]) -> DecodedExample:
    fields = {}
    for name, field in run.spec.fields.items():
        value = example[name].numpy()
        if not field.is_embedded:
            fields[name] = DecodedField([], [], number=float(value))
            continue
        ids = np.atleast_1d(value).tolist()
        real = [i for i in ids if i != 0]
        if not field.has_vocabulary:
            tokens = [f"bucket {i}" for i in real]
        else:
            known = names[run.spec.vocabulary_of(name)]
            tokens = [known[i] if i < len(known) else f"bucket {i}" for i in real]  # Of hashed tokens.
        weights: Any = example.get(weights_feature(name))
        shown = None if weights is None else [w for w, i in zip(weights.numpy().tolist(), ids, strict=True) if i]
        fields[name] = DecodedField(tokens, real, len(ids) - len(real), weights=shown)
    copied = {name: example[name].numpy().decode("utf-8", "backslashreplace") for name in run.spec.copied_columns}
    key = ", ".join(copied[name] for name in run.spec.key_columns) or None
    carried = {name: copied[name] for name in run.spec.carry}
    label, *weight = (float(example[name].numpy()) for name in run.spec.label.features)
    return DecodedExample(key, label, fields, carried, *weight)
