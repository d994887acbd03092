"""The tables of `fieldpool profile` show every decision with its reason."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from fieldpool.pipeline.reports.data_profile import DataProfile, profile_data
from fieldpool.pipeline.terminal.profile_table import profile_table, sections_table, show_profile


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> DataProfile:
    path = tmp_path_factory.mktemp("profile") / "rows.csv"
    path.write_text("".join(f"{i};u{i % 9};{'pv' if i % 4 else 'buy'};a\x1b[1m{i % 7}\n" for i in range(200)))
    return profile_data([str(path)], label="c2")


def test_decisions_on_source_label_key_and_split_are_shown(found: DataProfile) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(sections_table(found), profile_table(found))
    text = console.export_text()
    assert "every sampled row has 3 of them" in text
    assert "words that usually mean yes" in text
    assert "by the hash of c0" in text


def test_json_has_the_reasons_of_the_source(found: DataProfile, capsys: pytest.CaptureFixture[str]) -> None:
    show_profile(found, ["spec.yaml", "profile.html"], as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert "delimiter: every sampled row has 3 of them" in content["reasons"]["source"]
