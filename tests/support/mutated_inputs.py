"""Inputs of `test_fuzz.py`: a spec, files of a few rows in each format, and what hypothesis changes in them."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from hypothesis import assume
from hypothesis import strategies as st

from fieldpool.transforms.spec import Spec
from fieldpool.transforms.spec.inputs import raw_columns

SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "click"},
    "split": {"column": "part"},
    "max_rejected": 100,
    "limits": {"value_bytes": 1000, "list_values": 100},
    "vocabularies": {"items": {"num_oov_buckets": 2}},
    "fields": {
        "user": {"type": "categorical", "missing": "reject", "text": "utf8"},
        "item": {"type": "categorical", "vocabulary": "items"},
        "tags": {"type": "multivalued", "separator": "|", "max_len": 3, "weights": "w", "vocabulary": "items"},
        "age": {"type": "numeric", "scale": {"quantiles": 4}},
    },
}
PARSED = Spec.model_validate(SPEC)
COLUMNS = raw_columns(PARSED)
ROWS: list[dict[str, Any]] = [
    {
        "id": f"r{i}",
        "click": i % 2,
        "part": "train",
        "user": f"ü{i}",
        "item": "a,b",
        "tags": "x|y",
        "w": "1|0.5",
        "age": i,
    }
    for i in range(6)
]
NUMBERS = list(range(1, len(ROWS) + 1))
# The row that `texts_of_one_row` and `example_in_tfrecord` mutate.
MUTATED = 3

# Bytes that mutations insert: the delimiters and special values of formats, and any others.
PIECES = st.one_of(
    st.sampled_from(
        [b'"', b"\n", b"\r\n", b"\r", b",", b"|", b"\0", b"\xff", b"{", b"}", b"[", b"]", b":", b"-", b"1e999"]
    ),
    st.sampled_from([b"null", b"NaN", b"&a ", b"*a", b"!!int ", b"  ", b"\t", b"\xef\xbb\xbf", b"\\ud800", b"9" * 40]),
    st.binary(max_size=4),
)
Mutations = list[tuple[str, float, bytes]]
MUTATIONS: st.SearchStrategy[Mutations] = st.lists(
    st.tuples(st.sampled_from(["insert", "replace", "delete", "repeat", "truncate"]), st.floats(0, 1), PIECES),
    min_size=1,
    max_size=6,
)
SINGLE = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates())
VALUES = st.one_of(SINGLE, st.lists(SINGLE, max_size=4), st.dictionaries(st.text(max_size=2), SINGLE, max_size=2))
MANY_VALUES = st.lists(VALUES, min_size=1, max_size=6)


def mutated(original: bytes, mutations: Mutations) -> bytes:
    """Returns the mutated bytes; hypothesis discards mutations that change nothing."""
    text = original
    for kind, position, piece in mutations:
        at = int(position * len(text))
        if kind == "truncate":
            text = text[:at]
        elif kind == "repeat":
            text = text[:at] + text[at : at + 20] * 2 + text[at + 20 :]
        else:
            text = text[:at] + (piece if kind != "delete" else b"") + text[at + (kind != "insert") * len(piece) :]
    assume(text != original)
    return text


def _entries(kind: type, section: dict[str, Any] = SPEC, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Returns the paths of the spec's entries whose values are of a type."""
    found = []
    for name, value in section.items():
        if isinstance(value, kind):
            found.append((*path, name))
        if isinstance(value, dict):
            found += _entries(kind, value, (*path, name))
    return found


# A path and its new value: any value for any entry, a number for a number, a text for a text.
ENTRIES = st.one_of(
    st.tuples(st.sampled_from(_entries(object)), VALUES),
    st.tuples(st.sampled_from(_entries(int)), st.integers(0, 10_000)),
    st.tuples(st.sampled_from(_entries(str)), st.text(max_size=8)),
)


def csv_bytes() -> bytes:
    """Returns the rows as a CSV file, every value quoted."""
    lines = [",".join(COLUMNS)] + [",".join(f'"{row[name]}"' for name in COLUMNS) for row in ROWS]
    return "\n".join([*lines, ""]).encode()


def jsonl_bytes() -> bytes:
    """Returns the rows as a JSON Lines file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def parquet_bytes(rows: list[dict[str, Any]] = ROWS) -> bytes:
    """Returns the rows as a Parquet file of several row groups."""
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=2)
    return file.getvalue()


def tfrecord_bytes(rows: list[dict[str, Any]] = ROWS) -> bytes:
    """Returns the rows as a TFRecord file of tf.Examples."""
    return framed(examples(rows))


def framed(records: list[bytes]) -> bytes:
    """Returns a TFRecord file of these records, with their checksums."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows")
        with tf.io.TFRecordWriter(path) as writer:
            for record in records:
                writer.write(record)
        return Path(path).read_bytes()


def examples(rows: list[dict[str, Any]] = ROWS) -> list[bytes]:
    """Returns each row as a serialized tf.Example: tags and weights are lists, not separated texts."""
    records = []
    for row in rows:
        lists = {"tags": as_bytes(row["tags"]).split(b"|"), "w": [1.0, 0.5]}
        features = tf.train.Features(feature={name: _feature(value) for name, value in (row | lists).items()})
        records.append(tf.train.Example(features=features).SerializeToString())
    return records


def _feature(value: Any) -> tf.train.Feature:
    values = value if isinstance(value, list) else [value]
    if isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=map(as_bytes, values)))


def as_bytes(value: str | bytes) -> bytes:
    """Returns a text in UTF-8."""
    return value.encode() if isinstance(value, str) else value


FILES: dict[str, Callable[[], bytes]] = {
    "rows.csv": csv_bytes,
    "rows.jsonl": jsonl_bytes,
    "rows.parquet": parquet_bytes,
    "rows.tfrecord": tfrecord_bytes,
}
