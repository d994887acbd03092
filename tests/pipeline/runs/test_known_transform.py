"""An analysis in this process gives the run that TensorFlow Transform's analysis gives, on any runner."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fieldpool.pipeline.analysis.analysis import analyze, read_analysis
from fieldpool.pipeline.analysis.partitions import partitions_of
from fieldpool.pipeline.rows.prepared_job import prepare_job
from fieldpool.pipeline.runs import run_directory
from fieldpool.pipeline.runs.row_source import RowSource
from fieldpool.transforms.errors import TooManyRejected
from fieldpool.transforms.spec import Spec

SPEC = Spec.model_validate(
    {
        "key": "id",
        "label": {"field": "click"},
        "split": {"time": "at", "train": 0.6, "eval": 0.2, "test": 0.2},
        "max_rejected": 0.5,
        "vocabularies": {"items": {"num_oov_buckets": 3, "min_count": 2, "top_k": 9}},
        "fields": {
            "item": {"type": "categorical", "vocabulary": "items"},
            "country": {"type": "categorical", "missing": {"token": "nowhere"}},
            "history": {"type": "multivalued", "vocabulary": "items", "max_len": "p80", "keep": "last"},
            "tags": {"type": "multivalued", "separator": "|", "max_len": "auto", "empty": {"token": "none"}},
            "words": {"type": "multivalued", "max_len": 2, "text": "bytes"},
            "price": {"type": "numeric", "scale": {"quantiles": 4}},
            "age": {"type": "numeric", "scale": "zscore"},
        },
    }
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two files, with ties, missing values, empty lists, and tokens that are not text."""
    folder = tmp_path_factory.mktemp("rows")
    for part in range(2):
        ids = range(part * 90, (part + 1) * 90)
        table = {
            "id": [f"r{i}" for i in ids],
            "click": [i % 2 if i % 13 else 7 for i in ids],
            "at": [1_700_000_000 + i * 37 % 180 for i in ids],
            "item": [f"i{i * i % 17}" if i % 7 else None for i in ids],
            "country": [("de", "fr", None)[i % 3] for i in ids],
            "history": [[f"i{(i + k) ** 2 % 19}" for k in range(i % 6)] for i in ids],
            "tags": ["|".join(f"t{(i * k) % 5}" for k in range(i % 4)) for i in ids],
            "words": [[b"\xff", b"", b"line\nfeed", b"w"][i % 4 :] for i in ids],
            "price": [None if i % 11 == 0 else (i * 37 % 101) / 7 for i in ids],
            "age": [i * 53 % 89 for i in ids],
        }
        pq.write_table(pa.table(table), folder / f"{part}.parquet", row_group_size=50)
    return [str(folder / "*.parquet")]


def files_of(folder: Path) -> dict[str, bytes]:
    """Returns the files of a run that only its rows and its spec determine."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    # The nodes of two equal graphs may have other names.
    graph = re.compile(r"transform_fn/(saved_model\.pb|fingerprint\.pb|variables/.*)$")
    return {name: content for name, content in found.items() if not graph.search(name)}


def test_analysis_in_this_process_gives_the_files_of_an_analysis_in_beam(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_directory.transform(SPEC, files, str(tmp_path / "here"))
    monkeypatch.setattr(
        run_directory,
        "RowSource",
        lambda *given: dataclasses.replace(RowSource(*given), partitions=None),
    )
    run_directory.transform(SPEC, files, str(tmp_path / "beam"))
    here, beam = files_of(tmp_path / "here"), files_of(tmp_path / "beam")
    assert sorted(here) == sorted(beam)
    assert {name for name, content in here.items() if content != beam[name]} == set()


def analysis_of(files: list[str], folder: Path, threads: int, spec: Spec = SPEC) -> dict[str, Any]:
    partitions = partitions_of(prepare_job(files).files, spec.source)
    analyze(spec, partitions, str(folder), threads)
    return files_of(folder)


def test_analysis_does_not_depend_on_the_number_of_threads(files: list[str], tmp_path: Path) -> None:
    assert analysis_of(files, tmp_path / "1", 1) == analysis_of(files, tmp_path / "3", 3)


def test_analysis_is_read_as_it_was_written(files: list[str], tmp_path: Path) -> None:
    found = analyze(SPEC, partitions_of(prepare_job(files).files, SPEC.source), str(tmp_path), 2)
    again = read_analysis(str(tmp_path))
    assert found.known.statistics.tobytes() == again.known.statistics.tobytes()
    assert (again.spec, again.rows, again.vocabularies) == (found.spec, found.rows, found.vocabularies)


def test_analysis_stops_at_too_many_rejected_rows(files: list[str], tmp_path: Path) -> None:
    for threads in (1, 2):
        with pytest.raises(TooManyRejected, match="14 of 180 rows were rejected, but max_rejected is 7") as error:
            analysis_of(files, tmp_path, threads, SPEC.model_copy(update={"max_rejected": 7}))
        assert [line.split()[1] for line in str(error.value).splitlines()[2:5]] == ["1", "14", "27"]


def test_a_spec_without_vocabularies_has_an_analysis_too(files: list[str], tmp_path: Path) -> None:
    numbers = {name: field for name, field in SPEC.fields.items() if not field.has_vocabulary}
    spec = SPEC.model_copy(update={"fields": numbers, "vocabularies": {}})
    assert list(analysis_of(files, tmp_path / "new", 1, spec)) == ["analysis.json"]
