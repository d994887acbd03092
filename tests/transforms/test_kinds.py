"""What a path holds is recognised, and named where something else is expected."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import google.auth
import pytest

from fieldpool.pipeline.sources.streams.compression import EXTENSIONS
from fieldpool.transforms import kinds
from fieldpool.transforms.errors import SourceError, SpecError, UserError
from fieldpool.transforms.kinds import ORDER, Kind, check_cloud_access, check_kind, kind_of

if TYPE_CHECKING:
    from served_model import Served


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("spec.yaml", Kind.SPEC),
        ("Spec.YML", Kind.SPEC),
        ("model.keras", Kind.MODEL),
        ("clicks.parquet", Kind.DATA),
        ("gs://bucket/logs/*.csv.gz", Kind.DATA),
        *((f"logs.csv{extension}", Kind.DATA) for extension in EXTENSIONS),
        ("clicks.JSONL", Kind.DATA),
        ("clicks", None),
        ("", None),
    ],
)
def test_files_are_recognised_by_extension(path: str, kind: Kind | None) -> None:
    assert kind_of(path) is kind


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["DONE", "spec.yaml", "examples/", "transform/"], Kind.RUN),
        (["spec.yaml", "examples/", "transform/"], Kind.UNFINISHED_RUN),
        ([".work-1a2b3c4d/"], Kind.UNFINISHED_RUN),
        (["model.keras", "training.json", "serving/"], Kind.MODEL),
        (["saved_model.pb", "assets.extra/"], Kind.EXPORT),
        (["DONE", "predictions/", "stats.json"], Kind.PREDICTIONS),
        (["run/", "model/", "report.html"], Kind.ALL),
        (["spec.yaml", "clicks.parquet"], None),
        ([], None),
    ],
)
def test_folders_are_recognised_by_the_files_in_them(tmp_path: Path, names: list[str], kind: Kind | None) -> None:
    for name in names:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    assert kind_of(str(tmp_path)) is kind_of(f"{tmp_path}/") is kind


def test_what_fieldpool_makes_is_recognised(served: Served) -> None:
    kinds = [kind_of(str(path)) for path in (served.run, served.model, served.export, served.run.parent)]
    assert kinds == [Kind.RUN, Kind.MODEL, Kind.EXPORT, Kind.ALL]


def test_a_remote_folder_that_cannot_be_listed_is_not_recognised() -> None:
    assert kind_of("nothing://bucket/run") is None


def test_only_a_recognised_other_kind_is_an_error() -> None:
    assert check_kind("clicks", Kind.RUN, UserError) is None
    assert check_kind("clicks.csv", Kind.DATA, UserError) is Kind.DATA
    assert check_kind("model.keras", Kind.EXPORT, UserError, accepted=(Kind.MODEL,)) is Kind.MODEL
    with pytest.raises(SourceError, match=r"spec.yaml is a YAML file; expected data: CSV, JSON Lines"):
        check_kind("spec.yaml", Kind.DATA, SourceError)


def test_the_output_of_a_complete_run_names_the_folder_inside(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match=f"creates; pass {tmp_path}/model"):
        check_kind(f"{tmp_path}/", Kind.MODEL, UserError)


def test_python_functions_recognise_an_argument_in_the_wrong_position(served: Served) -> None:
    from fieldpool.model.export import export_model
    from fieldpool.model.run import Run
    from fieldpool.model.training.folder import load_model
    from fieldpool.pipeline.reports.model_report import write_report
    from fieldpool.pipeline.sources.files import find_files
    from fieldpool.pipeline.spec_file import load_spec
    from fieldpool.transforms.run_files import NoExport, NotARun, find_export

    run, model, data = map(str, (served.run, served.model, served.data))
    calls = [
        (NotARun, "model is a trained model; expected a run", lambda: Run(model)),
        (UserError, "run is a run; expected a trained model", lambda: load_model(run)),
        (UserError, "run is a run; expected a trained model", lambda: export_model(Run(run), run)),
        (UserError, "run is a run; expected a trained model", lambda: write_report(Run(run), run, "card.html")),
        (NoExport, "run is a run; expected an exported model", lambda: find_export(run)),
        (SourceError, "model is a trained model; expected data", lambda: find_files([data, model])),
        (SpecError, "rows.parquet is a data file; expected a spec", lambda: load_spec(data)),
        (SpecError, "run is a run; expected a spec", lambda: load_spec(run)),
    ]
    for kind, message, call in calls:
        with pytest.raises(kind, match=message) as error:
            call()
        assert error.value.__notes__ == [ORDER]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", '{"user": 1}', '{"user": 1}\n{"user": 2}\n'])
def test_data_that_is_valid_yaml_is_not_taken_for_a_spec(tmp_path: Path, text: str) -> None:
    from fieldpool.pipeline.spec_file import load_spec

    (tmp_path / "clicks.json").write_text(text)
    with pytest.raises(SpecError, match=r"clicks.json is a data file; expected a spec"):
        load_spec(str(tmp_path / "clicks.json"))


def test_a_spec_in_json_is_taken_for_a_spec(tmp_path: Path) -> None:
    from fieldpool.pipeline.spec_file import load_spec

    (tmp_path / "spec.json").write_text('{"fields": {}}')
    with pytest.raises(SpecError, match="the spec is not valid"):
        load_spec(str(tmp_path / "spec.json"))


@pytest.fixture
def no_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STORAGE_EMULATOR_HOST", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    kinds._problem.cache_clear()


def connect_to(answer: OSError | None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Lets connections succeed or fail; returns the list of addresses that were tried."""
    tried: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        tried.append(address)
        assert timeout <= 5
        if answer:
            raise answer
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    return tried


