"""Proof without a cloud: what is staged for Dataflow makes the local run's records, on workers that have nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import yaml
from dataflow_service import DataflowService, Job, dataflow_service
from emulated_bucket import EmulatedBucket
from replay import replay_on
from workers import WorkerEnvironment

from fieldpool.pipeline.run_directory import transform
from fieldpool.transforms.spec import Spec

pytestmark = pytest.mark.runners

SECONDS = 300

SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "click"},
    "split": {"column": "part"},
    "max_rejected": 1,
    "fields": {
        "item": {"type": "categorical", "num_oov": 3, "min_count": 2},
        "tags": {"type": "multivalued", "max_len": "auto"},
        "price": {"type": "numeric", "scale": {"quantiles": 4}},
    },
}


@pytest.fixture
def workers(tmp_path: Path) -> WorkerEnvironment:
    return WorkerEnvironment(tmp_path / "worker")


def submit(command: str, service: DataflowService, bucket: EmulatedBucket, folder: Path, *arguments: str) -> Any:
    """Runs a command as its user does; returns the finished process."""
    fieldpool = [sys.executable, "-m", "fieldpool.pipeline.cli", command, *arguments, "--json"]
    cloud = ["--runner", "DataflowRunner", "--project", "some-project", "--region", "europe-west1"]
    stand_in = ["--temp_location", "gs://pool/beam", "--dataflow_endpoint", service.endpoint, "--no_auth"]
    return subprocess.run(
        [*fieldpool, *cloud, *stand_in, "--time_limit", str(SECONDS / 60)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3", **bucket.environment},
        capture_output=True,
        text=True,
        timeout=SECONDS + 60,
    )


def test_the_staged_pipeline_makes_the_local_runs_records(
    bucket: EmulatedBucket, clicks: str, workers: WorkerEnvironment, tmp_path: Path
) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    with workers.pool(tmp_path, bucket.environment) as endpoint:

        def execute(job: Job) -> None:
            if len(service.jobs) == 1:
                assert "No module named 'fieldpool'" in workers.where("fieldpool.pipeline.build", tmp_path)
                package = next(p for p in job.request["environment"]["workerPools"][0]["packages"] if "workflow" in p["name"])
                sdist = tmp_path / "workflow.tar.gz"
                sdist.write_bytes(bucket.read(package["location"].removeprefix("storage.googleapis.com/pool/")))
                workers.install(sdist)
                assert workers.where("fieldpool.pipeline.build", tmp_path).startswith(str(tmp_path / "worker"))
            replay_on(endpoint, bucket)(job)

        with dataflow_service(execute) as service:
            done = submit("transform", service, bucket, tmp_path, "spec.yaml", clicks, "--out", "gs://pool/run")
    assert done.returncode == 0, done.stderr
    assert [job.request["name"].rpartition("-")[2] for job in service.jobs[:1]] == ["lengths"]
    assert "e2-standard-4" in done.stderr  # The plan.

    for part in range(2):
        (tmp_path / f"{part}.parquet").write_bytes(bucket.read(f"clicks/{part}.parquet"))
    local = transform(Spec.model_validate(SPEC), [str(tmp_path / "?.parquet")], str(tmp_path / "run"))
    assert json.loads(done.stdout) == local.stats
    (tmp_path / "shards").mkdir()
    shards = [name for name in bucket.files("run/examples/")]
    for name in shards:
        (tmp_path / "shards" / Path(name).name).write_bytes(bucket.read(name))
    assert records(tmp_path / "shards") == records(tmp_path / "run" / "examples")
    for name in ("item", "tags"):
        asset = f"run/transform/transform_fn/assets/{name}"
        assert bucket.read(asset) == (tmp_path / asset).read_bytes()
    assert "run/DONE" in bucket.files()
    assert [name for name in bucket.files("run/") if ".work-" in name] == []


def records(folder: Path) -> list[bytes]:
    files = sorted(map(str, folder.glob("*.tfrecord.gz")))
    return sorted(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
