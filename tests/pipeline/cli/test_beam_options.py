"""Beam's options on fieldpool's command line, spelled as in Beam's documentation."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from fieldpool.pipeline.cli.arguments import BeamArguments, Runner
from fieldpool.pipeline.cli.beam_options import CommandWithBeamOptions

app = typer.Typer()
seen: dict[str, Any] = {}


@app.command(cls=CommandWithBeamOptions)
def transform(files: list[str], runner: Runner = None, beam: BeamArguments = None, overwrite: bool = False) -> None:
    seen.update(files=files, runner=runner, beam=beam, overwrite=overwrite)


def call(*arguments: str) -> tuple[int, str]:
    """Returns exit code and what was printed."""
    seen.clear()
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("arguments", "beam"),
    [
        (["--region", "europe-west1"], ["--region=europe-west1"]),
        (["--region=europe-west1"], ["--region=europe-west1"]),
        (["--no_auth"], ["--no_auth"]),
        (["--labels", "a=b", "--labels", "c=d"], ["--labels=a=b", "--labels=c=d"]),
        (["--project", "p", "--no_auth", "--region", "r"], ["--project=p", "--no_auth", "--region=r"]),
        (["--environment_config", '{"command": "/x"}'], ['--environment_config={"command": "/x"}']),
        (["--time_limit", "5", "--tft_temp_location=gs://t"], ["--time_limit=5", "--tft_temp_location=gs://t"]),
        (["--beam=--anything=1"], ["--anything=1"]),
        ([], None),
    ],
)
def test_beams_options_are_passed_on(arguments: list[str], beam: list[str] | None) -> None:
    assert call("data", "--runner", "FlinkRunner", *arguments, "--overwrite") == (0, "")
    assert (seen["beam"] or None) == beam
    assert (seen["files"], seen["runner"], seen["overwrite"]) == (["data"], "FlinkRunner", True)


def test_what_follows_two_dashes_is_data() -> None:
    call("--", "--region", "x")
    assert seen["files"] == ["--region", "x"]


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--reggion", "Did you mean --region"),
        ("--max-num-workers", "Did you mean --max_num_workers"),
        ("--runer", "Did you mean --runner"),
        ("--qqqqqq", "For an option of a job server: --beam=--qqqqqq=…"),
    ],
)
def test_an_unknown_option_is_refused(option: str, hint: str) -> None:
    code, output = call("data", option, "x")
    assert code == 2
    assert f"No such option: {option}" in output
    assert hint in output


def test_an_option_without_its_value_is_refused() -> None:
    code, output = call("data", "--region")
    assert code == 2
    assert "Option '--region' requires an argument" in output