def refuse_credentials(**_: object) -> None:
    raise google.auth.exceptions.DefaultCredentialsError("none")


@pytest.mark.usefixtures("no_emulator")
def test_missing_network_is_reported_before_a_client_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = connect_to(TimeoutError("timed out"), monkeypatch)
    for _ in range(2):
        with pytest.raises(UserError, match=r"^gs://pool/a.csv: cannot be used: storage\.googleapis\.com .*timed out"):
            check_cloud_access("b.csv", "gs://pool/a.csv")
    assert tried == [("storage.googleapis.com", 443)]  # Once for all paths of a process.


@pytest.mark.usefixtures("no_emulator")
def test_proxy_is_used_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    tried = connect_to(ConnectionRefusedError(111, "Connection refused"), monkeypatch)
    with pytest.raises(UserError, match=r"proxy\.example does not answer \(Connection refused\); .* the proxy"):
        check_cloud_access("gs://pool/a.csv")
    assert tried == [("proxy.example", 3128)]


@pytest.mark.usefixtures("no_emulator")
def test_missing_credentials_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    connect_to(None, monkeypatch)
    monkeypatch.setattr(google.auth, "default", refuse_credentials)
    with pytest.raises(UserError, match="no credentials for Google Cloud; run `gcloud auth application-default login`"):
        check_cloud_access("gs://pool/a.csv")


@pytest.mark.usefixtures("no_emulator")
@pytest.mark.parametrize("path", ["gs://pool/spec.yaml", "gs://pool/run"])
def test_each_command_checks_the_network_first(
    fieldpool: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    connect_to(TimeoutError("timed out"), monkeypatch)
    command = ["transform", path, "a.csv"] if path.endswith(".yaml") else ["train", path]
    code, _, err = fieldpool(*command, "--out", tmp_path / "out")
    assert (code, err.startswith(f"error: {path}: cannot be used: storage.googleapis.com")) == (2, True)
    assert len(err.splitlines()) == 1


def test_local_paths_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = connect_to(TimeoutError(), monkeypatch)
    check_cloud_access("a.csv", "", "s3://pool/a.csv")
    assert tried == []
