"""A column that no row of any file has: an error, or a warning where a job on new rows should not stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from mutated_inputs import framed

from fieldpool.pipeline.sources.readers import check_input, read_batches, usable_columns
from fieldpool.transforms.errors import FieldpoolWarning, SourceError
from fieldpool.transforms.spec import Source


def features(row: dict[str, int]) -> tf.train.Features:
    int64 = {name: tf.train.Int64List(value=[value]) for name, value in row.items()}
    return tf.train.Features(feature={name: tf.train.Feature(int64_list=value) for name, value in int64.items()})


def tfrecords(rows: list[dict[str, int]]) -> bytes:
    return framed([tf.train.Example(features=features(row)).SerializeToString() for row in rows])


def json_lines(rows: list[dict[str, int]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


Write = Callable[..., list[str]]
FORMATS: dict[str, Callable[[list[dict[str, int]]], bytes]] = {"jsonl": json_lines, "tfrecord": tfrecords}


@pytest.fixture(params=FORMATS)
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Writes files of the given rows."""

    def write_files(*files: list[dict[str, int]]) -> list[str]:
        paths = [tmp_path / f"{number}.{request.param}" for number in range(len(files))]
        for path, rows in zip(paths, files, strict=True):
            path.write_bytes(FORMATS[request.param](rows))
        return [str(path) for path in paths]

    return write_files


def test_column_that_no_row_has_is_an_error_that_names_the_others(write: Write) -> None:
    files = write([{"user_id": 1}, {"item": 2}])
    with pytest.raises(SourceError, match=r"0\.\w+: has no column 'user'; it has 'item', 'user_id'"):
        check_input(files, Source(), ["user", "item"])
    with pytest.raises(SourceError, match=r"0\.\w+ and 1 more: has no column 'user'"):
        check_input([*files, *files], Source(), ["user", "item"])


def test_optional_column_that_no_row_has_is_a_warning(write: Write) -> None:
    with pytest.warns(FieldpoolWarning, match=r"no row has 'user', so all values count as missing; found 'user_id'"):
        check_input(write([{"user_id": 1}]), Source(), ["user"], is_optional=True)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("is_optional", [True, False])
def test_column_may_be_absent_from_rows_and_files(write: Write, is_optional: bool) -> None:
    files = write([{"a": 1}], [], [{"a": 2}, {"b": 3}])
    assert check_input(files, Source(), ["a", "b"], is_optional=is_optional) == ["a", "b"]
    read = [value for batch in read_batches(files[0], Source(), ["a", "b"]) for value in batch.data["b"].to_pylist()]
    assert read == [None]


def sequence(context: dict[str, int], **lists: int) -> bytes:
    feature_list = {name: tf.train.FeatureList(feature=[tf.train.Feature()] * n) for name, n in lists.items()}
    return tf.train.SequenceExample(
        context=features(context), feature_lists=tf.train.FeatureLists(feature_list=feature_list)
    ).SerializeToString()


@pytest.mark.parametrize("read", [usable_columns, lambda files, source: list(read_batches(files[0], source, ["a"]))])
@pytest.mark.parametrize("context", [{}, {"a": 1}, {f"feature {i}": i for i in range(2000)}])
def test_feature_lists_are_an_error(tmp_path: Path, context: dict[str, int], read: Callable[..., Any]) -> None:
    path = tmp_path / "rows.tfrecord"
    path.write_bytes(framed([sequence({"a": 1}), sequence(context, items=2, clicks=0)]))
    with pytest.raises(SourceError, match=r"rows.tfrecord: record 2 is a tf.SequenceExample.*: 'clicks', 'items'\."):
        read([str(path)], Source())
