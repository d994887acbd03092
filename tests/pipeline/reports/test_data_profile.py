"""The proposed spec: what each kind of column is taken for, and that it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from fieldpool.pipeline.reports.data_profile import profile, spec_text
from fieldpool.pipeline.reports.field_profile import FieldProfile
from fieldpool.pipeline.reports.spec_proposal import propose
from fieldpool.pipeline.spec_file import load_spec
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Source

ROWS = 400
RNG = np.random.default_rng(0)


def columns() -> dict[str, list[Any]]:
    """A click log with a column of every kind."""
    rows = range(ROWS)
    return {
        "row_id": [1000 + i for i in rows],
        "clicked": [i * 7 % 3 % 2 for i in rows],
        "created_at": [1_700_000_000 + 60 * i for i in rows],
        "user_id": [i * i % 97 for i in rows],
        "item_id": [f"i{i * 31 % 90}" for i in rows],
        "history": [[f"i{(i * k) % 90}" for k in range(1, 1 + i % 5)] for i in rows],
        "genres": ["|".join(f"g{(i + k * k) % 9}" for k in range(i % 4)) for i in rows],
        "hour": [i % 24 for i in rows],
        "age": [float(20 + i % 11) for i in rows],
        "price": np.exp(RNG.normal(0, 3, ROWS)).tolist(),
        "country": [("de", "fr", "it")[i % 3 if i % 7 else 0] for i in rows],
        "rating": [5 if i * 7 % 3 % 2 else 1 for i in rows],
        "session_text": [f"text number {i}" for i in rows],
        "constant": ["same"] * ROWS,
        "nothing": [None] * ROWS,
    }


def proposed(change: dict[str, Any] | None = None, files: list[str] | None = None, **options: Any) -> Any:
    table = {name: values for name, values in (columns() | (change or {})).items() if values is not None}
    return propose(pa.table(table), files or ["rows.parquet"], **options)


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("user_id", {"type": "categorical"}),
        ("item_id", {"type": "categorical", "vocabulary": "item_vocabulary"}),
        ("history", {"type": "multivalued", "max_len": "auto", "vocabulary": "item_vocabulary"}),
        ("genres", {"type": "multivalued", "separator": "|", "max_len": "auto"}),
        ("hour", {"type": "categorical"}),
        ("age", {"type": "numeric", "scale": "zscore"}),
        ("price", {"type": "numeric", "scale": "log1p"}),
        ("country", {"type": "categorical"}),
    ],
)
def test_what_a_column_is_taken_for(field: str, settings: dict[str, Any]) -> None:
    proposal = proposed()
    assert proposal.spec["fields"][field] == settings
    assert proposal.reasons[field]


def test_key_label_and_split() -> None:
    spec = proposed().spec
    assert (spec["key"], spec["label"], spec["split"]["time"]) == ("row_id", {"field": "clicked"}, "created_at")


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("rating", "every value goes with one label"),
        ("session_text", "another value in every row"),
        ("constant", "the same value in every row"),
        ("nothing", "no row of the sample has a value"),
    ],
)
def test_what_is_left_out(column: str, reason: str) -> None:
    proposal = proposed()
    assert reason in proposal.left_out[column]
    assert column not in proposal.spec["fields"]


@pytest.mark.parametrize(
    ("change", "files", "split"),
    [
        ({"part": ["train", "dev", "test", "train"] * 100}, [], {"column": "part", "eval": ["dev"]}),
        (
            {"created_at": None},
            ["a/train.csv", "a/dev.csv", "a/test.csv"],
            {"files": {"train": "train.csv", "eval": "dev.csv", "test": "test.csv"}},
        ),
        ({"created_at": None}, ["rows.csv"], {"hash": "user_id", "train": 0.8, "eval": 0.1, "test": 0.1}),
        ({"created_at": None, "user_id": None}, [], {"hash": "row_id", "train": 0.8, "eval": 0.1, "test": 0.1}),
    ],
)
def test_splits(change: dict[str, Any], files: list[str], split: dict[str, Any]) -> None:
    assert proposed(change, files).spec["split"] == split


def test_a_few_very_long_lists_are_cut() -> None:
    lists = [["a"] * (200 if i % 200 == 0 else 4) for i in range(ROWS)]
    assert proposed({"history": lists}).spec["fields"]["history"] == {
        "type": "multivalued",
        "max_len": 4,
        "keep": "last",
    }


def test_rare_tokens_are_left_to_oov_where_that_costs_hardly_a_value() -> None:
    lists = [[f"x{(i + 5 * row) % 1500}" for i in range(400)] for row in range(ROWS)]
    lists[0] = [f"once{i}" for i in range(100)]
    proposal = proposed({"tags": lists})
    assert proposal.spec["fields"]["tags"]["min_count"] == 10
    assert "100 rarer tokens are 0.1% of the values" in proposal.reasons["tags"]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"clicked": [2] * ROWS}, {}, "no column of .* holds 0 and 1 alone"),
        ({}, {"label": "country"}, "--label country: it does not hold 0 and 1"),
        ({}, {"label": "kliked"}, "--label kliked: there is no such column in row_id, clicked"),
    ],
)
def test_no_label(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        proposed(change, **options)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_the_proposed_spec_is_one_and_counts_are_right(tmp_path: Path, suffix: str) -> None:
    table = pa.table({name: values for name, values in columns().items() if suffix != "csv" or name != "history"})
    path = tmp_path / f"rows.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path)
    elif suffix == "csv":
        pyarrow.csv.write_csv(table, path)
    else:
        import json

        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    found = profile([str(path)])
    (tmp_path / "spec.yaml").write_text(spec_text(found))
    assert load_spec(str(tmp_path / "spec.yaml")) == found.spec
    assert found.rows == {"train": 320, "eval": 40, "test": 40, "rejected": 0}
    fields = {field.name: field for field in found.fields}
    assert (fields["hour"].distinct, fields["hour"].missing, fields["hour"].oov_eval) == (24, 0, 0)
    assert fields["genres"].lengths == {0: 80, 1: 80, 2: 80, 3: 80}
    assert fields["genres"].missing == 0.25


def test_values_that_are_all_new_in_the_eval_split_are_left_out(tmp_path: Path) -> None:
    batches = [f"batch-{i // 20}" for i in range(ROWS)]
    pq.write_table(pa.table(columns() | {"batch": batches}), tmp_path / "rows.parquet")
    found = profile([str(tmp_path / "rows.parquet")])
    assert found.proposal.left_out["batch"] == "100% of its values in the eval split are new"


def test_columns_of_a_file_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("".join(f"{i % 2}\tx{i % 5}\t{i}\n" for i in range(50)))
    source = Source(delimiter="\t", header=False, columns=["click", "kind", "number of"])
    found = profile([str(tmp_path / "train.tsv")], source=source)
    assert found.spec.source == source
    assert found.spec.fields["kind"].type == "categorical"


def test_a_file_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"click": pa.array([], pa.int64())}), tmp_path / "none.parquet")
    with pytest.raises(UserError, match=r"none.parquet: holds no rows"):
        profile([str(tmp_path / "none.parquet")])


def test_the_coverage_of_a_vocabulary() -> None:
    field = FieldProfile("f", "categorical", counts=np.array([6, 3, 1]), values=20)
    coverage = field.coverage()
    assert coverage is not None
    assert [part.tolist() for part in coverage] == [[1, 2, 3], [0.3, 0.45, 0.5]]


def test_what_lengths_would_cut() -> None:
    field = FieldProfile("f", "multivalued", lengths={0: 5, 2: 4, 10: 1}, max_len=2)
    assert field.cuts() == [(2, 0.1, pytest.approx(8 / 18)), (10, 0.0, 0.0)]
