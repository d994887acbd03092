"""The command line: output, exit codes, and messages without a traceback for mistakes of users."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

Fieldpool = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def project(spec_data: dict[str, Any], rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with spec.yaml and rows.parquet."""
    folder = tmp_path_factory.mktemp("project")
    small = {"model": {"hidden_units": [4], "embedding_dim": 2}, "train": {"epochs": 2, "batch_size": 4}}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec_data | small))
    test_rows = [rows[-1] | {"id": "r7", "click": 1}, rows[-2] | {"id": "r8", "click": 0}]
    pq.write_table(pa.Table.from_pylist([*rows, *test_rows]), folder / "rows.parquet")
    return folder


def row_of(output: str, table: str, first: str) -> list[str]:
    """Returns the cells of the row with this first cell in the table with this title."""
    lines = output[output.index(table) :].splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    return next(row for row in rows if row[0] == first)


def test_run_inspect_train_and_evaluate(fieldpool: Fieldpool, project: Path) -> None:
    out = project / "all"
    code, output, _ = fieldpool("run", project / "spec.yaml", project / "rows.parquet", "--out", out)
    assert code == 0
    assert row_of(output, "Rows", "8") == ["8", "4", "2", "2", "0"]
    assert row_of(output, "Fields", "user") == ["user", "2", "", "12.5 %", "100.0 %", "0", ""]
    assert row_of(output, "Training", "2")[0] == "2"
    assert row_of(output, "Metrics", "examples") == ["examples", "4", "2", "2"]
    assert row_of(output, "Parity", "8") == ["8", "0", "0", "0", row_of(output, "Parity", "8")[-1]]
    assert (out / "model" / "serving" / "saved_model.pb").exists()
    assert "</html>" in (out / "report.html").read_text(encoding="utf-8")

    code, output, _ = fieldpool("inspect", out / "run", "--split", "test", "--rows", "1")
    assert code == 0
    assert "[OOV" in output
    assert "c · a · b · b" not in output  # Three at most.

    code, output, _ = fieldpool("train", out / "run", "--out", project / "again", "--epochs", "1", "--json")
    assert code == 0
    trained = json.loads(output)
    assert set(trained) == {"history", "best_epoch", "monitor", "model_path", "training_path"}
    assert (len(trained["history"]), trained["model_path"]) == (1, str(project / "again/model.keras"))

    evaluate = ("evaluate", out / "run", project / "again", "--split", "eval", "--rank-by", "user")
    code, output, _ = fieldpool(*evaluate, "--json")
    assert code == 0
    found = json.loads(output)["eval"]
    assert found["examples"] == 2
    assert {"ndcg@5", "mrr", "mrr_mind", "hit_rate@10", "group_auc", "groups", "ranking_examples"} <= set(found)


def test_explain_shows_before_and_after_and_writes_nothing(fieldpool: Fieldpool, project: Path) -> None:
    before = sorted(project.iterdir())
    code, output, _ = fieldpool("explain", project / "spec.yaml", project / "rows.parquet", "--rows", "2")
    assert code == 0
    assert "row 2 → train, key r2, label 0" in output
    assert "[a, c, b, a]" in output
    assert "c · b · a" in output
    assert sorted(project.iterdir()) == before


def test_schema_is_a_json_schema(fieldpool: Fieldpool) -> None:
    code, output, _ = fieldpool("schema")
    assert code == 0
    assert json.loads(output)["properties"]["fields"]


TRANSFORM = ["transform", "{}/spec.yaml", "{}/rows.parquet", "--out", "{}/x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["transform", "{}/none.yaml", "{}/rows.parquet", "--out", "{}/x"],
            "none.yaml: cannot read the spec",
        ),
        (["transform", "{}/spec.yaml", "{}/none.parquet", "--out", "{}/x"], "none.parquet: no such file"),
        (["transform", "{}/spec.yaml", "{}/spec.yaml", "--out", "{}/x"], "spec.yaml is a YAML file; expected data"),
        (["train", "{}/nothing", "--out", "{}/x"], "nothing: no such folder"),
        (["train", "{}", "--out", "{}/x"], "not a run (no DONE file)"),
        (["evaluate", "{}/nothing", "{}/nothing"], "nothing: no such folder"),
        (["inspect", "{}/nothing"], "nothing: no such folder"),
        (["explain", "{}/spec.yaml"], "Missing argument"),
        (["transform", "{}/spec.yaml"], "Missing option"),
        (["transform", "{}/spec.yaml", "--out", "{}/x"], "no data: give files after the spec"),
        (["transform", "--using", "{}", "{}/rows.parquet", "--out", "{}/x"], "not a run (no DONE file)"),
        ([*TRANSFORM, "--grow", "{}/nothing"], "nothing: no such folder (no DONE file)"),
        ([*TRANSFORM, "--grow", "{}", "--using", "{}"], "--grow RUN extends them; give one of them"),
        ([*TRANSFORM, "--as-of", "2026-11-28", "--using", "{}"], "--as-of states the date of new ones; give one of"),
        ([*TRANSFORM, "--as-of", "28.11.2026"], "--as-of: expected a date such as 2026-11-28, found '28.11.2026'"),
        (["check", "{}", "{}/rows.parquet"], "not a run (no DONE file)"),
        (["fly"], "No such command"),
    ],
)
def test_mistakes_exit_with_2_and_one_clear_message(
    fieldpool: Fieldpool, project: Path, arguments: list[str], message: str
) -> None:
    code, output, errors = fieldpool(*(argument.format(project) for argument in arguments))
    assert code == 2
    assert output == ""
    assert message in errors
    assert "Traceback" not in errors


def test_help_teaches_by_example(fieldpool: Fieldpool) -> None:
    commands = ("explain", "transform", "check", "train", "evaluate", "run", "inspect", "demo", "start")
    for command in (*commands, "export", "predict", "verify", "profile", "report"):
        code, output, _ = fieldpool(command, "-h")
        assert code == 0
        assert f"Example: fieldpool {command} " in output
        assert fieldpool(command, "--help") == (0, output, "")


def test_version_is_that_of_the_package(fieldpool: Fieldpool) -> None:
    assert fieldpool("--version") == (0, f"fieldpool {version('fieldpool')}\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_offered_to_shells(fieldpool: Fieldpool, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code, output, _ = fieldpool("--show-completion", shell)
    assert code == 0
    assert f"_FIELDPOOL_COMPLETE=complete_{shell}" in output


def test_the_command_line_starts_without_tensorflow_and_beam() -> None:
    """So that `--help`, completion and errors in the options are immediate."""
    blocked = "sys.modules.update(dict.fromkeys(('tensorflow', 'keras', 'apache_beam')))"
    script = f"import sys; {blocked}; import fieldpool.pipeline.cli.app"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_standard_output_has_only_results_and_standard_error_no_tensorflow_logs(project: Path) -> None:
    """In a new process, because TensorFlow logs when it is first imported."""
    program = "from fieldpool.pipeline.cli.app import main; main()"
    arguments = ["explain", str(project / "spec.yaml"), str(project / "rows.parquet"), "--json", "--rows", "1"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    (row,) = json.loads(done.stdout)["rows"]
    assert row["raw"]["user"] == "u1"
    assert row["example"]["fields"]["user"]["tokens"] == ["u1"]
