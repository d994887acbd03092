"""Workers of this machine: their output stays off the terminal, and the death of a worker process ends the job.

An error of a worker reaches this process as an exception and is reported once. In addition, Beam prints the traceback
in the worker, and TensorFlow prints log messages when a worker process imports it. Without this module, Beam waits
forever for the results of a worker process that was killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import grpc
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2, endpoints_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import SubprocessSdkWorkerHandler, WorkerHandler
from apache_beam.runners.worker import sdk_worker
from google.protobuf import json_format, text_format

from .errors import worker_died

# Starts worker processes. The command line replaces it, to keep ^C from them.
start_process: Any = subprocess.Popen

_COMMAND = [sys.executable, "-m", "apache_beam.runners.worker.sdk_worker_main"]
# The last lines that a worker process printed before it died are part of the error.
_KEPT_LINES = 50
_SECONDS_BETWEEN = 0.1
# A process ends within a second of the end of its work.
_SECONDS_TO_END = 10.0

# The errors of processes that died in the current job: they cause all other errors.
_deaths: list[str] = []


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WorkerProcess(SubprocessSdkWorkerHandler):
    """A worker process. Replaces Beam's handler."""

    def start_worker(self) -> None:
        """Starts the process, and a thread that waits for its end."""
        self._process: subprocess.Popen[str] | None = None
        self._is_closed = threading.Event()
        self.worker_thread = threading.Thread(name="run_worker", target=self._run)
        self.worker_thread.start()

    def close(self) -> None:
        """Ends the process, also if its connections are broken."""
        try:
            super().close()
        finally:
            self.stop_worker()

    def stop_worker(self) -> None:
        """Waits for the end of the process. Beam has asked it to end, unless it has not connected yet."""
        self._is_closed.set()
        self.worker_thread.join(_SECONDS_TO_END)
        if self._process is not None:
            self._process.kill()  # Does nothing if it has ended.
        self.worker_thread.join()

    def _run(self) -> None:
        printed: deque[str] = deque(maxlen=_KEPT_LINES)
        # A pipe, because writing to a file fails on a full disk, and the worker would never report its error.
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "errors": "replace"}
        with start_process(_COMMAND, env=self._environment(), stdin=subprocess.DEVNULL, **output) as self._process:
            printed.extend(self._process.stdout or ())
        if self._process.returncode and not self._is_closed.is_set():
            self._fail(worker_died(self._process.returncode, "".join(printed)))

    def _environment(self) -> dict[str, str]:
        """Returns the environment variables by which Beam's worker program finds this process and its options."""
        control = endpoints_pb2.ApiServiceDescriptor(url=self.control_address)
        return {
            **os.environ,
            "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(control),
            "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
            "WORKER_ID": self.worker_id,
        }

    def _fail(self, error: str) -> None:
        """Answers each request to the process with an error, also later ones; Beam's `abort` does not end all waits."""
        _deaths.append(error)
        response = beam_fn_api_pb2.InstructionResponse(error=error)
        while True:
            for future in list(self.control_conn._futures_by_id.values()):
                if not future.is_done():
                    future.set(response)
            if self._is_closed.wait(_SECONDS_BETWEEN):
                return


@contextlib.contextmanager
def quiet_workers() -> Iterator[None]:
    """Suppresses what threads that work for a job in this process print about errors, which arrive here.

    Raises:
        RuntimeError: A worker process has died.
    """
    hook = threading.excepthook
    # The connections to a process that has died break in several threads.
    threading.excepthook = lambda failed: None if isinstance(failed.exc_value, grpc.RpcError) else hook(failed)
    _deaths.clear()
    try:
        yield
    except Exception as error:
        if _deaths:
            raise RuntimeError(_deaths[0]) from error
        raise
    finally:
        threading.excepthook = hook


# For good: a thread may print and log its error after the job has failed with that of another one.
sdk_worker.print = lambda *_, **__: None
logging.getLogger(sdk_worker.__name__).addFilter(lambda record: record.levelno < logging.ERROR)
