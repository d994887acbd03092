"""The text of a typed value: the same from every format, and unchanged where it is text already."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from fieldpool.pipeline.rows.columns import tokens
from fieldpool.pipeline.rows.texts import texts_of
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.transforms.spec import Source

NOON = datetime(2024, 1, 31, 12, 0, 0)
FIRST, LAST = datetime.min, datetime.max
# The text of a time that no calendar of Arrow has, with its number.
FAR = b"<value out of range: %d>"


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["True", " a", ""], pa.string(), [b"True", b" a", b""]),
        ([b"\xff"], pa.binary(), [b"\xff"]),
        ([True, False, None], pa.bool_(), [b"true", b"false", None]),
        ([7, -1], pa.int8(), [b"7", b"-1"]),
        ([2**64 - 1], pa.uint64(), [b"18446744073709551615"]),
        ([0.1, 1 / 3, 2.5], pa.float32(), [b"0.1", b"0.33333334", b"2.5"]),
        ([0.1, 1 / 3, 2.5], pa.float64(), [b"0.1", b"0.3333333333333333", b"2.5"]),
        ([0.5, 3.0], pa.float16(), [b"0.5", b"3"]),
        ([3.0, -0.0, 2.0**53, 1e16], pa.float64(), [b"3", b"0", b"9007199254740992", b"10000000000000000"]),
        ([2.0**64, float("inf"), float("nan")], pa.float64(), [b"18446744073709551616", b"inf", None]),
        ([Decimal("1.50")], pa.decimal128(5, 2), [b"1.50"]),
        ([date(2024, 1, 31)], pa.date32(), [b"2024-01-31"]),
        ([NOON, None], pa.timestamp("s"), [b"2024-01-31T12:00:00Z", None]),
        (
            [NOON, NOON.replace(microsecond=500_000)],
            pa.timestamp("ms"),
            [b"2024-01-31T12:00:00Z", b"2024-01-31T12:00:00.5Z"],
        ),
        ([NOON], pa.timestamp("ns"), [b"2024-01-31T12:00:00Z"]),
        ([1_706_702_400_123_456_789], pa.timestamp("ns"), [b"2024-01-31T12:00:00.123456789Z"]),
        ([FIRST, LAST], pa.timestamp("us"), [b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:59.999999Z"]),
        ([FIRST, LAST], pa.timestamp("us", "Asia/Tokyo"), [b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:59.999999Z"]),
        ([FIRST.date(), LAST.date()], pa.date32(), [b"0001-01-01", b"9999-12-31"]),
        ([FIRST.date(), LAST.date()], pa.date64(), [b"0001-01-01", b"9999-12-31"]),
        ([971_859_427_200], pa.timestamp("s"), [b"32767-01-01T00:00:00Z"]),
        ([10**12, None, -2 * 10**12], pa.timestamp("s"), [FAR % 10**12, None, FAR % (-2 * 10**12)]),
        ([2**62], pa.timestamp("ms", "Asia/Tokyo"), [FAR % 2**62]),
        ([NOON.replace(tzinfo=UTC)], pa.timestamp("us", "Asia/Tokyo"), [b"2024-01-31T12:00:00Z"]),
    ],
)
def test_text_of_a_typed_value(values: list[Any], kind: pa.DataType, expected: list[bytes | None]) -> None:
    assert texts_of(pa.array(values, kind), "c").to_pylist() == expected


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_the_text_of_a_float_gives_the_same_float(values: list[float]) -> None:
    texts = texts_of(pa.array(values, pa.float32()), "c").to_pylist()
    assert [np.float32(text.decode()) for text in texts] == [np.float32(value) for value in values]


def rows_of(path: Path) -> list[bytes | None]:
    return [
        token
        for batch in read_batches(str(path), Source(), ["c"])
        if batch.data.num_rows
        for token in tokens(batch.data["c"], "c").values.to_pylist()
    ]


def write(path: Path, values: list[Any], kind: pa.DataType) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"c": pa.array(values, kind)}), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"c": value}) + "\n" for value in values))
    else:
        of_kind = {pa.float32(): "float_list", pa.int64(): "int64_list"}[kind]
        with tf.io.TFRecordWriter(str(path)) as writer:
            for value in values:
                example = tf.train.Example()
                getattr(example.features.feature["c"], of_kind).value.append(value)
                writer.write(example.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("values", "kind", "names"),
    [
        ([0.1, 3.0, 2.5], pa.float32(), ["a.parquet", "a.jsonl", "a.tfrecord"]),
        ([1, 20], pa.int64(), ["a.parquet", "a.jsonl", "a.tfrecord"]),
        ([1.0, 20.0], pa.float64(), ["a.parquet", "a.jsonl"]),
        ([1e16, 2.0**60], pa.float64(), ["a.parquet", "a.jsonl"]),
        ([True, False], pa.bool_(), ["a.parquet", "a.jsonl"]),
    ],
)
def test_every_format_gives_the_same_tokens(
    values: list[Any], kind: pa.DataType, names: list[str], tmp_path: Path
) -> None:
    found = [rows_of(write(tmp_path / name, values, kind)) for name in names]
    assert found == [found[0]] * len(names)
    assert None not in found[0]
