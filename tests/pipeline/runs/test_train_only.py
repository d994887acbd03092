"""`train_only`: a field has its own values in train, and a constant in eval, test and requests."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from rich.table import Table
from served_model import SPEC, Served, click_row, make_served

from fieldpool.model.evaluation import evaluate
from fieldpool.model.serving.graph import serving_feature_spec
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train
from fieldpool.pipeline.reports.model_report import write_report
from fieldpool.pipeline.rows.checks import check_rows
from fieldpool.pipeline.rows.read_rows import ReadBatches
from fieldpool.pipeline.runs.drift import check
from fieldpool.pipeline.runs.dry_run import explain
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.serving.batch_prediction import predict
from fieldpool.pipeline.serving.parity import verify
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.sources.files import find_files
from fieldpool.pipeline.spec_file import parse_spec
from fieldpool.pipeline.terminal.example_tables import explanation_tables
from fieldpool.pipeline.tfrecords.decoding import DecodedExample, decoded_examples
from fieldpool.transforms.errors import FieldpoolWarning, SpecError, UserError
from fieldpool.transforms.runs.run import Run
from fieldpool.transforms.spec import SPLITS, Spec
from fieldpool.transforms.spec.inputs import feature_columns

TRAIN_ONLY = {"position": 1, "depth": 0.5, "history": ["i1", "i4", "i9"], "tags": None, "price": None}
BIASED: dict[str, Any] = {
    **SPEC,
    "fields": {
        **SPEC["fields"],
        "position": {"type": "categorical", "column": "shown at"},
        "depth": {"type": "numeric"},
    },
    "train_only": TRAIN_ONLY,
}
COLUMNS = ("shown at", "depth", "history", "watched", "tags", "price")
ROWS: list[dict[str, Any]] = [
    click_row(i) | {"shown at": i % 4 + 1, "depth": i % 8 / 8, "history": [f"i{i % 17}"], "watched": [2.0]}
    for i in range(80)
]


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A run with constants for every type of field, a model with its initial weights, and its export."""
    return make_served(tmp_path_factory.mktemp("biased"), BIASED, ROWS, trained=False)


def examples(run: Run, split: str) -> dict[str, DecodedExample]:
    return {str(example.key): example for example in decoded_examples(run, split, 1000)}


def write(rows: list[dict[str, Any]], path: Path, *without: str) -> str:
    pq.write_table(pa.Table.from_pylist(rows).drop_columns(list(without)), path)
    return str(path)


def test_train_rows_have_their_own_values(biased: Served) -> None:
    by_key = {row["id"]: row for row in ROWS}
    found = examples(Run(str(biased.run)), "train")
    assert len(found) == 48
    assert {key: example.fields["position"].tokens for key, example in found.items()} == {
        key: [str(by_key[key]["shown at"])] for key in found
    }
    assert len({example.fields["depth"].number for example in found.values()}) == 8


@pytest.mark.parametrize("split", ["eval", "test"])
def test_rows_of_eval_and_test_have_the_constants(biased: Served, split: str) -> None:
    run = Run(str(biased.run))
    rows = [example.fields for example in examples(run, split).values()]
    assert len(rows) == 16
    assert {tuple(row["position"].tokens) for row in rows} == {("1",)}
    assert {tuple(row["history"].tokens) for row in rows} == {("i1", "i4", "i9")}
    assert {tuple(row["history"].weights or []) for row in rows} == {(1.0, 1.0, 1.0)}
    assert {tuple(row["tags"].tokens) for row in rows} == {("untagged",)}
    assert {tuple(row["price"].tokens) for row in rows} == {()}
    (depth,) = {row["depth"].number for row in rows}
    numbers = run.stats.fields["depth"].numbers
    assert numbers is not None
    assert depth == pytest.approx((0.5 - numbers["train"].mean) / numbers["train"].std, rel=1e-6)


def test_counts_are_those_of_the_examples(biased: Served) -> None:
    fields = Run(str(biased.run)).stats.fields
    assert fields["history"].lengths == {"train": {1: 48}, "eval": {3: 16}, "test": {3: 16}}
    assert fields["tags"].absent["eval"] == fields["price"].absent["test"] == 16
    assert fields["position"].values_seen == {"train": 48, "eval": 16, "test": 16}


def test_vocabularies_are_those_without_the_setting(biased: Served, tmp_path: Path) -> None:
    spec = Spec.model_validate(BIASED | {"train_only": {}})
    other = transform(spec, [str(biased.data)], str(tmp_path / "run"))
    assert Run(other.path).identity == Run(str(biased.run)).identity


