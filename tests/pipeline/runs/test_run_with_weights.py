"""A run whose rows have weights: in the examples and counts, not in the vocabularies, and not in requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from served_model import SPEC, Served, click_row, make_served

from fieldpool.model.evaluation import evaluate
from fieldpool.model.examples import read_examples
from fieldpool.model.run import Run
from fieldpool.model.serving.graph import serving_feature_spec
from fieldpool.model.training.folder import load_model
from fieldpool.pipeline.reports.model_report import write_report
from fieldpool.pipeline.rows.read_rows import ReadBatches
from fieldpool.pipeline.runs.drift import check
from fieldpool.pipeline.runs.dry_run import explain
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.serving.batch_prediction import predict
from fieldpool.pipeline.serving.parity import verify
from fieldpool.pipeline.sources.files import find_files
from fieldpool.transforms.spec import Spec
from fieldpool.transforms.spec.inputs import feature_columns

ROWS: list[dict[str, Any]] = [click_row(i) | {"worth": [0.5, 2, 1][i % 3]} for i in range(60)]
WEIGHTED = {**SPEC, "label": {"field": "click", "weight": "worth"}}


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A run with weights, a model trained on it, and its export; the rows have one without a weight."""
    rows = [*ROWS, ROWS[0] | {"id": "bad", "worth": None}]
    return make_served(tmp_path_factory.mktemp("weighted"), WEIGHTED, rows, trained=True)


def without(path: Path, *names: str) -> str:
    """Writes the rows without some columns."""
    pq.write_table(pa.Table.from_pylist(ROWS).drop_columns(list(names)), path)
    return str(path)


def test_examples_have_the_weight_of_their_row(weighted: Served) -> None:
    by_key = {row["id"]: row["worth"] for row in ROWS}
    dataset = read_examples(Run(str(weighted.run)), "train", batch_size=7, with_key=True)
    found = {
        key.decode(): weight
        for _, _, weights, keys in dataset
        for key, weight in zip(keys.numpy(), weights.numpy().tolist(), strict=True)
    }
    assert found == {key: by_key[key] for key in found}
    assert len(found) == 36


def test_counts_have_statistics_of_the_weights_by_split(weighted: Served) -> None:
    stats = Run(str(weighted.run)).stats
    assert stats.rejected == 1
    assert stats.label_weights is not None
    test = [row["worth"] for row in ROWS if row["part"] == "test"]
    found = stats.label_weights["test"]
    assert (found.mean * stats.test, found.min, found.max, found.zeros) == (pytest.approx(sum(test)), 0.5, 2, 0)


def test_vocabularies_do_not_depend_on_weights(weighted: Served, tmp_path: Path) -> None:
    plain = transform(Spec.model_validate(SPEC), [without(tmp_path / "a.parquet")], str(tmp_path / "run"))
    run, other = Run(str(weighted.run)), Run(plain.path)
    assert run.identity == other.identity
    assert other.stats.label_weights is None
    assert "label_weights" not in (Path(plain.path) / "stats.json").read_text()


def test_requests_have_no_weight_and_are_transformed_as_rows_with_one(weighted: Served) -> None:
    run = Run(str(weighted.run))
    assert not {"label", "label_weight", "worth"} & set(serving_feature_spec(run.spec))

    def read() -> ReadBatches:
        return ReadBatches(find_files([str(weighted.data)]), run.spec.source, feature_columns(run.spec))

    assert verify(run, str(weighted.model), read).holds


def test_predictions_need_no_weight(weighted: Served, tmp_path: Path) -> None:
    data = without(tmp_path / "a.parquet", "worth", "click", "part")
    assert predict(str(weighted.model), [data], str(tmp_path / "out"))["predicted"] == len(ROWS)


@pytest.mark.parametrize(("missing", "compared"), [((), True), (("worth",), False), (("click", "worth"), False)])
def test_check_compares_the_label_rate_if_rows_have_labels_and_weights(
    weighted: Served, tmp_path: Path, missing: tuple[str, ...], compared: bool
) -> None:
    findings = check(Run(str(weighted.run)), [without(tmp_path / "a.parquet", *missing)])
    assert any(finding.measure == "label" for finding in findings) == compared


def test_metrics_are_weighted(weighted: Served) -> None:
    run = Run(str(weighted.run))
    found = evaluate(load_model(str(weighted.model)), run, "train")
    labels = {row["id"]: (row["click"], row["worth"]) for row in ROWS if row["part"] == "train"}.values()
    assert found["weight"] == sum(weight for _, weight in labels)
    assert found["positives"] == pytest.approx(sum(y * weight for y, weight in labels) / found["weight"])
    assert found["examples"] == 36


def test_report_shows_weighted_metrics_and_unweighted_rows(weighted: Served, tmp_path: Path) -> None:
    write_report(Run(str(weighted.run)), str(weighted.model), str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert "All metrics are weighted by the rows' weights" in page
    assert ">sum of weights<" in page


def test_explained_rows_have_their_weight(weighted: Served) -> None:
    explanation = explain(Spec.model_validate(WEIGHTED), [str(weighted.data)], shown=2)
    assert [row.example.label_weight for row in explanation.rows] == [0.5, 2.0]


def test_dataset_has_the_form_that_fit_takes(weighted: Served) -> None:
    model = keras.models.clone_model(load_model(str(weighted.model)))
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    dataset = read_examples(Run(str(weighted.run)), "train", batch_size=8)
    assert model.fit(dataset, verbose=0, shuffle=False).history["loss"][0] > 0
