"""The identity of a run: a fingerprint of the meaning of its ids and numbers. Models and checkpoints contain it.

A model is valid only for runs with the identity of the run that it was trained on: in these, equal rows have equal ids
and equal scaled numbers. `transform --using RUN` creates such runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from os.path import join
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from ..spec import NumericField, Spec

# Entries of a field that do not change the meaning of its ids and numbers: how raw text is read, settings by which
# tokens were selected (the tokens themselves are compared), and settings of the model.
_IGNORED = {
    *("column", "separator", "percent", "list", "trim", "text", "weights", "vocabulary"),
    *("min_count", "top_k", "num_oov_buckets", "dim", "vectors", "freeze", "retire_after", "pooling", "side"),
}


@dataclass(frozen=True)
class VocabularyIdentity:
    """The tokens of a vocabulary, in the order of their ids.

    Attributes:
        num_oov_buckets: The number of OOV buckets, whose ids come before those of the tokens.
        tokens: The number of tokens.
        sha256: SHA-256 of the asset: each token followed by a line feed. A longer vocabulary extends this one, with the
            same ids, if the SHA-256 of its first `tokens` lines is the same.
        unordered: Sum of the FarmHash fingerprints of the tokens, modulo 2^64, hexadecimal: the same in any order.
        retired: The number of tokens that are looked up like unknown ones.
        retired_sha256: SHA-256 of their lines, as little-endian int64; empty if there are none.
    """

    num_oov_buckets: int
    tokens: int
    sha256: str
    unordered: str
    retired: int = 0
    retired_sha256: str = ""

    def as_json(self) -> dict[str, Any]:
        """Returns plain values; without retired tokens those that earlier versions wrote."""
        return {name: value for name, value in asdict(self).items() if self.retired or not name.startswith("retired")}

    def differences(self, other: VocabularyIdentity, mine: str, theirs: str) -> Iterator[str]:
        """Yields the differences as texts, for `Identity.differences`."""
        if self.num_oov_buckets != other.num_oov_buckets:
            yield f"num_oov_buckets {self.num_oov_buckets} in {mine}, {other.num_oov_buckets} in {theirs}"
        if self.tokens != other.tokens:
            yield f"{self.tokens:,} tokens in {mine}, {other.tokens:,} in {theirs}"
        elif self.sha256 != other.sha256 and self.unordered == other.unordered:
            yield f"the same {self.tokens:,} tokens in another order"
        elif self.sha256 != other.sha256:
            yield f"{self.tokens:,} tokens in both, but not the same ones"
        if self.retired != other.retired:
            yield f"{self.retired:,} retired tokens in {mine}, {other.retired:,} in {theirs}"
        elif self.retired_sha256 != other.retired_sha256:
            yield f"{self.retired:,} retired tokens in both, but not the same ones"


@dataclass(frozen=True)
class Identity:
    """The meaning of the ids and numbers of a run.

    Attributes:
        fields: For each field the settings that decide its features, as plain values, such as `type` and `max_len`.
        vocabularies: The vocabularies by name.
        numbers: For each numeric field the statistics of train that scale it or replace missing numbers, by name;
            `boundaries` is a SHA-256. Empty if they are unknown, because another program wrote the transform.
    """

    fields: dict[str, dict[str, Any]]
    vocabularies: dict[str, VocabularyIdentity]
    numbers: dict[str, dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Returns plain values, for `from_json`."""
        vocabularies = {name: vocabulary.as_json() for name, vocabulary in self.vocabularies.items()}
        return asdict(self) | {"vocabularies": vocabularies}

    @property
    def vocabularies_sha256(self) -> str:
        """SHA-256 of the vocabularies, hexadecimal: the same for all runs with these tokens under these ids."""
        return hashlib.sha256(json.dumps(self.as_json()["vocabularies"], sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Identity:
        """Returns the identity that `as_json` wrote."""
        vocabularies = {name: VocabularyIdentity(**values) for name, values in content["vocabularies"].items()}
        return cls(content["fields"], vocabularies, content["numbers"])

    def with_retired_of(self, other: Identity) -> Identity:
        """Returns this identity with the retired tokens of another one: only a run's ledgers say which they are."""
        vocabularies = {
            name: replace(vocabulary, retired=found.retired, retired_sha256=found.retired_sha256)
            for name, vocabulary in self.vocabularies.items()
            if (found := other.vocabularies.get(name, vocabulary))
        }
        return replace(self, vocabularies=vocabularies)

    def differences(self, other: Identity, mine: str, theirs: str) -> list[str]:
        """Returns the differences to another identity as texts; none if all ids and numbers have the same meaning.

        A setting or statistic that only one of the two has is not compared: an older version did not write it.

        Args:
            other: The identity to compare with.
            mine: The owner of this identity, in words such as "the model".
            theirs: The owner of the other identity, in words.
        """
        found = [f"fields.{name}: only in {mine}" for name in self.fields if name not in other.fields]
        found += [f"fields.{name}: only in {theirs}" for name in other.fields if name not in self.fields]
        for section, others in ((self.fields, other.fields), (self.numbers, other.numbers)):
            for name, values in section.items():
                found += [
                    f"fields.{name}: {entry} {value!r} in {mine}, {others[name][entry]!r} in {theirs}"
                    for entry, value in values.items()
                    if name in others and others[name].get(entry, value) != value
                ]
        for name, vocabulary in self.vocabularies.items():
            if name in other.vocabularies:
                differences = vocabulary.differences(other.vocabularies[name], mine, theirs)
                found += [f"vocabulary {name}: {difference}" for difference in differences]
        return found


def read_identity(spec: Spec, saved_model: str, retired: Mapping[str, np.ndarray] | None = None) -> Identity:
    """Returns the identity of a transform.

    Args:
        spec: The resolved spec of the run.
        saved_model: The folder with the graph and its `assets/`: the `transform_fn` of a run, or an exported model.
        retired: The lines of retired tokens, int64, of each vocabulary that has some.
    """
    fields = {
        name: field.model_dump(mode="json", exclude=_IGNORED)
        | ({"vocabulary": spec.vocabulary_of(name)} if field.has_vocabulary else {})
        | ({"weighted": field.is_weighted} if field.is_list else {})
        | ({"clip": field.limit} if isinstance(field, NumericField) else {})
        for name, field in spec.fields.items()
    }
    vocabularies = {
        name: _vocabulary(join(saved_model, "assets", name), settings.num_oov_buckets, (retired or {}).get(name))
        for name, settings in spec.resolved_vocabularies().items()
    }
    return Identity(fields, vocabularies, _numbers(spec, join(saved_model, "saved_model.pb")))


def _vocabulary(asset: str, num_oov_buckets: int, retired: np.ndarray | None) -> VocabularyIdentity:
    with tf.io.gfile.GFile(asset, "rb") as file:
        content = file.read()
    tokens = content.split(b"\n")[:-1]
    fingerprints = tf.strings.to_hash_bucket_fast(tf.constant(tokens, tf.string), 2**63 - 1).numpy()
    unordered = f"{int(fingerprints.astype(np.uint64).sum(dtype=np.uint64)):016x}"
    vocabulary = VocabularyIdentity(num_oov_buckets, len(tokens), hashlib.sha256(content).hexdigest(), unordered)
    if retired is None or not len(retired):
        return vocabulary
    lines = hashlib.sha256(retired.astype("<i8").tobytes()).hexdigest()
    return replace(vocabulary, retired=len(retired), retired_sha256=lines)


def _numbers(spec: Spec, graph_file: str) -> dict[str, dict[str, Any]]:
    """Returns the statistics that matter for each numeric field: see `Identity.numbers`.

    The graph of the transform has all statistics in one constant; see `packed_statistics`.
    """
    fields = spec.fields_of(NumericField)
    if not fields or not tf.io.gfile.exists(graph_file):
        return {}
    num_boundaries = {name: (field.quantiles or 1) - 1 for name, field in fields.items()}
    packed = _float64_vector(graph_file, 4 * len(fields) + sum(num_boundaries.values()))
    if packed is None:
        return {}
    numbers: dict[str, dict[str, Any]] = {}
    first = 4 * len(fields)
    for index, (name, field) in enumerate(fields.items()):
        mean, std, low, high = packed[4 * index : 4 * index + 4].tolist()
        used = {"zscore": {"mean": mean, "std": std}, "minmax": {"min": low, "max": high}}
        boundaries = packed[first : first + num_boundaries[name]].astype("<f4")
        first += num_boundaries[name]
        if field.buckets is not None:
            numbers[name] = {"boundaries": hashlib.sha256(boundaries.tobytes()).hexdigest()}
        else:
            numbers[name] = used.get(str(field.scale), {}) | ({"mean": mean} if field.missing == "mean" else {})
    return numbers


def _float64_vector(graph_file: str, length: int) -> np.ndarray | None:
    """Returns the constant vector of a graph with this dtype and length; None if it has none, or several."""
    constants = [
        node.attr["value"].tensor
        for node in read_saved_model(graph_file).meta_graphs[0].graph_def.node
        if node.op == "Const" and node.attr["dtype"].type == tf.float64.as_datatype_enum
    ]
    vectors = [vector for vector in map(tf.make_ndarray, constants) if vector.shape == (length,)]
    return vectors[0] if len(vectors) == 1 else None


def read_saved_model(path: str) -> Any:
    """Returns the SavedModel in the file `saved_model.pb` at `path`."""
    model = SavedModel()
    with tf.io.gfile.GFile(path, "rb") as file:
        model.ParseFromString(file.read())
    return model
