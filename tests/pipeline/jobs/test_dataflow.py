"""Jobs for Dataflow before anything is staged: what is missing or against its rules, and the plan."""

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
    """Returns what is told of a job that is complete but for what is `changed`; None: not given."""
    given = COMPLETE | {f"--{name}": value for name, value in changed.items()}
    arguments = [f"{name}={value}" for name, value in given.items() if value is not None]
    try:
        dataflow.check_job(beam_options("DataflowRunner", [*arguments, *extra]), [data], out)
    except UserError as error:
        return str(error)
    return ""


def test_a_complete_job_has_no_faults() -> None:
    assert faults() == ""


def test_all_that_is_missing_is_told_at_once() -> None:
    told = faults(project=None, region=None, temp_location=None)
    assert told.startswith("the Dataflow job cannot be started:\n")
    assert [line.split(" ")[3] for line in told.splitlines()[1:]] == ["--project", "--region", "--temp_location"]


def test_an_installed_package_has_no_setup_py_to_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dataflow, "__file__", str(tmp_path / "site-packages/fieldpool/pipeline/jobs/dataflow.py"))
    assert "missing: --sdk_container_image IMAGE, or --setup_file" in faults(sdk_container_image=None)
    assert faults(sdk_container_image=None, extra=("--extra_packages=fieldpool.tar.gz",)) == ""


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"project": "Some Project"}, "Invalid Project ID (Some Project)"),
        ({"project": "12345"}, "Invalid Project ID (12345)"),
        ({"region": "europe"}, "--region europe: no region; expected one such as europe-west1"),
        ({"region": "europe-west1-b"}, "--region europe-west1-b: no region"),
        ({"temp_location": "/tmp"}, "Invalid GCS path (/tmp), given for the option: temp_location"),
        ({"staging_location": "gs://"}, "Invalid GCS path (gs://), given for the option: staging_location"),
        ({"temp_location": f"{OUT}/tmp"}, f"--temp_location {OUT}/tmp: lies in --out {OUT}, which holds a run alone"),
        ({"temp_location": OUT}, f"--temp_location {OUT}: lies in --out"),
        ({"staging_location": f"{OUT}/staging"}, f"--staging_location {OUT}/staging: lies in --out"),
        ({"temp_location": "gs://pool"}, f"--out {OUT}: lies in --temp_location gs://pool, whose files may go"),
        ({"tft_temp_location": "tft"}, "--tft_temp_location tft: is on this machine; name a folder on gs://"),
        ({"tft_temp_location": f"{OUT}/tft"}, f"--tft_temp_location {OUT}/tft: lies in --out"),
        ({"tft_temp_location": "gs://pool/beam"}, "lies in --temp_location gs://pool/beam; keep them apart"),
        ({"worker_region": "europe-west1", "worker_zone": "europe-west1-b"}, "mutually exclusive"),
        ({"resource_hints": "min_rma=8GB"}, "--resource_hints: Unknown resource hint: min_rma"),
        ({"pickle_library": "dill"}, "dill"),
        ({"job_name": "Nightly run"}, "Invalid job_name (Nightly run)"),
        ({"job_name": "x" * 1001}, "--job_name: 1001 characters; at most 1000"),
        ({"labels": "Team=ads"}, "--labels=Team=ads: expected KEY=VALUE of lower-case letters"),
        ({"labels": "1team=ads"}, "--labels=1team=ads: expected KEY=VALUE"),
        ({"labels": f"team={'x' * 64}"}, "the value of up to 63"),
        ({"num_workers": "9", "max_num_workers": "3"}, "num_workers"),
        ({"setup_file": "nowhere/setup.py"}, "--setup_file nowhere/setup.py: no such setup.py"),
        ({"data": "clicks/*.csv"}, "clicks/*.csv: is on this machine, where workers cannot read it"),
        ({"out": "run"}, "--out run: is on this machine; name a folder on gs://"),
    ],
)
def test_what_is_against_the_rules_is_told(changed: dict[str, str], told: str) -> None:
    assert told in faults(**changed)


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (("--experiments=enable_prime", "--machine_type=e2-standard-8"), "--machine_type: Dataflow Prime"),
        (("--flexrs_goal=COST_OPTIMIZED", "--resource_hints=min_ram=8GB"), "--resource_hints: --flexrs_goal knows"),
        (("--flexrs_goal=COST_OPTIMIZED", "--dataflow_service_options=enable_prime"), "--flexrs_goal: Dataflow Prime"),
        (("--flexrs_goal=COST_OPTIMIZED", "--machine_type=n1-standard-2"), ""),
        (("--dataflow_service_options=enable_prime", "--resource_hints=min_ram=8GB"), ""),
    ],
)
def test_what_cannot_stand_together_is_told(extra: tuple[str, ...], told: str) -> None:
    found = faults(extra=extra)
    assert told in found
    assert bool(told) == bool(found)


def test_too_many_labels_are_told() -> None:
    assert "--labels: 65 of them; at most 64" in faults(extra=tuple(f"--labels=l{i}=x" for i in range(63)))


def test_the_plan_shows_what_will_run_where() -> None:
    arguments = [*(f"{name}={value}" for name, value in COMPLETE.items()), "--max_num_workers=20", "--time_limit=90"]
    files = [FileStamp("gs://a/0", 2_000_000, 0.0), FileStamp("gs://a/1", 500_000, 0.0)]
    shown = plan(PreparedJob(beam_options("DataflowRunner", arguments), [], files, OUT), ["lengths"])
    assert shown["Runner"] == "DataflowRunner"
    assert shown["Jobs"] == "2, one after another: lengths, the run"
    assert shown["Job"].endswith(", batch, project some-project, europe-west1")
    assert shown["Workers"] == "e2-standard-4, at most 20; 2 threads a process"
    assert shown["Image"] == "registry/fieldpool:1"
    assert shown["Packages staged"] == "none: the image has them"
    assert shown["Input"] == "gs://a/0 and 1 more, 2.5 MB"
    assert shown["Output"] == OUT
    assert shown["Beam's temporary files"] == "gs://pool/beam"
    assert shown["Own temporary files"] == f"{OUT}/.work-*"
    assert shown["Cancelled after"] == "90 minutes, each job"


def test_the_plan_of_a_portable_runner() -> None:
    image = ["--environment_type=DOCKER", "--environment_config=registry/fieldpool:1"]
    options = beam_options("PortableRunner", ["--job_endpoint=flink:8099", *image])
    shown = plan(PreparedJob(options, [], [FileStamp("/data/0", 1, 0.0)], "/data/run"))
    assert shown["Job server"] == "flink:8099"
    assert shown["Workers"] == "DOCKER registry/fieldpool:1"
    without_target = plan(PreparedJob(options, [], [FileStamp("/data/0", 1, 0.0)]))
    assert not {"Output", "Own temporary files"} & without_target.keys()
