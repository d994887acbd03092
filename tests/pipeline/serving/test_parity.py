"""`verify` finds no training-serving skew in an export, and reports row and field of skew in a tampered export."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import apache_beam as beam
import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from served_model import SPEC, Served

from fieldpool.model.run import Run
from fieldpool.pipeline.rows.read_rows import ReadBatches
from fieldpool.pipeline.serving import comparison
from fieldpool.pipeline.serving.parity import verify
from fieldpool.pipeline.sources.files import find_files
from fieldpool.pipeline.sources.sample import sample_rows
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Spec
from fieldpool.transforms.spec.inputs import feature_columns


def rows_of(served: Served) -> Callable[[], beam.PTransform]:
    spec = Run(str(served.run)).spec
    return lambda: ReadBatches(find_files([str(served.data)]), spec.source, feature_columns(spec))


@pytest.fixture
def tampered(served: Served, tmp_path: Path) -> Path:
    """A copy of the export, to be tampered with."""
    return Path(shutil.copytree(served.export, tmp_path / "tampered"))


def test_export_has_no_skew_in_any_row_or_entry_point(served: Served) -> None:
    parity = verify(Run(str(served.run)), str(served.model), rows_of(served))
    assert parity.holds
    assert asdict(parity) | {"largest_score_difference": 0} == {
        "rows": 120,
        "rejected": 0,
        "differing_ids": 0,
        "differing_scores": 0,
        "largest_score_difference": 0,
        "differences": [],
        "first_rejected": None,
    }


def test_skew_is_reported_by_row_and_field(served: Served, tampered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skew whose cause is not in the vocabularies; with other vocabularies the export is refused."""
    monkeypatch.setattr("fieldpool.pipeline.serving.parity.check_export", lambda *_: None)
    asset = tampered / "assets" / "user"
    lines = asset.read_bytes().splitlines(keepends=True)
    swapped = [lines.index(b"u1\n"), lines.index(b"u2\n")]
    lines[swapped[0]], lines[swapped[1]] = lines[swapped[1]], lines[swapped[0]]
    asset.write_bytes(b"".join(lines))

    parity = verify(Run(str(served.run)), str(tampered), rows_of(served))
    assert not parity.holds
    of_user = [d for d in parity.differences if d.field == "user"]
    users = {row["id"]: row["user"] for row in served.rows}
    assert {users[d.key or ""] for d in of_user} == {"u1", "u2"}
    assert parity.differing_ids == sum(user in ("u1", "u2") for user in users.values())
    first = of_user[0]
    assert {first.batch, first.served} == {2 + position for position in swapped}
    assert (first.source, f"r{first.row - 1}") == (str(served.data), first.key)


def test_tampered_model_is_reported_by_its_scores(served: Served, tampered: Path) -> None:
    path = tampered / "assets.extra" / "model.keras"
    model = keras.saving.load_model(path)
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    model.save(path)
    parity = verify(Run(str(served.run)), str(tampered), rows_of(served))
    assert (parity.differing_ids, parity.differing_scores) == (0, 120)
    assert {d.field for d in parity.differences} <= {
        f"probability by {w}" for w in ("serving_default", "raw", "predict")
    }


def test_parity_does_not_hold_without_rows(served: Served, tmp_path: Path) -> None:
    table = pq.read_table(served.data).slice(0, 0)
    pq.write_table(table, tmp_path / "none.parquet")
    spec = Run(str(served.run)).spec
    files = find_files([str(tmp_path / "none.parquet")])
    parity = verify(
        Run(str(served.run)), str(served.model), lambda: ReadBatches(files, spec.source, feature_columns(spec))
    )
    assert (parity.rows, parity.holds) == (0, False)


def test_export_from_a_run_with_other_fields_is_an_error(served: Served, tampered: Path) -> None:
    spec = tampered / "assets.extra" / "spec.yaml"
    spec.write_text(spec.read_text().replace("column: genres", "column: styles"))
    with pytest.raises(
        UserError, match=r"fields\.genres-1\.column: 'styles' in the exported model, 'genres' in the run"
    ):
        verify(Run(str(served.run)), str(tampered), rows_of(served))


@pytest.mark.parametrize(("wanted", "found"), [(1, 1), (7, 7), (120, 120), (10_000, 120)])
def test_sample_is_spread_over_the_rows(served: Served, wanted: int, found: int) -> None:
    spec = Run(str(served.run)).spec
    batches = sample_rows([str(served.data)], spec.source, ["id"], wanted)
    rows = np.concatenate([batch.numbers for batch in batches])
    ids = [key for batch in batches for key in batch.data["id"].to_pylist()]
    assert len(rows) == found
    assert ids == [f"r{row - 1}" for row in rows]
    assert wanted < 7 or rows[-1] > 100


@pytest.mark.parametrize(
    ("wanted", "found"), [(3, [1, 1, 1]), (30, [2, 5, 23]), (107, [2, 5, 100]), (999, [2, 5, 100])]
)
def test_sample_has_all_rows_of_small_files_and_more_of_large_ones(
    tmp_path: Path, wanted: int, found: list[int]
) -> None:
    for name, rows in (("a", 2), ("b", 5), ("c", 100)):
        pq.write_table(pa.table({"id": list(range(rows))}), tmp_path / f"{name}.parquet")
    files = [str(tmp_path / f"{name}.parquet") for name in "abc"]
    batches = sample_rows(files, Spec.model_validate(SPEC).source, ["id"], wanted)
    assert [sum(len(b.numbers) for b in batches if b.source == file) for file in files] == found


def test_ranked_candidates_have_the_probabilities_of_raw(ranked: Served) -> None:
    parity = verify(Run(str(ranked.run)), str(ranked.model), rows_of(ranked))
    assert parity.differences == []
    assert (parity.holds, parity.rows) == (True, len(ranked.rows))


def test_a_rank_that_differs_is_reported_bit_by_bit(ranked: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_one_bit(models: Any, requests: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for by_raw, by_rank in ranked_of(models, requests):
            by_rank[3] = np.nextafter(by_rank[3], np.float32(1))
            yield by_raw, by_rank

    ranked_of = comparison._Models.ranked
    monkeypatch.setattr(comparison._Models, "ranked", with_one_bit)
    parity = verify(Run(str(ranked.run)), str(ranked.model), rows_of(ranked))
    assert not parity.holds
    assert {difference.field for difference in parity.differences} == {"probability by rank"}
    assert parity.differing_scores == len(parity.differences)


def test_a_run_with_other_sides_is_the_same_run(ranked: Served, tmp_path: Path) -> None:
    export = Path(shutil.copytree(ranked.export, tmp_path / "export"))
    file = export / "assets.extra" / "spec.yaml"
    spec = yaml.safe_load(file.read_text())
    assert [field.pop("side") for field in spec["fields"].values() if "side" in field]
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    assert verify(Run(str(ranked.run)), str(export), rows_of(ranked)).holds
