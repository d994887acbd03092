"""The requests that Beam's DataflowRunner sends to Dataflow for fieldpool's commands, and the errors that users see."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.dataflow import dataflow_runner
from dataflow_service import DataflowService, Job, dataflow_service
from emulated_bucket import EmulatedBucket

from fieldpool.pipeline.jobs.options import beam_options
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.transforms.errors import UserError
from fieldpool.transforms.spec import Spec

FOLDERS = ("api", "transforms", "model", "pipeline")
MOST_BYTES = 10 << 20  # Limit of a job request: https://cloud.google.com/dataflow/quotas.


def spec_with(fields: int) -> Spec:
    """Returns a spec with the given number of fields, each with its own vocabulary."""
    return Spec.model_validate(
        {
            "key": "id",
            "label": {"field": "click"},
            "split": {"column": "part"},
            "fields": {
                f"f{i}": {"type": "multivalued", "column": "tags", "max_len": 3}
                if i % 2
                else {"type": "categorical", "column": "item"}
                for i in range(fields)
            },
        }
    )


@pytest.fixture(autouse=True)
def _short_poll_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam polls a job's state every five seconds."""
    clock = SimpleNamespace(sleep=lambda _: time.sleep(0.02), time=time.time)
    monkeypatch.setattr(dataflow_runner, "time", clock)


@pytest.fixture
def service() -> Iterator[DataflowService]:
    def fail(job: Job) -> None:
        raise RuntimeError(
            "Traceback (most recent call last):\n  …\nfieldpool.transforms.errors.SourceChanged: "
            "gs://pool/clicks/0.parquet: has been written to [while running 'ReadForTransform/ReadRange-ptransform-7']"
        )

    with dataflow_service(fail) as serving:
        yield serving


def options(service: DataflowService, folder: Path, *extra: str) -> PipelineOptions:
    arguments = [
        "--project=some-project",
        "--region=europe-west1",
        "--temp_location=gs://pool/beam",
        f"--dataflow_endpoint={service.endpoint}",
        "--no_auth",
    ]
    return beam_options("DataflowRunner", [*arguments, *extra])


def submit(service: DataflowService, clicks: str, folder: Path, fields: int, *extra: str) -> Job:
    """Submits a job, which fails, and returns it."""
    with pytest.raises(UserError, match=r"^gs://pool/clicks/0.parquet: has been written to$"):
        transform(spec_with(fields), [clicks], "gs://pool/run", options(service, folder, *extra))
    return service.jobs[-1]


def staged_pipeline(bucket: EmulatedBucket, job: Job) -> bytes:
    return bucket.read(job.options["pipelineUrl"].removeprefix("gs://pool/"))


def test_request_that_creates_a_job(
    service: DataflowService, bucket: EmulatedBucket, clicks: str, tmp_path: Path
) -> None:
    job = submit(service, clicks, tmp_path, 200, "--max_num_workers=7", "--labels=team=ads", "--num_workers=3")
    request, environment = job.request, job.request["environment"]
    (pool,) = environment["workerPools"]

    assert (job.project, job.region) == ("some-project", "europe-west1")
    assert request["name"].startswith("fieldpool-transform-")
    assert request["type"] in (1, "JOB_TYPE_BATCH")
    assert request["labels"] == {"fieldpool": "0-1-0", "fieldpool-job": "transform", "team": "ads"}
    assert environment["version"]["job_type"] == "FNAPI_BATCH"
    assert "use_runner_v2" in environment["experiments"]
    assert pool["machineType"] == "e2-standard-4"
    assert pool["numWorkers"] == 3
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 7
    assert pool["numThreadsPerWorker"] == 2
    assert "beam_python3." in pool["workerHarnessContainerImage"]
    assert not job.options["save_main_session"]

    # The complete package of this checkout.
    (sdist,) = (package for package in pool["packages"] if package["name"] == "workflow.tar.gz")
    staged = bucket.read(sdist["location"].removeprefix("storage.googleapis.com/pool/"))
    with tarfile.open(fileobj=io.BytesIO(staged)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    root = Path(__file__).parents[2]
    modules = {path.relative_to(root).as_posix() for folder in FOLDERS for path in (root / folder).rglob("*.py")}
    assert modules | {"pipeline/reports/templates/report.html"} <= names

    pipeline = staged_pipeline(bucket, job)
    assert job.options["pipelineProtoHash"] == hashlib.sha256(pipeline).hexdigest()
    assert len(pipeline) < MOST_BYTES / 10
    proto = beam_runner_api_pb2.Pipeline.FromString(pipeline)
    # One environment for all steps, because steps with different environments are not fused.
    (docker,) = proto.components.environments.values()
    assert docker.resource_hints["beam:resources:min_ram_bytes:v1"] == b"12000000000"

    # A failed job leaves no part of the run.
    assert [name for name in bucket.files() if name.startswith("run/")] == []


def test_graph_does_not_grow_with_the_number_of_vocabularies(
    service: DataflowService, bucket: EmulatedBucket, clicks: str, tmp_path: Path
) -> None:
    def steps(fields: int) -> int:
        job = submit(service, clicks, tmp_path, fields, "--sdk_container_image=registry/fieldpool:1")
        assert job.request["environment"]["workerPools"][0]["workerHarnessContainerImage"] == "registry/fieldpool:1"
        proto = beam_runner_api_pb2.Pipeline.FromString(staged_pipeline(bucket, job))
        return len(proto.components.transforms)

    assert steps(2) == steps(20)


def test_missing_bucket_is_reported_before_anything_is_staged(
    service: DataflowService, bucket: EmulatedBucket, clicks: str, tmp_path: Path
) -> None:
    with pytest.raises(
        UserError, match=r"^--temp_location gs://nowhere/beam: bucket gs://nowhere does not exist; create it"
    ):
        transform(
            spec_with(2), [clicks], "gs://pool/run", options(service, tmp_path, "--temp_location=gs://nowhere/beam")
        )
    assert service.jobs == []


def test_all_missing_options_are_reported_in_one_message(fieldpool: Any, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(spec_with(2).model_dump(mode="json", exclude_unset=True)))
    code, _, err = fieldpool("transform", spec, "clicks.csv", "--out", "run", "--runner", "DataflowRunner")
    assert code == 2
    for what in ("--project", "--region", "--temp_location", "clicks.csv: is on this machine", "--out run: is on this"):
        assert what in err
    assert "Traceback" not in err