def test_requests_do_not_have_the_fields_and_are_transformed_as_rows_of_eval(biased: Served) -> None:
    run = Run(str(biased.run))
    requested = set(serving_feature_spec(run.spec))
    assert requested == {"key", "user", "item", "genres-1", "age"}
    assert not set(COLUMNS) & set(feature_columns(run.spec))

    def read() -> ReadBatches:
        return ReadBatches(find_files([str(biased.data)]), run.spec.source, feature_columns(run.spec))

    parity = verify(run, str(biased.model), read)
    assert (parity.holds, parity.rows) == (True, 80)
    served = tf.saved_model.load(str(biased.export))
    ids = served.signatures["ids"](examples=tf.constant([tf.train.Example().SerializeToString()] * 3))
    eval_ids = run.spec.vocabulary_settings_of("position").first_token_id + run.tokens("position").index(b"1")
    assert ids["position"].numpy().tolist() == [eval_ids] * 3
    assert ids["history_weights"].numpy().tolist() == [[1.0, 1.0, 1.0]] * 3


def test_predictions_do_not_read_the_columns(biased: Served, tmp_path: Path) -> None:
    """Whether they are absent or have values that the row checks reject."""
    wrong = [row | {"depth": "deep", "watched": [-1.0]} for row in ROWS]
    data = {"absent": write(ROWS, tmp_path / "a.parquet", *COLUMNS), "wrong": write(wrong, tmp_path / "b.parquet")}
    found = {}
    for name, path in data.items():
        assert predict(str(biased.model), [path], str(tmp_path / name)) == {"read": 80, "predicted": 80, "rejected": 0}
        found[name] = pq.read_table(tmp_path / name / "predictions").sort_by("key")
    assert found["absent"].equals(found["wrong"])


@pytest.mark.filterwarnings("error::fieldpool.transforms.errors.FieldpoolWarning")
def test_another_run_keeps_the_constants(biased: Served, tmp_path: Path) -> None:
    run = Run(str(biased.run))
    other = Run(transform(run.spec, [str(biased.data)], str(tmp_path / "run"), using=run).path)
    assert other.spec == run.spec
    assert examples(other, "test") == examples(run, "test")


def test_check_compares_the_other_fields_only(biased: Served, tmp_path: Path) -> None:
    findings = check(Run(str(biased.run)), [write(ROWS, tmp_path / "a.parquet", *COLUMNS)])
    assert {finding.field for finding in findings} == {"(rows)", "(label)", "user", "item", "genres-1", "age"}


def test_rows_are_rejected_before_they_get_the_constant(tmp_path: Path) -> None:
    rows = [*ROWS, *(row | {"id": "bad", "watched": [-1.0]} for row in ROWS[3:4])]
    stats = transform(Spec.model_validate(BIASED), [write(rows, tmp_path / "a.parquet")], str(tmp_path / "run")).stats
    assert (stats.eval, stats.rejected) == (16, 1)


def test_explained_rows_show_the_constant(biased: Served) -> None:
    explanation = explain(Spec.model_validate(BIASED), [str(biased.data)], shown=4)
    assert [row.split for row in explanation.rows] == ["train", "train", "train", "eval"]
    table = explanation_tables(explanation)[7]  # After a title each.
    assert isinstance(table, Table)
    cells = [list(column.cells) for column in table.columns]
    raw = dict(zip(map(str, cells[0]), map(str, cells[1]), strict=True))
    assert raw["position"] == "1 (train_only), not 4"
    assert raw["user"] == "u3"


def test_report_says_what_its_metrics_are_for(biased: Served, tmp_path: Path) -> None:
    train(Run(str(biased.run)), str(tmp_path / "model"))
    write_report(Run(str(biased.run)), str(tmp_path / "model"), str(tmp_path / "report.html"))
    assert "position is a feature in training only" in (tmp_path / "report.html").read_text()


def test_slices_by_a_constant_are_refused(biased: Served) -> None:
    with pytest.raises(UserError, match=r"expected a categorical or multivalued field \(user, item, genres-1\)"):
        evaluate(load_model(str(biased.model)), Run(str(biased.run)), "test", gauc_by="position")


@pytest.mark.parametrize(
    ("train_only", "warning"),
    [
        ({"position": 9}, "train_only.position: '9' is not in the vocabulary, so it is OOV"),
        ({"history": ["i1", "no"]}, "train_only.history: 'no' is not in the vocabulary, so it is OOV"),
        ({"depth": -1}, "train_only.depth: the numbers of train are from 0 to 0.875"),
        ({"depth": None}, "train_only.depth: every row of train has a value"),
        ({"position": 4, "depth": 0.3, "tags": [], "history": ["i3"]}, None),
    ],
)
def test_constants_that_train_has_not_seen_give_a_warning(
    train_only: dict[str, Any], warning: str | None, biased: Served, tmp_path: Path
) -> None:
    spec = Spec.model_validate(BIASED | {"train_only": train_only})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        transform(spec, [str(biased.data)], str(tmp_path / "run"))
    found = [str(each.message) for each in caught if issubclass(each.category, FieldpoolWarning)]
    assert [message.startswith(warning or "?") for message in found] == [True] * bool(warning)


