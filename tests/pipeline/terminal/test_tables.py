"""The tables as objects: what notebooks show, made without TensorFlow."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from fieldpool.pipeline.terminal import tables
from fieldpool.transforms.runs.run_stats import RunStats
from fieldpool.transforms.spec import Spec

TABLES = sorted(path.stem for path in Path(tables.__file__).parent.glob("*table*.py"))


def printed(*renderables: RenderableType) -> str:
    """Returns what a console shows of tables and lines."""
    console = Console(width=200, file=io.StringIO())
    with console.capture() as captured:
        console.print(*renderables)
    return captured.get()


@pytest.mark.parametrize("module", TABLES)
def test_tables_need_neither_tensorflow_nor_beam(module: str) -> None:
    blocked = "sys.modules.update(dict.fromkeys(('tensorflow', 'keras', 'apache_beam')))"
    script = f"import sys; {blocked}; import fieldpool.pipeline.terminal.{module}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_tables_of_counts() -> None:
    everywhere = {"train": 4, "eval": 1, "test": 1}
    field = {"type": "categorical", "vocabulary": "user", "missing": everywhere, "values": everywhere}
    stats = RunStats.model_validate(
        {
            **everywhere,
            "read": 6,
            "rejected": 0,
            "positives": everywhere,
            "vocabularies": {"user": {"distinct": 3000, "tokens": 2000}},
            "fields": {"user [id]": field},
        }
    )
    rows, fields = tables.stats_tables(stats)
    assert "read" in printed(rows)
    assert "user [id]" in printed(fields)
    assert "2,000" in printed(fields)


@pytest.mark.parametrize("clipped", [0, 1234])
def test_clipped_numbers_have_a_column_only_if_there_are_any(clipped: int) -> None:
    zeros = {"train": 0, "eval": 0, "test": 0}
    field = {"type": "numeric", "missing": zeros, "values": zeros, "clipped": {**zeros, "eval": clipped}}
    stats = {**zeros, "read": 0, "rejected": 0, "positives": zeros, "vocabularies": {}, "fields": {"age": field}}
    _, fields = tables.stats_tables(RunStats.model_validate(stats))
    shown = printed(fields)
    assert ("clipped" in shown, "1,234" in shown) == (bool(clipped), bool(clipped))


def test_training_table_marks_the_best_epoch() -> None:
    history = [{"epoch": 1, "loss": 0.5, "val_auc": 0.71}, {"epoch": 2, "loss": 0.4, "val_auc": 0.70}]
    lines = printed(tables.training_table(history, 1)).splitlines()
    assert [("0.5000" in line, "0.7100" in line) for line in lines if "best, kept" in line] == [(True, True)]


def test_metrics_tables_are_one_by_split_and_one_by_slice() -> None:
    measured = {"auc": 0.75, "examples": 1000}
    by_split, by_device = tables.metrics_tables({"test": measured | {"slices": {"device": {"tv": measured}}}})
    assert "1,000" in printed(by_split)
    assert "tv" in printed(by_device)


def test_metrics_table_says_whether_metrics_are_weighted() -> None:
    measured = {"auc": 0.75, "examples": 1000, "weight": 512.5}
    (weighted,) = tables.metrics_tables({"test": measured})
    assert "Weighted metrics" in printed(weighted)
    assert "512.5" in printed(weighted)
    (plain,) = tables.metrics_tables({"test": {"auc": 0.75, "examples": 1000}})
    assert "Weighted" not in printed(plain)


def test_slices_by_list_length_say_so() -> None:
    slices = {"history": {"0": {"auc": 0.5}, "2–3": {"auc": 0.75}}}
    _, table = tables.metrics_tables({"test": {"auc": 0.75, "slices": slices}}, list_fields=["history"])
    assert "test, by history (list length after truncation)" in printed(table)


@pytest.mark.parametrize(
    ("boundary", "unit", "shown"),
    [
        (1711251203.0, "auto", "2024-03-24T03:33:23Z"),
        (1711251203.5, "s", "2024-03-24T03:33:23.500000Z"),
        (1711251203000.0, "auto", "2024-03-24T03:33:23Z"),
        (1711251203000.0, "ms", "2024-03-24T03:33:23Z"),
        (1711251203000000000.0, "ns", "2024-03-24T03:33:23Z"),
        (20240324.0, "date", "2024-03-24T00:00:00Z"),
        (float("inf"), "s", "inf"),
        (7.0, "auto", "7.0"),
        (1711251203.0, "number", "1711251203.0"),
        ("2024-03-24", "auto", "2024-03-24"),
    ],
)
def test_boundaries_of_a_time_split_are_shown_in_utc_if_their_unit_is_known(
    boundary: float | str, unit: str, shown: str
) -> None:
    spec = Spec.model_validate(
        {
            "label": {"field": "click"},
            "split": {"time": "ts", "eval_from": boundary, "test_from": boundary, "time_unit": unit},
            "fields": {"age": {"type": "numeric"}},
        }
    )
    assert tables.split_line(spec) == f"Split by ts: eval from {shown}, test from {shown}"


def test_other_splits_have_no_boundaries(spec_data: dict[str, Any]) -> None:
    assert tables.split_line(Spec.model_validate(spec_data)) is None


def test_metrics_beside_the_best_possible_auc() -> None:
    (table,) = tables.metrics_tables({"test": {"auc": 0.75}}, {"test": 0.8})
    assert "best possible auc" in printed(table)
    assert "0.8000" in printed(table)


def test_pretrained_vectors_have_a_table_if_there_are_any() -> None:
    zeros = {"train": 0, "eval": 0, "test": 0}
    vectors = {"length": 300, "tokens": 1500, "not_in_train": 250, "covered": 0.975}
    vocabularies = {
        "user": {"distinct": 3, "tokens": 3},
        "items": {"distinct": 1750, "tokens": 2000, "vectors": vectors},
    }
    stats = {**zeros, "read": 0, "rejected": 0, "positives": zeros, "vocabularies": vocabularies, "fields": {}}
    _, _, table = tables.stats_tables(RunStats.model_validate(stats))
    assert printed(table).splitlines()[4].split() == [
        *["│", "items", "│", "300", "│", "1,500", "│", "250", "│", "75.0", "%", "│", "97.5", "%", "│"]
    ]
