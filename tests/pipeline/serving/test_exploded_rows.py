"""Impressions that were shown together, from one row of the file to a run, predictions and `verify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from served_model import Served, make_served

from fieldpool.model.run import Run
from fieldpool.pipeline.rows.prepared_job import prepare_job
from fieldpool.pipeline.rows.rejected import read_rejected
from fieldpool.pipeline.serving.batch_prediction import predict
from fieldpool.pipeline.serving.parity import verify_job

ROWS = 300
COLUMNS = ["impression", "user", "time", "history", "shown"]
SPEC: dict[str, Any] = {
    "source": {
        "header": False,
        "columns": COLUMNS,
        "explode": {"column": "shown", "separator": " ", "into": r"(?P<news>[^-]+)(-(?P<clicked>[01]))?"},
    },
    "key": "impression",
    "label": {"field": "clicked", "positive": ["1"]},
    "split": {"time": "time", "time_format": "%m/%d/%Y %I:%M:%S %p"},
    "max_rejected": 3,
    "vocabularies": {"news": {}},
    "fields": {
        "user": {"type": "categorical"},
        "news": {"type": "categorical", "vocabulary": "news"},
        "history": {"type": "multivalued", "vocabulary": "news", "separator": " ", "max_len": 4},
    },
    "model": {"hidden_units": [4], "embedding_dim": 4},
}


def row_of(i: int) -> dict[str, Any]:
    return {
        "impression": str(i),
        "user": f"U{i % 40}",
        "time": f"11/{11 + i // 60}/2019 {1 + i % 12}:{i % 60:02d}:58 {'AM' if i % 2 else 'PM'}",
        "history": " ".join(f"N{i * k % 50}" for k in range(1, i % 6)),
        "shown": " ".join(f"N{(i + k) % 50}-{int(k == 0)}" for k in range(5)),
    }


@pytest.fixture(scope="module")
def impressions(tmp_path_factory: pytest.TempPathFactory) -> Served:
    rows = [row_of(i) for i in range(ROWS)]
    return make_served(tmp_path_factory.mktemp("impressions"), SPEC, rows, trained=False)


@pytest.fixture
def unlabelled(tmp_path: Path) -> str:
    """A file of 20 rows without labels. One element of row 3 is invalid, row 5 has no elements."""
    rows = [row_of(i) | {"shown": " ".join(f"N{i + k}" for k in range(3))} for i in range(20)]
    rows[2]["shown"] = "N1 N2-7 N3"
    rows[4]["shown"] = " "
    path = tmp_path / "new.tsv"
    path.write_text("".join("\t".join(row.values()) + "\n" for row in rows))
    return str(path)


def test_counts_are_those_of_exploded_rows(impressions: Served) -> None:
    stats = Run(str(impressions.run)).stats
    assert (stats.source_rows, stats.read, stats.rejected, stats.rows()) == (ROWS, 5 * ROWS, 0, 5 * ROWS)
    assert sum(stats.positives.values()) == ROWS
    assert stats.duplicate_keys == 4 * ROWS
    assert stats.columns == ["clicked", "history", "impression", "news", "time", "user"]


def test_predictions_have_the_number_of_row_and_part(impressions: Served, unlabelled: str, tmp_path: Path) -> None:
    counts = {"source_rows": 20, "read": 57, "predicted": 56, "rejected": 1}
    assert predict(str(impressions.model), [unlabelled], str(tmp_path / "out")) == counts
    assert json.loads((tmp_path / "out/stats.json").read_text()) == counts
    table = ds.dataset(tmp_path / "out/predictions").to_table()
    assert [str(field.type) for field in table.schema] == ["string", "string", "string", "float"]
    assert table.schema.names == ["key", "source", "row", "probability"]
    expected = [f"{row}.{part}" for row in range(1, 21) if row != 5 for part in (1, 2, 3)]
    assert table["row"].to_pylist() == [row for row in expected if row != "3.2"]
    (rejected,) = read_rejected(str(tmp_path / "out"))
    assert (rejected["row"], rejected["field"]) == ("3.2", "shown")
    assert rejected["reason"] == "expected an element that matches source.explode.into, found 'N2-7'"


def test_exported_model_agrees_on_exploded_rows(impressions: Served, unlabelled: str) -> None:
    parity = verify_job(prepare_job([unlabelled], run=str(impressions.run), model=str(impressions.model)))
    assert (parity.holds, parity.rows, parity.rejected) == (True, 56, 1)
