"""A NaN is never written as a probability, and is never a difference from another NaN."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import keras
import numpy as np
import pyarrow as pa
import pytest
from served_model import Served

from fieldpool.model.export import export_model
from fieldpool.model.run import Run
from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.rows.read_rows import ReadBatches
from fieldpool.pipeline.serving.batch_prediction import predict
from fieldpool.pipeline.serving.parity import verify
from fieldpool.pipeline.sources.batches import Reason, SourceBatch
from fieldpool.pipeline.sources.files import find_files
from fieldpool.pipeline.terminal.serving_tables import show_parity
from fieldpool.transforms.errors import TooManyRejected
from fieldpool.transforms.spec.inputs import feature_columns


def strict(text: str) -> Any:
    """Returns the value of a JSON text, which has neither NaN nor infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def rows_of(served: Served) -> Callable[[], beam.PTransform]:
    spec = Run(str(served.run)).spec
    return lambda: ReadBatches(find_files([str(served.data)]), spec.source, feature_columns(spec))


def nan_rows(served: Served) -> list[int]:
    """Returns the numbers of the rows for which the model of `nan_model` gives NaN."""
    return [number for number, row in enumerate(served.rows, 1) if row["user"] == "u1"]


@pytest.fixture(scope="module")
def nan_model(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained model, in which the embedding of user u1 is NaN."""
    folder, run = tmp_path_factory.mktemp("nan") / "model", Run(str(served.run))
    model = keras.saving.load_model(served.model / "model.keras")
    first, vocabulary = model.embeddings.layout.first_rows["user"], run.spec.vocabulary_settings_of("user")
    table = model.embeddings.variables_by_dim[4]
    values = table.numpy()
    values[first + vocabulary.first_token_id + run.tokens("user").index(b"u1")] = np.nan
    table.assign(values)
    folder.mkdir()
    model.save(folder / "model.keras")
    return folder


@pytest.fixture(scope="module")
def nan_export(served: Served, nan_model: Path) -> str:
    return export_model(Run(str(served.run)), str(nan_model))


def test_rows_whose_probability_is_nan_are_rejected(served: Served, nan_export: str, tmp_path: Path) -> None:
    with pytest.raises(TooManyRejected, match=rf"{len(nan_rows(served))} of 120 rows .*(\n.*)*probability is NaN"):
        predict(nan_export, [str(served.data)], str(tmp_path / "out"), output="jsonl")

    spec = Path(nan_export) / "assets.extra" / "spec.yaml"
    spec.write_text(re.sub("max_rejected: .*", "max_rejected: 100", spec.read_text()))
    stats = predict(nan_export, [str(served.data)], str(tmp_path / "out"), output="jsonl")
    rejected = [strict(line) for path in (tmp_path / "out/rejected").iterdir() for line in path.open()]
    predicted = [strict(line) for path in (tmp_path / "out/predictions").iterdir() for line in path.open()]
    assert stats == {"read": 120, "predicted": len(predicted), "rejected": len(rejected)}
    assert {row["key"] for row in predicted} == {row["id"] for row in served.rows if row["user"] != "u1"}
    assert sorted(row["row"] for row in rejected) == nan_rows(served)
    first = min(rejected, key=lambda row: row["row"])
    raw = served.rows[first["row"] - 1]
    assert (first["source"], first["field"]) == (str(served.data), "probability")
    assert first["reason"] == Reason.NAN_PROBABILITY
    assert first["raw"] == {name: value for name, value in raw.items() if name not in ("click", "part")} | {
        "genres": raw["genres"].split("|")
    }


def test_two_nan_are_equal(served: Served, nan_export: str) -> None:
    parity = verify(Run(str(served.run)), nan_export, rows_of(served))
    assert parity.holds
    assert parity.largest_score_difference < 1e-6


def test_nan_and_a_probability_differ(
    served: Served, nan_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = Path(shutil.copytree(served.export, tmp_path / "export"))
    shutil.copy(nan_model / "model.keras", export / "assets.extra" / "model.keras")
    parity = verify(Run(str(served.run)), str(export), rows_of(served))
    assert parity.differing_scores == len(nan_rows(served))
    assert parity.largest_score_difference == 1.0
    show_parity(parity, as_json=True)
    assert strict(capsys.readouterr().out)["differences"][0]["batch"] is None


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_raw_values_of_a_rejected_row_are_valid_json(served: Served, number: float) -> None:
    row = served.rows[1] | {"id": None, "age": number}
    batch = SourceBatch("rows.parquet", np.array([1]), pa.RecordBatch.from_pylist([row]))
    (rejected,) = check_rows(batch, Run(str(served.run)).spec).rejected
    assert strict(json.dumps(vars(rejected)))["raw"]["age"] == str(number)
