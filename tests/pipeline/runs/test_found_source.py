"""`source: auto` is replaced once, before the work starts, by what is found in the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fieldpool.pipeline.rows.read_rows import ReadBatches
from fieldpool.pipeline.runs.dry_run import explain
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.sniffing.sniff import with_found_source
from fieldpool.pipeline.sources.files import find_files
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.transforms.errors import FieldpoolWarning, SourceError
from fieldpool.transforms.spec import Source, Spec

SPEC: dict[str, Any] = {
    "source": "auto",
    "label": {"field": "y"},
    "split": {"column": "s"},
    "fields": {"tags": {"type": "multivalued", "separator": "|", "max_len": 3}},
}
ROWS = "id::y::s::tags\n1::1::train::x|y\n2::0::train::x\n3::1::eval::\n"


def test_run_states_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "rows.dat").write_text(ROWS)
    result = transform(Spec.model_validate(SPEC), [str(tmp_path / "rows.dat")], str(tmp_path / "run"))
    assert (result.stats.train, result.stats.eval) == (2, 1)
    assert yaml.safe_load((tmp_path / "run/spec.yaml").read_text())["source"] == {
        "format": "csv",
        "compression": "none",
        "encoding": "utf-8",
        "delimiter": "::",
        "quote": '"',
        "header": True,
    }


def test_explain_looks_at_the_files(tmp_path: Path) -> None:
    (tmp_path / "rows.dat").write_text("<!DOCTYPE html><html>\n")
    with pytest.raises(SourceError, match="expected rows of data; found an HTML or XML page"):
        explain(Spec.model_validate(SPEC), [str(tmp_path / "rows.dat")])


def test_decision_that_may_be_wrong_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\nred wine,bread\ncheese,old plum\n")
    with pytest.warns(FieldpoolWarning, match=r"rows\.csv: source\.header is True: not certain: all columns are text"):
        with_found_source(Spec.model_validate(SPEC), [str(tmp_path / "rows.csv")])


def test_stated_source_is_not_changed(tmp_path: Path) -> None:
    spec = Spec.model_validate(SPEC | {"source": {"delimiter": "::"}})
    assert with_found_source(spec, ["missing.csv"]) is spec


def test_source_that_asks_to_detect_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    source, path = Source(format="detect"), str(tmp_path / "rows.csv")
    message = "found `format: detect`, which only `transform`, `explain` and `run` replace"
    with pytest.raises(SourceError, match=message):
        ReadBatches(find_files([path]), source, ["y"])
    with pytest.raises(SourceError, match=message):
        list(read_batches(path, source, ["y"]))