def test_cached_sums_are_those_of_the_values_not_of_the_constants(tmp_path: Path) -> None:
    """With a later boundary, rows that were eval before are train rows."""
    rows = [{"y": i % 2, "t": i, "a": f"a{i}", "b": i % 3} for i in range(40)]
    path = write(rows, tmp_path / "rows.parquet")

    def run(name: str, boundary: int, **options: Any) -> Run:
        spec = Spec.model_validate(
            {
                "label": {"field": "y"},
                "split": {"time": "t", "time_unit": "number", "eval_from": boundary, "test_from": 38},
                "fields": {"a": {"type": "categorical"}, "b": {"type": "categorical"}},
                "train_only": {"a": "a0"},
            }
        )
        return Run(transform(spec, [path], str(tmp_path / name), **options).path)

    for boundary in (20, 38):
        cached = run(f"cached{boundary}", boundary, counts_cache=str(tmp_path / "cache"))
        plain = run(f"plain{boundary}", boundary)
        assert cached.tokens("a") == plain.tokens("a")
        assert len(plain.tokens("a")) == boundary


@pytest.mark.parametrize(
    ("constant", "expected"),
    [
        ({"n": 0.1}, float(np.float32(0.1))),
        ({"n": 7}, 7.0),
        ({"n": None}, None),
        ({"c": "é"}, "é".encode()),
        ({"c": 12}, b"12"),
        ({"c": True}, b"true"),
        ({"c": None}, None),
        ({"m": ["x", 1]}, [b"x", b"1"]),
        ({"m": []}, []),
        ({"m": None}, []),
    ],
    ids=str,
)
@pytest.mark.parametrize("split", [True, False])
def test_constants_become_raw_values(constant: dict[str, Any], expected: Any, split: bool) -> None:
    spec = Spec.model_validate(
        {
            "label": {"field": "y"},
            "split": {"column": "s"},
            "fields": {
                "c": {"type": "categorical"},
                "m": {"type": "multivalued"},
                "n": {"type": "numeric"},
                "o": {"type": "categorical"},
            },
            "train_only": constant,
        }
    )
    (name,) = constant
    own: dict[str, Any] = {"c": "own", "m": ["own"], "n": 3.0}
    data = pa.RecordBatch.from_pylist([{"y": 1, "s": part, "o": "o", **own} for part in SPLITS])
    checked = check_rows(SourceBatch("a", np.arange(1, 4), data), spec, split=split)
    value = {"c": b"own", "m": [b"own"], "n": 3.0}[name]
    assert checked.rows[name].to_pylist() == [value if split else expected, expected, expected]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"train_only": {"x": 1}}, "train_only.x: expected the name of a field (c, m, n, r), found 'x'"),
    ({"train_only": {"c": 1.5}}, "train_only.c: expected a text, a whole number or a boolean as the token"),
    ({"train_only": {"c": ""}}, "or null for a missing value, found ''"),
    ({"train_only": {"c": ["a"]}}, "train_only.c: expected a text, a whole number or a boolean as the token"),
    ({"train_only": {"m": "a|b"}}, "train_only.m: expected a list of tokens, or null for an empty list, found 'a|b'"),
    ({"train_only": {"m": [None]}}, "train_only.m: expected a text, a whole number or a boolean"),
    ({"train_only": {"n": "1"}}, "train_only.n: expected a finite number, or null for a missing one, found '1'"),
    ({"train_only": {"n": True}}, "train_only.n: expected a finite number"),
    ({"train_only": {"n": math.inf}}, "train_only.n: expected a finite number"),
    ({"train_only": {"n": 1e39}}, "train_only.n: expected a finite number"),
    ({"train_only": {"r": None}}, "train_only.r: a missing value or an empty list is rejected"),
    (
        {"train_only": {"c": "x" * 9}, "limits": {"value_bytes": 8}},
        "no longer than limits.value_bytes (8 bytes), found one of 9 bytes",
    ),
    (
        {"train_only": {"m": ["x"] * 3}, "limits": {"list_values": 2}},
        "at most as many values as limits.list_values (2), found 3",
    ),
    ({"train_only": {"c": 1}, "evaluation": {"gauc_by": "c"}}, "evaluation.gauc_by: 'c' is in train_only"),
    ({"train_only": {"m": []}, "evaluation": {"slices": ["m"]}}, "evaluation.slices: 'm' is in train_only"),
    ({"train_only": {"c": 1}, "key": "c"}, "train_only.c: the field reads the key"),
    ({"train_only": {"c": 1, "m": [], "n": 1, "r": 1}}, "train_only: has all fields, so a request would have none"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_constants_that_cannot_be_right_are_refused(changes: dict[str, Any], message: str) -> None:
    fields = {
        "c": {"type": "categorical"},
        "m": {"type": "multivalued"},
        "n": {"type": "numeric"},
        "r": {"type": "categorical", "missing": "reject"},
    }
    data = {"label": {"field": "y"}, "split": {"column": "s"}, "fields": fields, **changes}
    with pytest.raises(SpecError) as error:
        parse_spec(data, "spec.yaml")
    assert message in str(error.value)
