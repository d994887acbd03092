"""Dataflow jobs before anything is staged: missing and invalid options, and the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from fieldpool.pipeline.cli.beam_job import _plan as plan
from fieldpool.pipeline.jobs import dataflow
from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.pipeline.rows.prepared_job import PreparedJob
from fieldpool.pipeline.sources.files import FileStamp
from fieldpool.transforms.errors import UserError

DATA, OUT = "gs://pool/clicks/*.parquet", "gs://pool/run"
COMPLETE = {
    "--project": "some-project",
    "--region": "europe-west1",
    "--temp_location": "gs://pool/beam",
    "--sdk_container_image": "registry/fieldpool:1",
}


def faults(data: str = DATA, out: str = OUT, extra: tuple[str, ...] = (), **changed: str | None) -> str:
    """Returns the error message for a valid job with `changed` options (None: not given), or "" if there is none."""
    given = COMPLETE | {f"--{name}": value for name, value in changed.items()}
    arguments = [f"{name}={value}" for name, value in given.items() if value is not None]
    try:
        dataflow.check_job(beam_options("DataflowRunner", [*arguments, *extra]), [data], out)
    except UserError as error:
        return str(error)
    return ""


def test_valid_job_has_no_errors() -> None:
    assert faults() == ""


def test_all_missing_options_are_reported_in_one_message() -> None:
    message = faults(project=None, region=None, temp_location=None)
    assert message.startswith("the Dataflow job cannot be started:\n")
    assert [line.split(" ")[3] for line in message.splitlines()[1:]] == ["--project", "--region", "--temp_location"]


def test_installed_package_has_no_setup_py_to_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dataflow, "__file__", str(tmp_path / "site-packages/fieldpool/pipeline/jobs/dataflow.py"))
    assert "missing: --sdk_container_image IMAGE, or --setup_file" in faults(sdk_container_image=None)
    assert faults(sdk_container_image=None, extra=("--extra_packages=fieldpool.tar.gz",)) == ""


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"project": "Some Project"}, "Invalid Project ID (Some Project)"),
        ({"project": "12345"}, "Invalid Project ID (12345)"),
        ({"region": "europe"}, "--region europe: not a region; expected, for example, europe-west1"),
        ({"region": "europe-west1-b"}, "--region europe-west1-b: not a region"),
        ({"temp_location": "/tmp"}, "Invalid GCS path (/tmp), given for the option: temp_location"),
        ({"staging_location": "gs://"}, "Invalid GCS path (gs://), given for the option: staging_location"),
        ({"temp_location": f"{OUT}/tmp"}, f"--temp_location {OUT}/tmp: is inside --out {OUT}, which is for the run"),
        ({"temp_location": OUT}, f"--temp_location {OUT}: is inside --out"),
        ({"staging_location": f"{OUT}/staging"}, f"--staging_location {OUT}/staging: is inside --out"),
        ({"temp_location": "gs://pool"}, f"--out {OUT}: is inside --temp_location gs://pool, where files may be"),
        ({"tft_temp_location": "tft"}, "--tft_temp_location tft: is on this machine; give a folder on gs://"),
        ({"tft_temp_location": f"{OUT}/tft"}, f"--tft_temp_location {OUT}/tft: is inside --out"),
        ({"tft_temp_location": "gs://pool/beam"}, "is inside --temp_location gs://pool/beam; give another folder"),
        ({"worker_region": "europe-west1", "worker_zone": "europe-west1-b"}, "mutually exclusive"),
        ({"resource_hints": "min_rma=8GB"}, "--resource_hints: Unknown resource hint: min_rma"),
        ({"pickle_library": "dill"}, "dill"),
        ({"job_name": "Nightly run"}, "Invalid job_name (Nightly run)"),
        ({"job_name": "x" * 1001}, "--job_name: expected at most 1000 characters, found 1001"),
        ({"labels": "Team=ads"}, "--labels=Team=ads: expected KEY=VALUE in lower-case letters"),
        ({"labels": "1team=ads"}, "--labels=1team=ads: expected KEY=VALUE"),
        ({"labels": f"team={'x' * 64}"}, "the value has at most 63 characters"),
        ({"num_workers": "9", "max_num_workers": "3"}, "num_workers"),
        ({"setup_file": "nowhere/setup.py"}, "--setup_file nowhere/setup.py: expected an existing setup.py"),
        ({"data": "clicks/*.csv"}, "clicks/*.csv: is on this machine, where workers cannot read it"),
        ({"out": "run"}, "--out run: is on this machine; give a folder on gs://"),
    ],
)
def test_invalid_option_is_reported(changed: dict[str, str], message: str) -> None:
    assert message in faults(**changed)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--experiments=enable_prime", "--machine_type=e2-standard-8"), "--machine_type: Dataflow Prime"),
        (
            ("--flexrs_goal=COST_OPTIMIZED", "--resource_hints=min_ram=8GB"),
            "--resource_hints: not supported with --flexrs_goal",
        ),
        (
            ("--flexrs_goal=COST_OPTIMIZED", "--dataflow_service_options=enable_prime"),
            "--flexrs_goal: not supported by Dataflow Prime",
        ),
        (("--flexrs_goal=COST_OPTIMIZED", "--machine_type=n1-standard-2"), ""),
        (("--dataflow_service_options=enable_prime", "--resource_hints=min_ram=8GB"), ""),
    ],
)
def test_conflicting_options_are_reported(extra: tuple[str, ...], message: str) -> None:
    found = faults(extra=extra)
    assert message in found
    assert bool(message) == bool(found)


def test_too_many_labels_are_reported() -> None:
    assert "--labels: expected at most 64, found 65" in faults(extra=tuple(f"--labels=l{i}=x" for i in range(63)))


def test_plan_of_a_dataflow_job() -> None:
    arguments = [*(f"{name}={value}" for name, value in COMPLETE.items()), "--max_num_workers=20", "--time_limit=90"]
    files = [FileStamp("gs://a/0", 2_000_000, 0.0), FileStamp("gs://a/1", 500_000, 0.0)]
    shown = plan(PreparedJob(beam_options("DataflowRunner", arguments), [], files, OUT), ["lengths"])
    assert shown["Runner"] == "DataflowRunner"
    assert shown["Jobs"] == "2, one after another: lengths, the run"
    assert shown["Job"].endswith(", batch, project some-project, europe-west1")
    assert shown["Workers"] == "e2-standard-4, at most 20; 2 threads per process"
    assert shown["Image"] == "registry/fieldpool:1"
    assert shown["Packages staged"] == "none: the image has them"
    assert shown["Input"] == "gs://a/0 and 1 more, 2.5 MB"
    assert shown["Output"] == OUT
    assert shown["Beam's temporary files"] == "gs://pool/beam"
    assert shown["Own temporary files"] == f"{OUT}/.work-*"
    assert shown["Cancelled after"] == "90 minutes, each job"


def test_plan_of_a_job_on_a_portable_runner() -> None:
    image = ["--environment_type=DOCKER", "--environment_config=registry/fieldpool:1"]
    options = beam_options("PortableRunner", ["--job_endpoint=flink:8099", *image])
    shown = plan(PreparedJob(options, [], [FileStamp("/data/0", 1, 0.0)], "/data/run"))
    assert shown["Job server"] == "flink:8099"
    assert shown["Workers"] == "DOCKER registry/fieldpool:1"
    without_target = plan(PreparedJob(options, [], [FileStamp("/data/0", 1, 0.0)]))
    assert not {"Output", "Own temporary files"} & without_target.keys()
