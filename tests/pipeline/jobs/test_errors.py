"""Translation of errors from a pipeline: UserErrors are unwrapped, system errors are explained, bugs are unchanged."""

from __future__ import annotations

import errno

import grpc
import pytest
from google.protobuf.message import DecodeError

from fieldpool.pipeline.jobs.errors import translate_worker_errors
from fieldpool.transforms.errors import (
    CannotWrite,
    JobFailed,
    NoWorkers,
    OutOfMemory,
    SourceError,
    TooManyRejected,
    WorkersDiffer,
)
from fieldpool.transforms.run_files import NotARun

# An error in a worker process arrives as text.
REMOTE = """Error processing instruction 7. Original traceback is
Traceback (most recent call last):
  File "worker.py", line 1, in process
fieldpool.transforms.errors.TooManyRejected: 2 of 9 rows were rejected:
  a.csv  3 [while running 'CheckRows']
"""

# An error class of another module.
OTHER_KIND = REMOTE.replace("fieldpool.transforms.errors.TooManyRejected", "fieldpool.transforms.run_files.NotARun")

# On Prism only the second of two tracebacks names the step.
TWICE = """Traceback (most recent call last):
  File "worker.py", line 1, in process
fieldpool.transforms.errors.SourceError: a.csv: bad

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "worker.py", line 2, in process
fieldpool.transforms.errors.SourceError: a.csv: bad [while running 'Read']
"""
# Java runners put the Python traceback inside a Java stack trace.
JAVA = """java.lang.RuntimeException: Error received from SDK harness: Traceback (most recent call last):
fieldpool.transforms.errors.SourceError: a.csv: bad
	at org.apache.beam.runners.fnexecution.control.FnApiControlClient.handle(FnApiControlClient.java:180)
"""
# An error of a DoFn's setup, which has no step.
AT_START = """Error processing instruction 1. Original traceback is
Traceback (most recent call last):
  File "worker.py", line 1, in setup
fieldpool.transforms.errors.WorkersDiffer: workers have other versions than the submitter: keras 3 …

Traceback (most recent call last):
"""
NO_PACKAGE = "Traceback (most recent call last):\nModuleNotFoundError: No module named '{}'"
NO_WORKERS = """<_InactiveRpcError of RPC that terminated with:
    status = StatusCode.UNAVAILABLE
    details = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused"
"""
NO_JAR = "Unable to fetch remote job server jar at https://repo/flink.jar: <urlopen error>"
NO_BUCKET = "Could not upload to GCS path gs://no/b/pipeline.pb. Please verify that you have write access to it."
QUOTA = "Dataflow pipeline failed. State: FAILED, Error:\nWorkflow failed. Causes: insufficient quota(s)"


class DataflowRuntimeException(Exception):
    """Stands in for Beam's exception, which is recognised by its name."""


class Forbidden(Exception):
    """Stands in for Google's exception, which is recognised by its module."""

    __module__ = "google.api_core.exceptions"


def test_names_of_cloud_errors_exist_upstream() -> None:
    """The code compares names, because importing Dataflow's runner takes seconds; this test detects a rename."""
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRuntimeException as Real
    from google.api_core import exceptions

    assert Real.__name__ == DataflowRuntimeException.__name__
    assert exceptions.Forbidden.__module__ == Forbidden.__module__


class ServerGone(grpc.RpcError, grpc.Call):
    """The error that gRPC raises when a job server exits during a job."""

    def details(self) -> str:
        return "Socket closed"

    def _none(self, *_: object) -> None: ...

    code = initial_metadata = trailing_metadata = is_active = time_remaining = cancel = add_callback = _none


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (SourceError("a.csv: bad [while running 'Read']"), SourceError, "a.csv: bad"),
        (RuntimeError(OTHER_KIND), NotARun, "2 of 9 rows were rejected:"),
        (RuntimeError(REMOTE), TooManyRejected, "2 of 9 rows were rejected:\n  a.csv  3"),
        (OSError(errno.ENOSPC, "No space left on device"), CannotWrite, "runs/x: cannot be written to: no space left"),
        (RuntimeError("UnknownError: x; No space left on device"), CannotWrite, "no space left on the disk"),
        (PermissionError(errno.EACCES, "Permission denied"), CannotWrite, "no permission to write there"),
        (RuntimeError(TWICE), SourceError, "a.csv: bad"),
        (RuntimeError(JAVA), SourceError, "a.csv: bad"),
        (RuntimeError(AT_START), WorkersDiffer, "workers have other versions than the submitter: keras 3"),
        (RuntimeError(NO_PACKAGE.format("fieldpool.pipeline")), WorkersDiffer, "cannot import fieldpool.pipeline: fie"),
        (RuntimeError(NO_PACKAGE.format("tensorflow")), WorkersDiffer, "workers cannot import tensorflow: "),
        (RuntimeError(NO_WORKERS), NoWorkers, "no workers answer at 127.0.0.1:1; start them (docs/runners.md)"),
        (RuntimeError(NO_JAR), JobFailed, f"the runner's job server did not start: {NO_JAR}. See docs/runners.md"),
        (FileNotFoundError(2, "No such file or directory", "java"), JobFailed, "No such file or directory: 'java'"),
        (RuntimeError("Pipeline p-1 failed in state FAILED: no slots"), JobFailed, "failed in state FAILED: no slots"),
        (ServerGone(), JobFailed, "the connection to the job server was lost: Socket closed. See"),
        (DataflowRuntimeException(QUOTA), JobFailed, "Causes: insufficient quota(s)\nSee docs/dataflow.md"),
        (OSError(NO_BUCKET), JobFailed, f"{NO_BUCKET} (--temp_location, --staging_location)"),
        (
            Forbidden("403 POST: Dataflow API is off"),
            JobFailed,
            "rejected the request: 403 POST: Dataflow API is off. Check --project",
        ),
        (Forbidden("403 Permission denied on resource project my-projekt."), JobFailed, "request: 403 Permission deni"),
        (
            DataflowRuntimeException("State: FAILED, Error:\nPermission denied on 'x'"),
            JobFailed,
            "Permission denied on",
        ),
        (DataflowRuntimeException("State: FAILED, Error:\nMemoryError"), OutOfMemory, "ran out of memory"),
        (MemoryError(), OutOfMemory, "runs/x: a process ran out of memory"),
        (RuntimeError("std::bad_alloc"), OutOfMemory, "`min_count` and `top_k`"),
    ],
)
def test_known_errors_are_translated(raised: Exception, kind: type[Exception], message: str) -> None:
    def work() -> None:
        try:
            raise raised
        except Exception as error:
            raise RuntimeError("Beam's message") from error

    with pytest.raises(kind) as error, translate_worker_errors("runs/x"):
        work()
    assert message in str(error.value)
    assert "while running" not in str(error.value)
    assert "Traceback" not in str(error.value)
    assert "\tat " not in str(error.value)


@pytest.mark.parametrize(
    "fault",
    [
        ZeroDivisionError(),
        DataflowRuntimeException("Traceback (most recent call last):\nZeroDivisionError: division by zero"),
        RuntimeError("Pipeline p-1 failed in state FAILED: Traceback …\nZeroDivisionError: division by zero"),
        RuntimeError(NO_PACKAGE.format("fieldpools")),
        DecodeError("Error parsing message"),  # Its module's name begins with `google.`, too.
    ],
)
def test_bug_keeps_its_traceback(fault: Exception) -> None:
    with pytest.raises(type(fault)) as error, translate_worker_errors("runs/x"):
        raise fault
    assert error.value is fault
