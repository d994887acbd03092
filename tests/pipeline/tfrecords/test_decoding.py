"""Decoded examples: the ids of each field beside their tokens; damaged files of examples are an error in words."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from handmade_run import Row, write_run
from served_model import Served

from fieldpool.model.examples import feature_spec
from fieldpool.pipeline.tfrecords.decoding import DecodedField, decoded_examples
from fieldpool.transforms.errors import Damaged, UserError
from fieldpool.transforms.runs.run import Run

SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "click"},
    "split": {"column": "part"},
    "fields": {
        "city": {"type": "categorical", "num_oov_buckets": 2},
        "tags": {"type": "multivalued", "max_len": 3, "weights": "seconds"},
        "age": {"type": "numeric"},
        "price": {"type": "numeric", "scale": {"quantiles": 4}},
    },
}
TOKENS = {"city": [b"rome", b"\xff"], "tags": [b"a", b"b"]}


def row(key: str, **changes: list[Any]) -> Row:
    values: Row = {"key": [key.encode()], "label": [1.0], "city": [3], "age": [0.5], "price": [2]}
    return values | {"tags": [3, 1, 0], "tags_weights": [0.25, 4.0, 0.0]} | changes


def run_of(folder: Path, *shards: list[Row]) -> Run:
    return Run(write_run(folder / "run", SPEC, TOKENS, {"train": shards}))


def test_ids_are_shown_beside_tokens_and_without_padding(tmp_path: Path) -> None:
    (example,) = decoded_examples(run_of(tmp_path, [row("k1")]), "train", 9)
    assert (example.key, example.label) == ("k1", 1.0)
    assert example.fields == {
        "city": DecodedField(["rome"], [3]),
        "tags": DecodedField(["b", "[OOV 1]"], [3, 1], padding=1, weights=[0.25, 4.0]),
        "age": DecodedField([], [], number=0.5),
        "price": DecodedField(["bucket 2"], [2]),
    }


@pytest.mark.parametrize(
    ("city", "token"), [(0, []), (1, ["[OOV 1]"]), (2, ["[OOV 2]"]), (3, ["rome"]), (4, ["\\xff"])]
)
def test_every_id_has_a_name(city: int, token: list[str], tmp_path: Path) -> None:
    (example,) = decoded_examples(run_of(tmp_path, [row("k", city=[city])]), "train", 1)
    assert example.fields["city"].tokens == token


@pytest.mark.parametrize(("limit", "keys"), [(1, "a"), (2, "ab"), (3, "abc"), (9, "abcd")])
def test_the_first_examples_are_in_the_order_of_the_files(limit: int, keys: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, [row("a"), row("b")], [row("c"), row("d")])
    assert [example.key for example in decoded_examples(run, "train", limit)] == list(keys)


def test_a_split_without_examples_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no examples in the eval split"):
        next(decoded_examples(run_of(tmp_path, [row("a")]), "eval", 1))


def test_values_are_those_that_tensorflow_reads(served: Served) -> None:
    run = Run(str(served.run))
    records = tf.data.TFRecordDataset(run.shards("train"), "GZIP")
    parsed = [tf.io.parse_single_example(record, feature_spec(run.spec)) for record in records]
    for example, expected in zip(decoded_examples(run, "train", 10**6), parsed, strict=True):
        assert example.label == float(expected["label"])
        for name, field in example.fields.items():
            values = [*field.ids, *[0] * field.padding] if field.number is None else [field.number]
            assert values == np.atleast_1d(expected[name]).tolist()


def of_records(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Returns the function that changes the records in a compressed file."""
    return lambda content: gzip.compress(change(gzip.decompress(content)))


def with_other_byte(records: bytes, at: int) -> bytes:
    return records[:at] + bytes([records[at] ^ 1]) + records[at + 1 :]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content[:-20], "end-of-stream"),
        (lambda content: b"PAR1", "Not a gzipped file"),
        (of_records(lambda records: records[:-1]), "truncated: it ends inside record 2"),
        (of_records(lambda records: with_other_byte(records, 3)), "record 1 has a wrong checksum of its length"),
        (of_records(lambda records: with_other_byte(records, 20)), "record 1 has a wrong checksum"),
    ],
)
def test_a_damaged_file_is_an_error(change: Callable[[bytes], bytes], reason: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, [row("a"), row("b")])
    (path,) = map(Path, run.shards("train"))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(Damaged, match=rf"^{path}: missing, damaged .*{reason}"):
        list(decoded_examples(run, "train", 9))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"city": [5]}, "feature 'city': expected ids from 0 to 4, found 5"),
        ({"city": [-1]}, "feature 'city': expected ids from 0 to 4, found -1"),
        ({"city": [1.5]}, "feature 'city': expected ids from 0 to 4, found 1.5"),
        ({"tags": [1]}, "feature 'tags': expected 3 values, found 1"),
        ({"tags_weights": [1.0]}, "feature 'tags_weights': expected 3 values, found 1"),
        ({"age": [b"old"]}, "could not convert"),
    ],
)
def test_an_example_that_does_not_fit_the_run_is_an_error(
    changes: dict[str, list[Any]], reason: str, tmp_path: Path
) -> None:
    run = run_of(tmp_path, [row("a", **changes)])
    with pytest.raises(Damaged, match=reason):
        list(decoded_examples(run, "train", 1))
