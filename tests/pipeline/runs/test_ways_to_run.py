"""All local modes and runners give the same vocabularies, counts and records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from run_contents import contents

from fieldpool.pipeline.jobs.options import Mode, beam_options
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Spec

ROWS = 300


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three files with equally frequent tokens, missing values and empty lists, in many row groups."""
    folder = tmp_path_factory.mktemp("rows")
    for part in range(3):
        ids = range(part * ROWS, (part + 1) * ROWS)
        table = {
            "id": [f"r{i}" for i in ids],
            "click": [i % 2 for i in ids],
            "part": [("train", "train", "train", "eval", "test")[i % 5] for i in ids],
            "item": [f"i{i * i % 97}" if i % 7 else None for i in ids],
            "tags": [[f"t{(i + k) ** 2 % 31}" for k in range(i % 4)] for i in ids],
            "price": [None if i % 11 == 0 else (i * 37 % 101) / 7 for i in ids],
            "age": [i * 53 % 89 for i in ids],
        }
        pq.write_table(pa.table(table), folder / f"{part}.parquet", row_group_size=50)
    return [str(folder / "*.parquet")]


SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "click", "weight": "age"},
    "split": {"column": "part"},
    "sample": {"negatives": 0.5},
    "fields": {
        "item": {"type": "categorical", "num_oov_buckets": 3, "min_count": 5},
        "tags": {"type": "multivalued", "max_len": 2},
        "price": {"type": "numeric"},
        "age": {"type": "numeric", "scale": {"quantiles": 4}},
    },
}


def transformed(files: list[str], out: Path, options: PipelineOptions) -> Any:
    """Returns the contents of the run that `transform` writes to `out`."""
    transform(Spec.model_validate(SPEC), files, str(out), options)
    return contents(out)


@pytest.fixture(scope="module")
def in_memory(files: list[str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return transformed(files, tmp_path_factory.mktemp("memory"), beam_options(mode="memory"))


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_workers_on_one_machine_give_the_same_run(mode: Mode, in_memory: Any, files: list[str], tmp_path: Path) -> None:
    assert transformed(files, tmp_path, beam_options(mode=mode, workers=2)) == in_memory


def test_portable_job_server_gives_the_same_run(
    job_server: str, in_memory: Any, files: list[str], tmp_path: Path
) -> None:
    loopback = [f"--job_endpoint={job_server}", "--environment_type=LOOPBACK"]
    assert transformed(files, tmp_path, beam_options("PortableRunner", loopback)) == in_memory


def test_file_that_a_worker_process_cannot_read_is_reported(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1\x15, damaged")
    both = [*files, str(tmp_path / "bad.parquet")]
    with pytest.raises(UserError, match=r"bad.parquet: cannot be read as parquet: (?!.*while running)"):
        transform(Spec.model_validate(SPEC), both, str(tmp_path / "run"), beam_options(mode="processes", workers=2))
