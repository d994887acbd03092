"""Mutated inputs: whatever stands in a file, each row is taken or rejected, or an error tells the user why not.

`make test-faults` tries a thousand of each kind (FUZZ sets another number), the default suite a few.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fieldpool.pipeline.rows.checks import check_rows, raw_columns
from fieldpool.pipeline.sources.ranges import file_ranges
from fieldpool.pipeline.sources.readers import SourceBatch, read_batches, read_range
from fieldpool.pipeline.spec_file import dump_spec, parse_spec, parse_yaml
from fieldpool.transforms.errors import SpecError, UserError
from fieldpool.transforms.spec import Spec

MANY, FEW = int(os.environ.get("FUZZ", "1000")), 20

SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "click"},
    "split": {"column": "part"},
    "max_rejected": 100,
    "limits": {"value_bytes": 1000, "list_values": 100},
    "vocabularies": {"items": {"num_oov": 2}},
    "fields": {
        "user": {"type": "categorical", "missing": "reject", "text": "utf8"},
        "item": {"type": "categorical", "vocabulary": "items"},
        "tags": {"type": "multivalued", "separator": "|", "max_len": 3, "weights": "w", "vocabulary": "items"},
        "age": {"type": "numeric", "scale": {"quantiles": 4}},
    },
}
PARSED = Spec.model_validate(SPEC)
COLUMNS = raw_columns(PARSED)
ROWS = [
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

# What a byte is turned into: the letters that structure is made of, and any.
PIECES = st.one_of(
    st.sampled_from(
        [b'"', b"\n", b"\r\n", b"\r", b",", b"|", b"\0", b"\xff", b"{", b"}", b"[", b"]", b":", b"-", b"1e999"]
    ),
    st.sampled_from([b"null", b"NaN", b"&a ", b"*a", b"!!int ", b"  ", b"\t", b"\xef\xbb\xbf", b"\\ud800", b"9" * 40]),
    st.binary(max_size=4),
)
MUTATIONS = st.lists(
    st.tuples(st.sampled_from(["insert", "replace", "delete", "repeat", "cut"]), st.floats(0, 1), PIECES), max_size=6
)


def mutated(text: bytes, mutations: list[tuple[str, float, bytes]]) -> bytes:
    for kind, place, piece in mutations:
        at = int(place * len(text))
        if kind == "cut":
            text = text[:at]
        elif kind == "repeat":
            text = text[:at] + text[at : at + 20] * 2 + text[at + 20 :]
        else:
            text = text[:at] + (piece if kind != "delete" else b"") + text[at + (kind != "insert") * len(piece) :]
    return text


def fuzz(many: bool, **strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        tried = settings(
            max_examples=MANY if many else FEW,
            deadline=20_000,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=not many,
        )
        return tried(given(**strategies)(test))

    return decorate


def taken_and_rejected(batches: Iterator[SourceBatch]) -> list[int]:
    """Returns the numbers of all rows that a source gives, after the row checks: each is taken or rejected."""
    numbers: list[int] = []
    for batch in batches:
        rows, splits, rejected = check_rows(batch, PARSED)
        read = batch.data.num_rows + len(batch.rejected)
        assert rows.num_rows + len(rejected) == read
        assert len(splits) == rows.num_rows
        refused = [row.row for row in rejected]
        assert set(refused) <= {*batch.rows.tolist(), *(row.row for row in batch.rejected)}
        assert all(row.reason and row.field for row in rejected)
        numbers += [*batch.rows.tolist(), *(row.row for row in batch.rejected)]
    return numbers


def read(name: str, content: bytes) -> list[int] | None:
    """Returns the sorted numbers of the rows of a file; None if the user is told that it cannot be read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            return sorted(taken_and_rejected(read_batches(str(path), PARSED.source, COLUMNS)))
        except UserError as error:
            told = str(error)
        assert str(path) in told or "column" in told
        return None


def csv_bytes() -> bytes:
    lines = [",".join(COLUMNS)] + [",".join(f'"{row[name]}"' for name in COLUMNS) for row in ROWS]
    return "\n".join([*lines, ""]).encode()


