"""Batch prediction: the same scores as the trained model's, and every row is predicted or rejected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from served_model import SPEC, Served, click_row, expected_probabilities, make_served

from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.pipeline.serving.batch_prediction import predict
from fieldpool.transforms.errors import UserError


def predictions(out: Path) -> list[dict[str, Any]]:
    rows = ds.dataset(out / "predictions").to_table().to_pylist()
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def written(tmp_path: Path, rows: list[dict[str, Any]]) -> list[str]:
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "unlabelled.parquet")
    return [str(tmp_path / "unlabelled.parquet")]


def unlabelled(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("click", "part")}


def test_predictions_need_neither_label_nor_split(served: Served, tmp_path: Path) -> None:
    files = written(tmp_path, [unlabelled(row) for row in served.rows])
    assert predict(str(served.model), files, str(tmp_path / "out")) == {"read": 120, "predicted": 120, "rejected": 0}
    found = {row["key"]: row["probability"] for row in predictions(tmp_path / "out")}
    assert found == pytest.approx(expected_probabilities(served), rel=0, abs=1e-6)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["DONE", "predictions", "stats.json"]


def test_json_lines_and_parquet_have_the_same_predictions(served: Served, tmp_path: Path) -> None:
    predict(str(served.export), [str(served.data)], str(tmp_path / "parquet"))
    predict(str(served.export), [str(served.data)], str(tmp_path / "jsonl"), output="jsonl")
    lines = [
        json.loads(line)
        for path in (tmp_path / "jsonl" / "predictions").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert sorted(lines, key=lambda row: row["key"]) == predictions(tmp_path / "parquet")


def test_threads_give_the_same_predictions(served: Served, tmp_path: Path) -> None:
    predict(str(served.export), [str(served.data)], str(tmp_path / "one"))
    predict(str(served.export), [str(served.data)], str(tmp_path / "two"), beam_options(mode="threads", workers=2))
    assert predictions(tmp_path / "two") == predictions(tmp_path / "one")


def test_portable_job_server_gives_the_same_predictions(served: Served, job_server: str, tmp_path: Path) -> None:
    """As on Dataflow, the pipeline is submitted as a protocol buffer and executed by separate workers."""
    portable = beam_options("PortableRunner", [f"--job_endpoint={job_server}", "--environment_type=LOOPBACK"])
    predict(str(served.export), [str(served.data)], str(tmp_path / "one"))
    predict(str(served.export), [str(served.data)], str(tmp_path / "two"), portable)
    assert predictions(tmp_path / "two") == predictions(tmp_path / "one")


def test_invalid_rows_are_rejected_and_counted(served: Served, tmp_path: Path) -> None:
    rows = [unlabelled(click_row(i)) for i in range(10)]
    rows[3]["id"] = None
    rows[5]["watched"] = [-1.0] * len(rows[5]["watched"])
    stats = predict(str(served.export), written(tmp_path, rows), str(tmp_path / "out"))
    assert stats == {"read": 10, "predicted": 8, "rejected": 2}
    assert json.loads((tmp_path / "out" / "stats.json").read_text()) == stats
    (rejected,) = (tmp_path / "out" / "rejected").glob("*.jsonl")
    lines = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert [(row["row"], row["field"]) for row in lines] == [(4, "id"), (6, "watched")]


def test_more_rejected_rows_than_allowed_are_an_error(served: Served, tmp_path: Path) -> None:
    rows = [unlabelled(click_row(i)) | {"id": None} for i in range(3)]
    with pytest.raises(UserError, match=r"3 of 3 rows were rejected, but max_rejected is 2"):
        predict(str(served.export), written(tmp_path, rows), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_predictions_without_a_key_have_source_and_row(tmp_path: Path) -> None:
    spec = {name: value for name, value in SPEC.items() if name not in ("key", "vocabularies")}
    spec["fields"] = {"age": {"type": "numeric"}, "user": {"type": "categorical"}}
    served = make_served(tmp_path, spec, [click_row(i) for i in range(20)], trained=False)
    table = pq.read_table(served.data)
    files = [str(tmp_path / f"{name}.parquet") for name in ("b", "a", "c")]
    for file in files:
        pq.write_table(table, file, row_group_size=7)
    predict(str(served.model), files, str(tmp_path / "out"))
    (part,) = (tmp_path / "out" / "predictions").iterdir()
    found = [(row["source"], row["row"]) for row in pq.read_table(part).to_pylist()]
    assert found == [(file, row) for file in sorted(files) for row in range(1, 21)]  # One worker keeps the order.


def test_key_that_is_not_utf8_is_escaped(served: Served, tmp_path: Path) -> None:
    table = pa.Table.from_pylist([unlabelled(click_row(i)) for i in range(2)])
    keys = pa.array([b"\xff", "é".encode()], pa.binary())
    pq.write_table(table.set_column(0, "id", keys), tmp_path / "rows.parquet")
    predict(str(served.export), [str(tmp_path / "rows.parquet")], str(tmp_path / "out"))
    assert {row["key"] for row in predictions(tmp_path / "out")} == {"\\xff", "é"}


@pytest.mark.parametrize(
    ("model", "data", "out", "message"),
    [
        ("nothing", "rows.parquet", "new", "no exported model"),
        ("model", "none.parquet", "new", "no such file"),
        ("model", "rows.parquet", "run", "exists already"),
    ],
)
def test_mistakes_are_reported_before_the_job_starts(
    served: Served, model: str, data: str, out: str, message: str
) -> None:
    folder = served.run.parent
    with pytest.raises(UserError, match=message):
        predict(str(folder / model), [str(folder / data)], str(folder / out))


def test_missing_column_is_reported(served: Served, tmp_path: Path) -> None:
    files = written(tmp_path, [{"id": "r1", "user": "u1"}])
    with pytest.raises(UserError, match=r"has no column 'item'.* If the spec is that of a run or model, the data must"):
        predict(str(served.export), files, str(tmp_path / "out"))
