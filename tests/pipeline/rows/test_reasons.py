"""Every rejection reason: a file with a row that is rejected for it, and the number of that row."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.sources.batches import Reason
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.transforms.spec import Spec
from fieldpool.transforms.spec.inputs import raw_columns

SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "y"},
    "split": {"column": "s"},
    "limits": {"value_bytes": 20, "list_values": 4},
    "fields": {
        "user": {"type": "categorical", "missing": "reject", "text": "utf8"},
        "tags": {"type": "multivalued", "separator": "|", "empty": "reject", "weights": "w"},
        "age": {"type": "numeric"},
    },
}
COLUMNS = ("id", "y", "s", "user", "tags", "w", "age")
GOOD = {"id": "1", "y": "1", "s": "train", "user": "u", "tags": "a|b", "w": "1|2", "age": "3"}
BY_HASH, BY_TIME = {"split": {"hash": "s"}}, {"split": {"time": "s", "eval_from": 1, "test_from": 2}}


def csv(**changes: str) -> Callable[[Path], Path]:
    """Returns a function that writes a CSV file whose second row has the changes."""

    def write(folder: Path) -> Path:
        path = folder / "rows.csv"
        rows = [COLUMNS, GOOD.values(), (GOOD | changes).values(), GOOD.values()]
        path.write_bytes(b"".join(",".join(row).encode("latin-1") + b"\n" for row in rows))
        return path

    return write


def text(name: str, *lines: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text("\n".join(lines) + "\n")
        return folder / name

    return write


def lists(folder: Path) -> Path:
    columns = {name: [value] * 3 for name, value in GOOD.items()} | {"user": [["u"], ["u", "v"], ["u"]]}
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return folder / "rows.parquet"


def tfrecords(folder: Path) -> Path:
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()])) for name, value in GOOD.items()
    }
    good = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    with tf.io.TFRecordWriter(str(folder / "rows.tfrecord")) as file:
        for record in (good, b"no example", good):
            file.write(record)
    return folder / "rows.tfrecord"


JSON = '{"id": "1", "y": 1, "s": "train", "user": "u", "tags": "a|b", "w": "1|2", "age": 3}'

JSON_LISTS = {"fields": {"tags": {"type": "multivalued", "list": "json"}}}

CASES: dict[Reason, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    Reason.WRONG_WIDTH: (text("rows.csv", ",".join(COLUMNS), ",".join(GOOD.values()), "1,2"), {}),
    Reason.UNCLOSED_QUOTE: (csv(user='"u'), {}),
    Reason.TEXT_AFTER_QUOTE: (csv(user='"u"u'), {}),
    Reason.NO_JSON_OBJECT: (text("rows.jsonl", JSON, "{broken", JSON), {}),
    Reason.NESTED_VALUE: (text("rows.jsonl", JSON, JSON.replace('"u"', '{"a": 1}'), JSON), {}),
    Reason.WRONG_PATH: (
        text("rows.jsonl", *[JSON.replace('"u"', user) for user in ('{"id": "u"}', '"u"')]),
        {"fields": {"user": {"type": "categorical", "column": "user.id"}}},
    ),
    Reason.TEXT_ON_PATH: (
        text("rows.jsonl", *[JSON.replace('"a|b"', tags) for tags in ('[{"id": "a"}]', '"a"')]),
        {"fields": {"tags": {"type": "multivalued", "column": "tags[].id"}}},
    ),
    Reason.NO_FFM: (
        text("rows.ffm", "1 0:u:1 1:train:1", "1 0:u:1 1:train"),
        {"label": {"field": "c0"}, "split": {"hash": "1"}, "key": None, "fields": {"0": {"type": "categorical"}}},
    ),
    Reason.NO_EXAMPLE: (tfrecords, {}),
    Reason.NO_MATCH: (
        csv(user="u5"),
        {"source": {"explode": {"column": "user", "separator": " ", "into": "(?P<user>u)"}}},
    ),
    Reason.NO_KEY: (csv(id=""), {}),
    Reason.NO_LABEL: (csv(y=""), {}),
    Reason.NO_VALUE: (csv(user=""), {}),
    Reason.EMPTY_LIST: (csv(tags="", w=""), {}),
    Reason.NO_LIST: (text("rows.jsonl", *[JSON.replace('"a|b"', tags) for tags in ('"[]"', '"a|b"')]), JSON_LISTS),
    Reason.WRONG_LABEL: (csv(y="2"), {}),
    Reason.NO_LABEL_WEIGHT: (csv(age=""), {"label": {"field": "y", "weight": "age"}}),
    Reason.WRONG_LABEL_WEIGHT: (csv(age="-1"), {"label": {"field": "y", "weight": "age"}}),
    Reason.NO_NUMBER: (csv(y="good"), {"label": {"field": "y", "positive": ">= 1"}}),
    Reason.NOT_FINITE: (csv(age="inf"), {}),
    Reason.UNKNOWN_SPLIT: (csv(s="dev"), {}),
    Reason.NO_TIME: (csv(s="soon"), BY_TIME),
    Reason.NOTHING_TO_HASH: (csv(s=""), BY_HASH),
    Reason.SEVERAL_VALUES: (lists, {}),
    Reason.WRONG_WEIGHTS: (csv(w="1"), {}),
    Reason.WRONG_WEIGHT: (csv(w="1|-1"), {}),
    Reason.OTHER_LENGTH: (csv(w="1"), {"fields": {"w": {"type": "vector", "length": 2, "separator": "|"}}}),
    Reason.INVALID_UTF8: (csv(user="\xff"), {}),
    Reason.LONG_VALUE: (csv(user="u" * 21), {}),
    Reason.LONG_LIST: (csv(tags="a|b|c|d|e", w="1|1|1|1|1"), {}),
}


def test_every_reason_has_a_case() -> None:
    of_models = {Reason.NAN_PROBABILITY}  # Not of rows: see tests/pipeline/serving/test_nan.py.
    assert set(CASES) == set(Reason) - of_models


@pytest.mark.parametrize("reason", CASES, ids=lambda reason: reason.name)
def test_second_row_is_rejected_for_the_reason(reason: Reason, tmp_path: Path) -> None:
    write, changes = CASES[reason]
    spec = Spec.model_validate(SPEC | changes)
    batches = read_batches(str(write(tmp_path)), spec.source, raw_columns(spec))
    rejected = [row for batch in batches for row in check_rows(batch, spec).rejected]
    fixed = ".+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", reason))
    (second,) = [row.reason for row in rejected if str(row.row) in ("2", "2.1")]
    assert re.match(fixed, second)
