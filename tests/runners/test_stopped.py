"""A job whose command is stopped."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
import yaml
from cloud import SECONDS, Cloud
from dataflow_service import Job, dataflow_service
from emulated_bucket import EmulatedBucket

pytestmark = pytest.mark.runners

SPEC = {
    "label": {"field": "click"},
    "split": {"column": "part"},
    "fields": {"tags": {"type": "multivalued", "max_len": 3}},
}


def test_control_c_cancels_the_job_and_removes_its_work(bucket: EmulatedBucket, clicks: str, tmp_path: Path) -> None:
    def execute(job: Job) -> None:
        job.is_cancelled.wait(SECONDS)

    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    with dataflow_service(execute) as service:
        process = Cloud(bucket, service, tmp_path).start("transform", "spec.yaml", clicks, "--out", "gs://pool/run")
        end = time.monotonic() + SECONDS
        while not (service.jobs and service.jobs[0].polls) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    (job,) = service.jobs
    assert job.is_cancelled.is_set()
    assert process.returncode == 130
    assert "error: stopped" in err
    assert "Traceback" not in err
    assert f"/dataflow/jobs/europe-west1/{job.id}?project=some-project" in err
    assert bucket.files("run/") == []
