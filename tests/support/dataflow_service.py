"""A stand-in for Dataflow's REST API on a loop-back address: it stores the jobs that are created.

A function `execute` runs each job, which succeeds, is cancelled, or fails with the error that the function raises.
API: https://cloud.google.com/dataflow/docs/reference/rest/v1b3/projects.locations.jobs
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_JOBS = re.compile(
    r"/v1b3/projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)/jobs(/(?P<id>[^/]+))?(/(?P<of>\w+))?"
)

_POLLS_BEFORE_THE_END = 4


@dataclass
class Job:
    """A job that was created; `request` is the JSON that created it."""

    id: str
    project: str
    region: str
    request: dict[str, Any]
    state: str = "JOB_STATE_RUNNING"
    error: str | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)
    polls: int = 0
    is_cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.request["environment"]["sdkPipelineOptions"]["options"])


class DataflowService:
    """`endpoint` is the value for --dataflow_endpoint; `jobs` are the jobs created so far."""

    def __init__(self, execute: Callable[[Job], None]) -> None:
        self.jobs: list[Job] = []
        self.endpoint = ""
        self._execute = execute

    def create(self, project: str, region: str, request: dict[str, Any]) -> Job:
        job = Job(f"job-{len(self.jobs)}", project, region, request)
        self.jobs.append(job)
        threading.Thread(target=self._run, args=[job], daemon=True).start()
        return job

    def _run(self, job: Job) -> None:
        try:
            self._execute(job)
            job.state = "JOB_STATE_CANCELLED" if job.is_cancelled.is_set() else "JOB_STATE_DONE"
        except Exception as error:
            job.error = str(error)
            job.state = "JOB_STATE_FAILED"


class _Handler(BaseHTTPRequestHandler):
    service: DataflowService

    def _answer(self) -> None:
        found = _JOBS.fullmatch(self.path.partition("?")[0])
        assert found, self.path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "POST":
            job = self.service.create(found["project"], found["region"], json.loads(body))
        else:
            job = next(job for job in self.service.jobs if job.id == found["id"])
        if self.command == "PUT":
            job.is_cancelled.set()
            job.state = "JOB_STATE_CANCELLED"
        # Beam reports no error of a job that has already failed at the first status poll.
        job.polls += 1
        state = job.state if job.polls > _POLLS_BEFORE_THE_END else "JOB_STATE_RUNNING"
        answer: dict[str, Any] = {"id": job.id, "name": job.request["name"], "currentState": state}
        if found["of"] == "messages":
            message = {"id": "1", "time": "2026-01-01T00:00:00Z", "messageImportance": "JOB_MESSAGE_ERROR"}
            answer = {"jobMessages": [message | {"messageText": job.error}] if job.error else []}
        elif found["of"] == "metrics":
            answer = {"metrics": job.metrics}
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def dataflow_service(execute: Callable[[Job], None]) -> Iterator[DataflowService]:
    """Serves the API; `execute` gets each job in its own thread, and makes it fail by raising an exception."""
    service = DataflowService(execute)
    server = ThreadingHTTPServer(("localhost", 0), type("Handler", (_Handler,), {"service": service}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    service.endpoint = f"http://localhost:{server.server_address[1]}"
    yield service
    server.shutdown()
    server.server_close()
