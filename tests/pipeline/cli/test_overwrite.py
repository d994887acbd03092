"""One rule for the outputs of all commands: they refuse what exists; `--overwrite` replaces only their own output."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fieldpool.transforms.errors import UserError
from fieldpool.transforms.outputs import locked

if TYPE_CHECKING:
    from served_model import Served

Fieldpool = Callable[..., tuple[int, str, str]]
Run = Callable[..., str]

# The arguments of each command that writes, without --out.
COMMANDS = {
    "transform": ["spec.yaml", "rows.parquet"],
    "predict": ["model", "rows.parquet"],
    "train": ["run"],
    "export": ["run", "model"],
    "report": ["run", "model"],
    "profile": ["rows.parquet", "--label", "click"],
    "run": ["spec.yaml", "rows.parquet"],
    "demo": ["--rows", "1000"],
    "start": ["rows.parquet", "--label", "click"],
}
# The work of each command, after its checks.
WORK = {
    "transform": "pipeline.runs.run_directory.write_parts",
    "predict": "pipeline.serving.batch_prediction.running_pipeline",
    "train": "model.training.train._train",
    "export": "model.export.write_folder_atomically",
    "report": "pipeline.reports.model_report.measure_quality",
    "profile": "pipeline.reports.data_profile.profile_data",
    "run": "pipeline.cli.workflow.run_workflow",
    "demo": "pipeline.cli.workflow.run_workflow",
    "start": "pipeline.reports.data_profile.profile_data",
}
# The files in the output of each command; {} makes the output itself a file.
RUN = ("DONE", "spec.yaml", "stats.json", "examples/train-00000-of-00001.tfrecord.gz")
MODEL = ("model.keras", "training.json", "checkpoints/state-0001-000000000.npz", "logs/train/events")
EXPORT = ("saved_model.pb", "assets.extra/spec.yaml")
OUTPUTS = {
    "transform": RUN,
    "predict": ("DONE", "stats.json", "predictions/part.parquet"),
    "train": (*MODEL, *(f"serving/{name}" for name in EXPORT)),
    "export": EXPORT,
    "report": (),
    "profile": ("spec.yaml", "profile.html"),
    "run": (*(f"run/{name}" for name in RUN), *(f"model/{name}" for name in MODEL), "report.html"),
    "demo": ("clicks.parquet", "truth.parquet", "spec.yaml", *(f"run/{name}" for name in RUN), "report.html"),
    "start": ("spec.yaml", "profile.html", *(f"run/{name}" for name in RUN), "report.html"),
}
REPORT = "<html>\n<title>Model card: models/old</title>"
STARTED = "the work has started"


@pytest.fixture
def run(fieldpool: Fieldpool, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with `--out tmp_path/out`, up to its work; returns its message."""

    def start(*_: Any, **__: Any) -> Any:
        raise UserError(STARTED)

    spec = served.run / "spec.yaml"

    def call(command: str, *options: str) -> str:
        monkeypatch.setattr(f"fieldpool.{WORK[command]}", start)
        paths = {"spec.yaml": spec, "rows.parquet": served.data, "run": served.run, "model": served.model}
        arguments = [paths.get(argument, argument) for argument in COMMANDS[command]]
        code, _, message = fieldpool(command, *arguments, "--out", tmp_path / "out", *options)
        assert code == 2, message
        return " ".join(message.split())  # Without the line breaks of the terminal.

    return call


def fill(out: Path, names: tuple[str, ...]) -> None:
    """Creates an output with these files; without names, a report."""
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(REPORT)
    if not names:
        out.write_text(REPORT)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_first_output_needs_no_option(run: Run, tmp_path: Path, command: str) -> None:
    assert STARTED in run(command)
    assert command == "demo" or not (tmp_path / "out").exists()  # After an error, nothing is left.


