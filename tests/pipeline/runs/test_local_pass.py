"""Rows that threads of this process transform give the files of the Beam pipeline with one worker, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fieldpool.model.run import Run
from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.pipeline.runs import run_parts
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.transforms.errors import TooManyRejected
from fieldpool.transforms.spec import Spec

SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "click"},
    "split": {"column": "part"},
    "max_rejected": 0.5,
    "fields": {
        "item": {"type": "categorical", "num_oov_buckets": 3},
        "tags": {"type": "multivalued", "max_len": 2, "weights": "shares"},
        "day": {"type": "categorical"},
        "price": {"type": "numeric"},
        "age": {"type": "numeric", "scale": {"quantiles": 4}},
    },
}
ROWS = 120


def table(part: int) -> pa.Table:
    """Returns rows with missing values, empty lists, keys that other rows have, and every ninth label invalid."""
    ids = range(part * ROWS, (part + 1) * ROWS)
    tags = [[f"t{(i + k) ** 2 % 31}" for k in range(i % 4)] for i in ids]
    return pa.table(
        {
            "id": [f"r{i % 100}" for i in ids],
            "click": [7 if i % 9 == 8 else i % 2 for i in ids],
            "part": [("train", "train", "eval")[i % 3] for i in ids],
            "item": [f"i{i * i % 97}" if i % 7 else None for i in ids],
            "tags": tags,
            "shares": [[1.0 / (k + 1) for k in range(len(of_row))] for of_row in tags],
            "day": [f"d{i % 7}" for i in ids],
            "price": [None if i % 11 == 0 else (i * 37 % 101) / 7 for i in ids],
            "age": [i * 53 % 89 for i in ids],
        }
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three files in several row groups."""
    folder = tmp_path_factory.mktemp("rows")
    for part in range(3):
        pq.write_table(table(part), folder / f"{part}.parquet", row_group_size=50)
    return str(folder / "*.parquet")


@pytest.fixture(scope="module")
def first(data: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run whose transform is applied."""
    return Run(transform(Spec.model_validate(SPEC), [data], str(tmp_path_factory.mktemp("first") / "run")).path)


def files_of(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def by_beam(first: Run, data: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the run that a pipeline writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_parts, "local_threads", lambda _: None)
        target = tmp_path_factory.mktemp("beam") / "run"
        transform(first.spec, [data], str(target), using=first)
    return files_of(target)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_files_equal_those_of_the_beam_pipeline(
    threads: int, by_beam: dict[str, bytes], first: Run, data: str, tmp_path: Path
) -> None:
    options = beam_options(mode="threads", workers=threads)
    result = transform(first.spec, [data], str(tmp_path / "run"), options, using=first)
    assert files_of(tmp_path / "run") == by_beam
    assert (result.stats.rejected, result.stats.duplicate_keys) == (40, 220)


def test_the_first_rejected_rows_are_named_for_any_number_of_threads(first: Run, data: str, tmp_path: Path) -> None:
    few = first.spec.model_copy(update={"max_rejected": 10.0})
    with pytest.raises(TooManyRejected, match=r"0.parquet +9 +click(.|\n)*0.parquet +18 +click"):
        transform(few, [data], str(tmp_path / "run"), beam_options(mode="threads", workers=5), using=first)
    assert not (tmp_path / "run").exists()


def test_one_worker_and_one_thread_are_written_in_the_order_of_rows(by_beam: dict[str, bytes]) -> None:
    rejected = [json.loads(line) for line in by_beam["rejected/rows-00000-of-00001.jsonl"].splitlines()]
    assert [row["row"] for row in rejected][:3] == [9, 18, 27]
