"""The functions of `import fieldpool`, from a table to served predictions; each gives what its command gives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf
import yaml
from served_model import ROWS, SPEC, Served, click_row, expected_probabilities

import fieldpool

TABLE = pd.DataFrame([click_row(i) for i in range(ROWS)])


@dataclass
class Job:
    """A DataFrame, transformed and trained on."""

    folder: Path
    run: fieldpool.Run
    training: fieldpool.Training


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    run = fieldpool.transform(SPEC, TABLE, folder / "run")
    return Job(folder, run, fieldpool.train(run, folder / "model"))


def records(run: Path | str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((Path(run) / "examples").iterdir())}


def test_a_table_gives_the_records_of_a_file(job: Job, served: Served) -> None:
    assert records(job.run.path) == records(served.run)
    assert job.run.stats == fieldpool.Run(served.run).stats


def test_a_run_is_a_path_and_shows_its_counts(job: Job) -> None:
    assert Path(job.run) == job.folder / "run"
    assert "read" in str(job.run)
    assert "genres-1" in str(job.run)
    assert repr(job.run) == f"Run('{job.folder}/run')"


def test_a_training_equals_that_of_the_file(job: Job, served: Served) -> None:
    of_file = json.loads((served.model / "training.json").read_text())
    assert job.training.history == of_file["history"]
    assert "best, kept" in str(job.training)


def test_settings_of_the_spec_are_replaced(job: Job, tmp_path: Path) -> None:
    training = fieldpool.train(str(job.run.path), tmp_path / "model", epochs=2, seed=7)
    assert len(training.history) == 2
    assert json.loads((tmp_path / "model/training.json").read_text())["seed"] == 7


@pytest.mark.parametrize("way", ["training", "folder", "file", "model"])
def test_a_model_is_given_in_any_form(job: Job, way: str) -> None:
    path = job.folder / "model"
    forms: dict[str, Any] = {"training": job.training, "folder": path, "file": path / "model.keras"}
    model = forms[way] if way in forms else fieldpool.load_model(path)
    found = fieldpool.evaluate(job.run, model, slices=["tags"], rank_by="user")
    assert found.split == "test"
    assert found.metrics["examples"] == job.run.stats.test
    assert set(found.slices) == {"tags"}
    assert 0 <= found.metrics["ndcg@5"] <= 1
    assert "test, by tags (list length after truncation)" in str(found)


def test_export_verify_and_predict(job: Job, served: Served) -> None:
    exported = fieldpool.export(job.run, job.training)
    assert exported == str(job.folder / "model/serving")
    parity = fieldpool.verify(job.run, job.training, TABLE, rows=50)
    assert parity.holds
    assert parity.rows == 50
    predictions = fieldpool.predict(job.training, TABLE.drop(columns=["click", "part"]), job.folder / "scores")
    assert (predictions.read, predictions.predicted, predictions.rejected) == (ROWS, ROWS, 0)
    table = predictions.table()
    found = dict(zip(table["key"].to_pylist(), table["probability"].to_pylist(), strict=True))
    assert found == pytest.approx(expected_probabilities(served), abs=1e-6)


@pytest.mark.parametrize("warm_up", [True, False])
def test_an_export_is_loaded_and_warmed_up(served: Served, warm_up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed: list[str] = []
    monkeypatch.setattr("fieldpool._serving.replay_warmup", lambda _, path: replayed.append(path))
    model = fieldpool.load_export(served.model, warm_up=warm_up)
    assert 0 < model.signatures["serving_default"](examples=tf.constant([b""]))["probability"][0] < 1
    assert replayed == ([str(served.export)] if warm_up else [])


def test_predictions_as_json_lines_are_the_same_table(served: Served, tmp_path: Path) -> None:
    tables = [
        fieldpool.predict(served.export, [served.data], tmp_path / format, format=format).table().to_pylist()
        for format in ("parquet", "jsonl")
    ]
    assert tables[0] == [row | {"probability": pytest.approx(row["probability"])} for row in tables[1]]


def test_new_rows_that_are_far_from_the_run_do_not_hold(job: Job) -> None:
    assert fieldpool.check(job.run, TABLE).holds
    found = fieldpool.check(job.run, TABLE.assign(item="unseen"))
    assert ("item", "oov") in [(finding.field, finding.measure) for finding in found.broken]
    assert not found.holds
    assert "exceeded" in str(found)


def test_explain_names_the_table_as_the_source() -> None:
    found = fieldpool.explain(SPEC, TABLE, rows=2)
    assert [(row.source, row.row) for row in found.rows] == [("DataFrame", 1), ("DataFrame", 2)]
    assert "DataFrame, row 1 → train" in str(found)


def test_a_profile_proposes_a_spec_that_can_be_used(tmp_path: Path) -> None:
    found = fieldpool.profile(TABLE, tmp_path / "look")
    assert yaml.safe_load(found.yaml)["label"] == {"field": "click"}
    assert (tmp_path / "look/spec.yaml").read_text() == found.yaml
    assert "Data profile: DataFrame" in (tmp_path / "look/profile.html").read_text()
    assert fieldpool.explain(found.spec, TABLE).spec.label.field == "click"
    with pytest.raises(fieldpool.UserError, match=r"spec\.yaml: exists already"):
        fieldpool.profile(TABLE, tmp_path / "look")


def test_a_report_is_written(job: Job, tmp_path: Path) -> None:
    path = fieldpool.report(job.run, job.training, tmp_path / "card.html")
    assert "<html" in Path(path).read_text()


def test_rejected_rows_name_the_table(tmp_path: Path) -> None:
    wrong = TABLE.assign(click=[7, *TABLE["click"][1:]])
    run = fieldpool.transform(SPEC, wrong, tmp_path / "run")
    (file,) = (tmp_path / "run/rejected").iterdir()
    rejected = json.loads(file.read_text())
    assert (rejected["source"], rejected["row"], rejected["field"]) == ("DataFrame", 1, "click")
    assert "1 row rejected: click: expected a label of 0 or 1" in str(run)
    assert "(or set label.positive) (1); see" in str(run)


def test_a_run_applies_to_new_rows(job: Job, tmp_path: Path) -> None:
    new = fieldpool.transform(None, TABLE, tmp_path / "new", using=job.run)
    assert records(new.path) == records(job.run.path)
    assert new.vocabulary("items") == job.run.vocabulary("items")


@pytest.mark.parametrize("result", ["run", "training"])
def test_a_notebook_shows_the_table_of_print(job: Job, result: str) -> None:
    shown = getattr(job, result)._repr_html_()
    assert shown.startswith("<pre")
    assert "┃" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SPEC, [3], "out"), "data: expected file names, or a table .* found a list that contains int"),
        ((SPEC, [], "out"), "found an empty list"),
        ((SPEC, 3, "out"), "data: expected file names, or a table .* found int"),
        ((3, TABLE, "out"), "spec: expected the path of a YAML file, a dict or a Spec; found int"),
        ((None, TABLE, "out"), "expected either `spec` or `using`, found neither"),
        ((SPEC | {"colour": 1}, TABLE, "out"), "spec: the spec is not valid\n  colour: unknown key"),
        ((SPEC, TABLE.drop(columns="user"), "out"), "DataFrame: has no column 'user'"),
        ((SPEC, pa.table({"id": ["a"]}), "out"), "Table: has no column"),
        ((SPEC, TABLE.assign(user=[{1}, *TABLE["user"][1:]]), "out"), "the DataFrame cannot be converted to a Parquet"),
    ],
)
def test_a_wrong_argument_is_reported(
    arguments: tuple[Any, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(fieldpool.UserError, match=message):
        fieldpool.transform(*arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, r"epochs: expected a number greater than or equal to 1 \(found 0\)"),
        ({"epochs": 1.5}, r"epochs: expected a whole number \(found 1.5\)"),
        ({"seed": 2**40}, r"seed: expected a number less than or equal to 4294967295"),
    ],
)
def test_a_wrong_setting_of_training_is_reported(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(fieldpool.UserError, match=message):
        fieldpool.train("nowhere", "out", **settings)