@pytest.mark.parametrize("command", COMMANDS)
def test_existing_output_is_refused_and_the_option_named(run: Run, tmp_path: Path, command: str) -> None:
    fill(tmp_path / "out", OUTPUTS[command])
    before = contents(tmp_path)
    message = run(command)
    assert str(tmp_path / "out") in message
    assert "exists already" in message
    assert "--overwrite" in message
    assert contents(tmp_path) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_overwrite_replaces_the_output_of_the_same_command(run: Run, tmp_path: Path, command: str) -> None:
    fill(tmp_path / "out", OUTPUTS[command])
    before = contents(tmp_path)
    assert STARTED in run(command, "--overwrite")
    assert command == "demo" or contents(tmp_path) == before  # Until the new output is complete.


# These add their files to a folder; the files of FOREIGN are not theirs.
ADDING = ("profile", "run", "start")
FOREIGN = [
    *((command, ("thesis.txt",)) for command in COMMANDS if command not in ADDING),
    ("run", ("run/thesis.txt",)),
    ("run", ("model/thesis.txt",)),
    ("run", ("report.html/thesis.txt",)),
    ("profile", ("spec.yaml/thesis.txt",)),
    ("profile", ("spec.yaml",)),  # Written by hand: without a page.
    ("start", ("spec.yaml",)),
    ("start", ("run/thesis.txt",)),
    ("demo", ("clicks.parquet", "spec.yaml", "report.html")),
]
OTHER_OUTPUTS = [
    *((command, RUN) for command in COMMANDS if command != "transform"),
    *((command, MODEL) for command in COMMANDS if command not in ("train", "profile")),
    *((command, OUTPUTS["predict"]) for command in COMMANDS if command not in ("predict", "profile")),
    *((command, EXPORT) for command in COMMANDS if command not in ("export", "profile")),
    ("train", OUTPUTS["run"]),
    ("train", ("checkpoints/state-0001-000000000.npz", "logs/train/events", "cache/thesis.txt")),
    ("run", tuple(f"run/{name}" for name in OUTPUTS["predict"])),
]


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
@pytest.mark.parametrize(("command", "names"), [*FOREIGN, *OTHER_OUTPUTS])
def test_other_folders_are_never_replaced(
    run: Run, tmp_path: Path, command: str, names: tuple[str, ...], options: tuple[str, ...]
) -> None:
    fill(tmp_path / "out", names)
    before = contents(tmp_path)
    message = run(command, *options)
    assert "exists already" in message
    assert "replace it with --overwrite" not in message
    assert contents(tmp_path) == before


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
@pytest.mark.parametrize("command", COMMANDS)
def test_file_is_never_replaced(run: Run, tmp_path: Path, command: str, options: tuple[str, ...]) -> None:
    (tmp_path / "out").write_text("thesis")
    assert "exists already and is" in run(command, *options)
    assert (tmp_path / "out").read_text() == "thesis"


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "report"])
def test_second_writer_of_a_folder_is_refused(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "out").mkdir()
    with locked(str(tmp_path / "out")):
        assert "another process is working in it" in run(command)


def test_second_demo_does_not_replace_the_click_log_of_the_first(run: Run, tmp_path: Path) -> None:
    fill(tmp_path / "out", OUTPUTS["demo"])
    before = contents(tmp_path)
    with locked(str(tmp_path / "out")):
        assert "another process is working in it" in run("demo", "--overwrite")
    assert contents(tmp_path) == before


def test_export_is_refused_while_its_model_is_trained(fieldpool: Fieldpool, served: Served, tmp_path: Path) -> None:
    shutil.copytree(served.model, tmp_path / "model")
    shutil.rmtree(tmp_path / "model/serving")
    with locked(str(tmp_path / "model")):
        code, _, message = fieldpool("export", served.run, tmp_path / "model")
    assert code == 2
    assert "another process is working in it" in message
    assert not (tmp_path / "model/serving").exists()


@pytest.mark.parametrize("command", ADDING)
def test_other_files_of_a_folder_are_kept(run: Run, tmp_path: Path, command: str) -> None:
    fill(tmp_path / "out", ("thesis.txt",))
    assert STARTED in run(command)
    assert contents(tmp_path) == {"out/thesis.txt": REPORT}
