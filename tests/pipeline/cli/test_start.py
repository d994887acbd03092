"""`fieldpool start`: from unknown files to a first model, with the spec left to edit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from fieldpool.pipeline.cli import start
from fieldpool.pipeline.reports import data_profile

Fieldpool = Callable[..., tuple[int, str, str]]
Calls = list[tuple[Any, ...]]


@pytest.fixture(scope="session")
def log(log_columns: dict[str, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The click log as a file, with a label whose name says nothing."""
    columns = {name: values for name, values in log_columns.items() if name not in ("rating", "session_text")}
    columns["seen_again"] = columns.pop("clicked")
    path = tmp_path_factory.mktemp("log") / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def profile(log: Path) -> data_profile.DataProfile:
    """The profile of the log."""
    return data_profile.profile_data([str(log)], label="seen_again")


@pytest.fixture
def calls(profile: data_profile.DataProfile, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The calls of the steps after the profile. All steps return at once."""
    found: Calls = []
    monkeypatch.setattr(data_profile, "profile_data", lambda *_, **__: profile)
    monkeypatch.setattr(data_profile, "profile_page", lambda *_: "</html>")
    monkeypatch.setattr(start, "run_workflow", lambda *given, **options: found.append((*given, options)))
    return found


def test_start_trains_a_model_with_the_proposed_spec(fieldpool: Fieldpool, log: Path, tmp_path: Path) -> None:
    out = tmp_path / "first"
    code, output, err = fieldpool("start", log, "--label", "seen_again", "--out", out, "--epochs", "1", "--json")
    assert code == 0, err
    summary = json.loads(output)
    assert {name: Path(summary[name]) for name in ("spec", "page", "run", "model", "export", "report")} == {
        "spec": out / "spec.yaml",
        "page": out / "profile.html",
        "run": out / "run",
        "model": out / "model",
        "export": out / "model/serving",
        "report": out / "report.html",
    }
    assert summary["rows"]["read"] == 400
    assert 0 <= summary["metrics"]["test"]["auc"] <= 1
    assert "</html>" in (out / "profile.html").read_text(encoding="utf-8")
    assert yaml.safe_load((out / "spec.yaml").read_text())["label"] == {"field": "seen_again"}


def test_the_next_commands_use_the_spec_that_is_left(
    fieldpool: Fieldpool, calls: Calls, log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "first"
    code, output, _ = fieldpool("start", log, "--label", "seen_again", "--out", out)
    assert code == 0
    assert "Proposed fields" in output
    assert output.splitlines()[-2:] == [
        f"Next: fieldpool explain {out}/spec.yaml {log}",
        f"Next: fieldpool run {out}/spec.yaml {log} --out {out} --overwrite",
    ]
    assert [call[:3] for call in calls] == [(f"{out}/spec.yaml", [str(log)], str(out))]


def test_resume_continues_with_the_spec_in_the_folder(
    fieldpool: Fieldpool, calls: Calls, log: Path, tmp_path: Path
) -> None:
    command = ["start", log, "--label", "seen_again", "--out", tmp_path / "first"]
    fieldpool(*command)
    spec = tmp_path / "first/spec.yaml"
    spec.write_text(edited := spec.read_text() + "# edited\n")
    code, output, _ = fieldpool(*command, "--resume")
    assert code == 0
    assert "Proposed fields" not in output
    assert spec.read_text() == edited
    assert len(calls) == 2


def test_resume_with_another_label_is_refused(fieldpool: Fieldpool, calls: Calls, log: Path, tmp_path: Path) -> None:
    fieldpool("start", log, "--label", "seen_again", "--out", tmp_path / "first")
    code, _, err = fieldpool("start", log, "--label", "age", "--out", tmp_path / "first", "--resume")
    assert code == 2
    assert "--label age: the label in " in err
    assert "is seen_again; leave --label out, or start from scratch with --overwrite" in " ".join(err.split())


def test_resume_accepts_the_column_that_the_label_is_exploded_from(
    fieldpool: Fieldpool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: Calls = []
    monkeypatch.setattr(start, "run_workflow", lambda *given, **options: calls.append(given))
    rows = "".join(f"u{i % 7}\tN{i % 9}-1 N{i % 5}-0\n" for i in range(60))
    (tmp_path / "shown.tsv").write_text(rows)
    command = ["start", tmp_path / "shown.tsv", "--label", "c1", "--out", tmp_path / "first"]
    assert fieldpool(*command)[0] == 0
    assert "explode" in (tmp_path / "first/spec.yaml").read_text()
    assert fieldpool(*command, "--resume")[0] == 0
    assert len(calls) == 2


def test_second_start_names_the_options(fieldpool: Fieldpool, calls: Calls, log: Path, tmp_path: Path) -> None:
    command = ["start", log, "--label", "seen_again", "--out", tmp_path / "first"]
    fieldpool(*command)
    code, _, err = fieldpool(*command)
    assert code == 2
    assert "spec.yaml: exists already; continue with --resume, " in err
    assert "start from scratch with --overwrite" in " ".join(err.split())
    assert fieldpool(*command, "--overwrite")[0] == 0
    assert len(calls) == 2


@pytest.mark.parametrize("as_json", [False, True])
def test_without_a_label_it_ends_after_the_page(fieldpool: Fieldpool, log: Path, tmp_path: Path, as_json: bool) -> None:
    data, out = tmp_path / "rows.parquet", tmp_path / "first"
    pq.write_table(pq.read_table(log).drop_columns(["seen_again"]), data)
    code, output, _ = fieldpool("start", data, "--out", out, *(["--json"] if as_json else []))
    assert code == 0
    assert sorted(path.name for path in out.iterdir()) == ["profile.html", "spec.yaml"]
    if as_json:
        assert "label" not in json.loads(output)["spec"]
    else:
        assert "No label" in output
        assert output.splitlines()[-1] == f"Next: fieldpool start {data} --label COLUMN --out {out} --overwrite"


def test_error_leaves_no_folder(fieldpool: Fieldpool, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("<html><body>Not found</body></html>")
    code, _, err = fieldpool("start", tmp_path / "rows.csv", "--out", tmp_path / "first")
    assert code == 2, err
    assert not (tmp_path / "first").exists()
