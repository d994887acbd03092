"""A user's machine, a bucket and Dataflow."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dataflow_service import DataflowService
from emulated_bucket import EmulatedBucket

SECONDS = 300  # The time limit of a job.


@dataclass(frozen=True)
class Cloud:
    """A bucket, a stand-in for Dataflow that executes its jobs, and the home folder of a user's machine."""

    bucket: EmulatedBucket
    service: DataflowService
    home: Path

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Starts a command with the options for Dataflow."""
        command = [sys.executable, "-m", "fieldpool", *map(str, arguments), "--json"]
        dataflow = ["--runner", "DataflowRunner", "--project", "some-project", "--region", "europe-west1"]
        stand_in = ["--temp_location", "gs://pool/beam", "--dataflow_endpoint", self.service.endpoint, "--no_auth"]
        return subprocess.Popen(
            [*command, *dataflow, *stand_in, "--time_limit", str(SECONDS / 60)],
            cwd=self.home,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home), **self.bucket.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fieldpool(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs a command with the options for Dataflow to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=SECONDS + 60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def downloaded(self, folder: str) -> Path:
        """Downloads a folder of the bucket; returns the local folder."""
        for name in self.bucket.files(f"{folder}/"):
            path = self.home / "bucket" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.bucket.read(name))
        return self.home / "bucket" / folder
