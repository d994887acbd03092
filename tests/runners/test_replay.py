"""Without a cloud: the pipeline staged for Dataflow makes the local run's records, on workers that have only it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from apache_beam.runners.portability.fn_api_runner.worker_handlers import ExternalWorkerHandler
from cloud import Cloud
from dataflow_service import Job, dataflow_service
from emulated_bucket import EmulatedBucket
from replay import replay_on
from run_contents import contents
from served_model import Served
from workers import WorkerEnvironment

from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.serving.batch_prediction import predict
from fieldpool.transforms.spec import Spec

pytestmark = pytest.mark.runners

SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "click"},
    "split": {"column": "part"},
    "max_rejected": 1,
    "fields": {
        "item": {"type": "categorical", "num_oov_buckets": 3, "min_count": 2},
        "tags": {"type": "multivalued", "max_len": "auto"},
        "price": {"type": "numeric", "scale": {"quantiles": 4}},
    },
}


@pytest.fixture
def cloud(bucket: EmulatedBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Workers get fieldpool only from the package that the first job stages."""
    monkeypatch.setattr(ExternalWorkerHandler, "host_from_worker", lambda _: "localhost")
    workers = WorkerEnvironment(tmp_path / "worker")
    with workers.pool(tmp_path, bucket.environment) as endpoint:

        def execute(job: Job) -> None:
            if len(service.jobs) == 1:
                assert "No module named 'fieldpool'" in workers.where("fieldpool.pipeline.runs.preprocess", tmp_path)
                (pool,) = job.request["environment"]["workerPools"]
                (package,) = (package for package in pool["packages"] if package["name"] == "workflow.tar.gz")
                sdist = tmp_path / "workflow.tar.gz"
                sdist.write_bytes(bucket.read(package["location"].removeprefix("storage.googleapis.com/pool/")))
                workers.install(sdist)
                assert workers.where("fieldpool.pipeline.runs.preprocess", tmp_path).startswith(
                    str(tmp_path / "worker")
                )
            replay_on(endpoint, bucket)(job)

        with dataflow_service(execute) as service:
            yield Cloud(bucket, service, tmp_path)


def test_run_has_the_records_of_a_local_run(cloud: Cloud, clicks: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    done = cloud.fieldpool("transform", "spec.yaml", clicks, "--out", "gs://pool/run")
    assert done.returncode == 0, done.stderr
    for planned in ("e2-standard-4", "workers", "setup.py", "gs://pool/run"):
        assert planned in done.stderr.lower()
    first, second = (job.request["name"] for job in cloud.service.jobs)
    assert first == f"{second}-lengths"

    files = cloud.downloaded("clicks") / "*.parquet"
    local = transform(Spec.model_validate(SPEC), [str(files)], str(tmp_path / "run"))
    assert json.loads(done.stdout) == local.stats.as_json()
    assert contents(cloud.downloaded("run")) == contents(tmp_path / "run")
    assert (cloud.downloaded("run") / "DONE").exists()
    assert [name for name in cloud.bucket.files("run/") if ".work-" in name] == []

    again = cloud.fieldpool("transform", "spec.yaml", clicks, "--out", "gs://pool/run")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_predictions_equal_those_of_a_local_run(cloud: Cloud, served: Served, tmp_path: Path) -> None:
    for path in served.export.rglob("*"):
        if path.is_file():
            cloud.bucket.write(f"model/{path.relative_to(served.export)}", path.read_bytes())
    rows = cloud.bucket.write("rows.parquet", served.data.read_bytes())
    done = cloud.fieldpool("predict", "gs://pool/model", rows, "--out", "gs://pool/scores")
    assert done.returncode == 0, done.stderr
    predict(str(served.export), [str(served.data)], str(tmp_path / "scores"))

    def scores(folder: Path) -> list[dict[str, Any]]:
        tables = [pq.read_table(io.BytesIO(path.read_bytes())) for path in (folder / "predictions").iterdir()]
        return sorted((row for table in tables for row in table.to_pylist()), key=lambda row: row["key"])

    assert scores(cloud.downloaded("scores")) == scores(tmp_path / "scores")


def test_movielens_has_the_same_ids_and_counts(cloud: Cloud, real_data: Path, tmp_path: Path) -> None:
    spec = Path(__file__).parents[2] / "examples" / "movielens.yaml"
    ratings = cloud.bucket.write("ratings.parquet", (real_data / "ml100k/ratings.parquet").read_bytes())
    done = cloud.fieldpool("transform", spec, ratings, "--out", "gs://pool/run")
    assert done.returncode == 0, done.stderr
    local = transform(
        Spec.model_validate(yaml.safe_load(spec.read_text())),
        [str(real_data / "ml100k/ratings.parquet")],
        str(tmp_path / "run"),
    )
    assert json.loads(done.stdout) == local.stats.as_json()
    assert contents(cloud.downloaded("run")) == contents(tmp_path / "run")
