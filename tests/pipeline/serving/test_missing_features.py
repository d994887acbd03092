"""Files of which no row has a feature: an error for a new run, a warning where new rows meet a run or a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from served_model import Served

from fieldpool.model.run import Run
from fieldpool.pipeline.rows.prepared_job import prepare_job
from fieldpool.pipeline.runs.drift import check
from fieldpool.pipeline.runs.dry_run import explain
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.serving import parity
from fieldpool.pipeline.serving.batch_prediction import predict
from fieldpool.transforms.errors import FieldpoolWarning, SourceError


@pytest.fixture
def data(served: Served, tmp_path: Path) -> str:
    """The rows with another name for `user`."""
    path = tmp_path / "rows.jsonl"
    rows = [{"user_id" if name == "user" else name: value for name, value in row.items()} for row in served.rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_new_run_is_refused(served: Served, data: str, tmp_path: Path) -> None:
    spec = Run(str(served.run)).spec
    with pytest.raises(SourceError, match=r"has no column 'user'; it has .*'user_id'"):
        transform(spec, [data], str(tmp_path / "run"))
    with pytest.raises(SourceError, match="has no column 'user'"):
        explain(spec, [data])
    assert not (tmp_path / "run").exists()


def test_new_rows_are_predicted_and_compared_with_a_warning(served: Served, data: str, tmp_path: Path) -> None:
    with pytest.warns(FieldpoolWarning, match="no row has 'user'"):
        assert predict(str(served.export), [data], str(tmp_path / "out"))["predicted"] == len(served.rows)
    with pytest.warns(FieldpoolWarning, match="no row has 'user'"):
        missing = [
            finding
            for finding in check(Run(str(served.run)), [data])
            if (finding.field, finding.measure) == ("user", "missing")
        ]
    assert missing[0].is_broken


def test_verification_of_new_rows_warns(served: Served, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "verify", lambda *_: parity.Parity())
    with pytest.warns(FieldpoolWarning, match="no row has 'user'"):
        parity.verify_job(prepare_job([data], run=str(served.run), model=str(served.model)))