def jsonl_bytes() -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def parquet_bytes() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file, row_group_size=2)
    return file.getvalue()


def tfrecord_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows")
        with tf.io.TFRecordWriter(path) as writer:
            for row in ROWS:
                features = {
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(value).encode()]))
                    for name, value in row.items()
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
        return Path(path).read_bytes()


def csv_structure(mutations: list[tuple[str, float, bytes]]) -> None:
    content = mutated(csv_bytes(), mutations)
    numbers = read("rows.csv", content)
    if numbers is not None:
        assert numbers == list(range(1, len(numbers) + 1))
        assert numbers or len([line for line in content.splitlines() if line]) < 3
    with tempfile.TemporaryDirectory() as folder:  # In ranges of a few rows, the file has the same rows.
        path = Path(folder, "rows.csv")
        path.write_bytes(content)
        try:
            parts = file_ranges(str(path), PARSED.source, 100)
            in_ranges = [n for part in parts for n in taken_and_rejected(read_range(part, PARSED.source, COLUMNS))]
        except UserError:
            return
        assert numbers is None or sorted(in_ranges) == numbers


def json_lines(mutations: list[tuple[str, float, bytes]]) -> None:
    content = mutated(jsonl_bytes(), mutations)
    numbers = read("rows.jsonl", content)
    lines = [line for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    assert numbers is None or numbers == list(range(1, len(lines) + 1))


def tfrecord_structure(mutations: list[tuple[str, float, bytes]]) -> None:
    content = mutated(tfrecord_bytes(), mutations)
    numbers = read("rows.tfrecord", content)
    if numbers is not None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            assert numbers == list(range(1, 1 + sum(1 for _ in tf.data.TFRecordDataset(file.name))))


def parquet_structure(mutations: list[tuple[str, float, bytes]]) -> None:
    numbers = read("rows.parquet", mutated(parquet_bytes(), mutations))
    assert numbers is None or numbers == list(range(1, len(numbers) + 1))


def spec_text(mutations: list[tuple[str, float, bytes]]) -> None:
    text = mutated(yaml.safe_dump(SPEC).encode(), mutations).decode("utf-8", "replace")
    try:
        spec = parse_spec(parse_yaml(text, "spec.yaml"), "spec.yaml")
    except SpecError as error:
        told = str(error)
    else:
        assert parse_spec(parse_yaml(dump_spec(spec), "again"), "again") == spec
        return
    assert told.startswith("spec.yaml: ")


SINGLE = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates())
VALUES = st.one_of(SINGLE, st.lists(SINGLE, max_size=4), st.dictionaries(st.text(max_size=2), SINGLE, max_size=2))


def rows_of_any_kind(column: str, values: list[Any]) -> None:
    rows = [row | {column: value} for row, value in zip(ROWS, values, strict=False)]
    lines = "".join(json.dumps(row, default=str) + "\n" for row in rows)
    assert read("rows.jsonl", lines.encode()) in (None, list(range(1, len(rows) + 1)))
    try:
        data = pa.RecordBatch.from_pylist(rows)
    except (pa.ArrowException, OverflowError):
        return  # No column can hold them.
    batch = SourceBatch("rows", np.arange(1, len(rows) + 1), data)
    told = ""
    try:
        assert len(taken_and_rejected(iter([batch]))) == len(rows)
    except UserError as error:
        told = str(error)
    assert not told or repr(column) in told


KINDS = [csv_structure, json_lines, tfrecord_structure, parquet_structure, spec_text]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_few_mutated_files(kind: Callable[..., None]) -> None:
    fuzz(False, mutations=MUTATIONS)(kind)()


def test_a_few_rows_of_any_kind() -> None:
    fuzz(False, column=st.sampled_from(COLUMNS), values=st.lists(VALUES, min_size=1, max_size=6))(rows_of_any_kind)()


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_mutated_files(kind: Callable[..., None]) -> None:
    fuzz(True, mutations=MUTATIONS)(kind)()


@pytest.mark.faults
def test_rows_of_any_kind() -> None:
    fuzz(True, column=st.sampled_from(COLUMNS), values=st.lists(VALUES, min_size=1, max_size=6))(rows_of_any_kind)()
