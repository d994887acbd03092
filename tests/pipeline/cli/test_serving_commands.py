"""Commands that apply models or write pages: output, exit codes, messages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from served_model import Served

Fieldpool = Callable[..., tuple[int, str, str]]


def test_export_verify_and_predict(fieldpool: Fieldpool, served: Served, tmp_path: Path) -> None:
    code, output, _ = fieldpool("export", served.run, served.model, "--out", tmp_path / "export", "--json")
    assert (code, json.loads(output)) == (0, {"export": str(tmp_path / "export")})

    code, output, _ = fieldpool("verify", served.run, tmp_path / "export", served.data, "--rows", "30", "--json")
    assert code == 0
    assert json.loads(output)["rows"] == 30

    code, output, _ = fieldpool("predict", tmp_path / "export", served.data, "--out", tmp_path / "out", "--json")
    assert (code, json.loads(output)) == (0, {"read": 120, "predicted": 120, "rejected": 0})


def test_verify_shows_the_differences_and_exits_with_3(
    fieldpool: Fieldpool, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the check of vocabularies, which would refuse this export before any row is read.
    monkeypatch.setattr("fieldpool.pipeline.serving.parity.check_export", lambda *_: None)
    export = Path(shutil.copytree(served.export, tmp_path / "export"))
    tokens = (export / "assets" / "user").read_bytes().splitlines(keepends=True)
    (export / "assets" / "user").write_bytes(b"".join(reversed(tokens)))
    code, output, errors = fieldpool("verify", served.run, export, served.data)
    assert code == 3
    assert "The first differences" in output
    assert f"{served.data}, row 2" in output
    assert "the exported model and the batch pipeline give different results" in errors


def test_report(fieldpool: Fieldpool, served: Served, tmp_path: Path) -> None:
    page = tmp_path / "card.html"
    code, output, _ = fieldpool("report", served.run, served.model, "--out", page, "--json")
    assert (code, json.loads(output)) == (0, {"report": str(page)})
    assert "Model card" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "{}/nothing", "{}/model"], "nothing: no such folder"),
        (["export", "{}/run", "{}/nothing"], "nothing/model.keras: no such model"),
        (["predict", "{}/run", "{}/rows.parquet", "--out", "{}/new"], "run is a run; expected an exported model"),
        (["predict", "{}/model", "{}/rows.parquet", "--out", "{}/run"], "run: exists already"),
        (["predict", "{}/model", "{}/rows.parquet", "--out", "{}/new", "--format", "xml"], "--format"),
        (["verify", "{}/run", "{}/model", "{}/none.csv"], "none.csv: no such file"),
        (["profile", "{}/none.csv", "--out", "{}/look"], "none.csv: no such file"),
        (["profile", "{}/rows.parquet", "--out", "{}/look", "--delimiter", "123456789"], "--delimiter: expected 1"),
        (["profile", "{}/rows.parquet", "--out", "{}/look", "--delimiter", '"'], "`quote` and `delimiter` must differ"),
        (
            ["profile", "{}/rows.parquet", "--out", "{}/look", "--label", "eye"],
            "--label eye: no such column; expected one of",
        ),
        (["profile", "{}/rows.parquet", "--out", "{}/run"], "run/spec.yaml: exists already"),
        (["report", "{}/run", "{}/nothing", "--out", "{}/card.html"], "nothing/training.json: no such file"),
    ],
)
def test_mistakes_exit_with_2_and_one_clear_message(
    fieldpool: Fieldpool, served: Served, arguments: list[str], message: str
) -> None:
    folder = served.run.parent
    before = sorted(folder.iterdir())
    code, output, errors = fieldpool(*(argument.format(folder) for argument in arguments))
    assert (code, output) == (2, "")
    assert message in errors.replace("\n", " ")
    assert "Traceback" not in errors
    assert sorted(folder.iterdir()) == before


def test_a_rejected_row_is_not_a_difference(fieldpool: Fieldpool, served: Served, tmp_path: Path) -> None:
    table = pq.read_table(served.data)
    keys = [None, *table["id"].to_pylist()[1:]]
    pq.write_table(table.set_column(0, "id", [keys]), tmp_path / "rows.parquet")
    code, output, _ = fieldpool("verify", served.run, served.model, tmp_path / "rows.parquet", "--json")
    assert code == 0
    found = json.loads(output)
    assert (found["rows"], found["rejected"], found["holds"]) == (119, 1, True)


def test_verify_without_valid_rows_reports_the_first_rejected_row(
    fieldpool: Fieldpool, served: Served, tmp_path: Path
) -> None:
    table = pq.read_table(served.data)
    pq.write_table(table.set_column(0, "id", [[None] * table.num_rows]), tmp_path / "rows.parquet")
    code, _, errors = fieldpool("verify", served.run, served.model, tmp_path / "rows.parquet", "--json")
    assert code == 2
    first = f"120 of 120 rows were rejected, the first is {tmp_path}/rows.parquet, row 1, id: the key is missing"
    assert f"nothing was compared: {first}; pass rows that fit" in errors
