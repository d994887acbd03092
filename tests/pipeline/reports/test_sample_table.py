"""The rows of a sample as one table, also if their batches have different types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fieldpool.pipeline.reports.data_profile import profile_data
from fieldpool.pipeline.reports.sample_table import sample_table


def table_of(*columns: pa.Array) -> pa.Table:
    return sample_table([pa.record_batch({"a": column}) for column in columns])


@pytest.mark.parametrize(
    ("columns", "kind", "values"),
    [
        ([pa.array([1, None]), pa.array([2.5])], pa.float64(), [1.0, None, 2.5]),
        ([pa.nulls(1), pa.array([1])], pa.int64(), [None, 1]),
        ([pa.array([1, None]), pa.array(["x"])], pa.large_binary(), [b"1", None, b"x"]),
        ([pa.array([True]), pa.array([2.0])], pa.large_binary(), [b"true", b"2"]),
        ([pa.array([2**62]), pa.array([0.5])], pa.large_binary(), [str(2**62).encode(), b"0.5"]),
        ([pa.array(["x"]), pa.array([["y", "z"]])], pa.large_list(pa.large_binary()), [[b"x"], [b"y", b"z"]]),
        ([pa.array([[1]]), pa.array([["y"], None])], pa.large_list(pa.large_binary()), [[b"1"], [b"y"], []]),
    ],
)
def test_types_are_promoted_or_become_text(columns: list[pa.Array], kind: pa.DataType, values: list[Any]) -> None:
    table = table_of(*columns)
    assert table["a"].type == kind
    assert table["a"].to_pylist() == values


def test_column_that_a_batch_lacks_is_missing_there() -> None:
    batches = [pa.record_batch({"a": [1]}), pa.record_batch({"b": ["x"]})]
    assert sample_table(batches).to_pydict() == {"a": [1, None], "b": [None, "x"]}


def test_profile_of_json_lines_whose_values_change_their_type(tmp_path: Path) -> None:
    def rows(values: list[Any]) -> str:
        return "".join(
            json.dumps({"user": values[i % len(values)], "label": i % 2, "tags": tags(i)}) + "\n" for i in range(60)
        )

    def tags(i: int) -> Any:
        return ["x", "y"] if i % 3 else "x"

    (tmp_path / "a.jsonl").write_text(rows([1, 2, 3]))
    (tmp_path / "b.jsonl").write_text(rows(["one", "two"]))
    found = profile_data([str(tmp_path / "*.jsonl")], label="label")
    assert found.spec.fields["user"].type == "categorical"
    assert found.spec.fields["tags"].type == "multivalued"
    assert sum(found.rows.values()) == 120
