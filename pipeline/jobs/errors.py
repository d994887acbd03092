"""Translates errors from a pipeline to UserErrors: Beam wraps an error from a worker several times."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc

from ...transforms.errors import JobFailed, NoWorkers, OutOfMemory, UserError, WorkersDiffer
from ...transforms.writing import cannot_write
from .versions import PACKAGES

# Beam appends the step to the message of an error; an error in another process arrives as the text of a traceback.
_WHILE_RUNNING = re.compile(r" \[while running .*", re.DOTALL)
# In such a text the message ends at the name of the step, or where the next traceback (Python or Java) begins.
_IN_TEXT = re.compile(
    r"\bfieldpool\.[\w.]+\.(\w+): (.*?)\s*(?: \[while running |\n\n|\nTraceback |\n\s+at |\Z)", re.DOTALL
)
# The error of a worker that cannot unpickle fieldpool's functions.
_NO_PACKAGE = re.compile(
    rf"No module named '(fieldpool(?:\.[\w.]+)?|{'|'.join([*PACKAGES.values(), 'isal', 'pydantic'])})'"
)
_NOT_REACHED = re.compile(r"StatusCode\.UNAVAILABLE.*?failed to connect to all addresses.*?ipv[46]:(\S+?): ", re.DOTALL)
_NO_JOB_SERVER = re.compile(r"Unable to fetch remote (job server jar|prism binary) .*|[^\n]*: 'java'")
_FAILED = re.compile(r"Pipeline \S+ failed in state \w+: .*", re.DOTALL)
_NOT_STAGED = re.compile(r"Could not upload to GCS path .*? write access to it\.", re.DOTALL)

_DIED = "a worker process ended with exit code"
# The operating system kills processes if memory runs out.
_OUT_OF_MEMORY = re.compile(
    rf"MemoryError|bad_alloc|Cannot allocate memory|OOM when allocating|malloc of size|{_DIED} -{signal.SIGKILL:d};"
)


def worker_died(code: int, printed: str) -> str:
    """Returns the error of a worker process of this machine that has ended by itself.

    Args:
        code: Its exit code, negative for a signal.
        printed: The end of what it printed.
    """
    return f"{_DIED} {code}; it printed:\n{printed}"


@dataclass(frozen=True)
class _Failure:
    """An error from a pipeline: the chain of exceptions, all their messages, the output folder and its option."""

    chain: list[BaseException]
    text: str
    target: str
    option: str


@contextlib.contextmanager
def translate_worker_errors(target: str, option: str = "--out") -> Iterator[None]:
    """Re-raises a UserError or ^C that Beam wrapped, and turns known failures of system and cloud into UserErrors.

    Args:
        target: the output folder.
        option: what chooses it, for the message that it cannot be written to.
    """
    try:
        yield
    except Exception as error:
        chain = list(_causes(error))
        failure = _Failure(chain, "\n".join(map(str, chain)), target, option)
        found = next(filter(None, (translate(failure) for translate in _TRANSLATORS)), None)
        if found is None:
            raise
        raise found from None


def _raised_here(failure: _Failure) -> BaseException | None:
    """Returns a UserError or ^C from this process, without Beam's wrapping."""
    for cause in failure.chain:
        if isinstance(cause, KeyboardInterrupt):
            return KeyboardInterrupt()
        if isinstance(cause, UserError):
            return type(cause)(_WHILE_RUNNING.sub("", str(cause)))
    return None


def _raised_in_a_worker(failure: _Failure) -> UserError | None:
    """Returns a UserError from another process, parsed from its text: any subclass that is imported here."""
    kinds = _kinds(UserError)
    for cause in failure.chain:
        for raised in _IN_TEXT.finditer(str(cause)):
            if raised[1] in kinds:
                return kinds[raised[1]](raised[2])
    return None


def _kinds(kind: type[UserError]) -> dict[str, type[UserError]]:
    """Returns an error class and all its subclasses, by name."""
    found = {kind.__name__: kind}
    for child in kind.__subclasses__():
        found |= _kinds(child)
    return found


def _no_package(failure: _Failure) -> UserError | None:
    found = _NO_PACKAGE.search(failure.text)
    return found and WorkersDiffer(
        f"workers cannot import {found[1]}: fieldpool or one of its requirements is not installed there. Use an image "
        "built with Dockerfile (Dataflow: --sdk_container_image, others: --environment_config), pass the package with "
        "--setup_file, or install it in the workers' environment"
    )


def _no_workers(failure: _Failure) -> UserError | None:
    found = _NOT_REACHED.search(failure.text)
    return found and NoWorkers(
        f"no workers answer at {found[1]}; start them (docs/runners.md), or give their address with "
        "--environment_config"
    )


def _refused_by_cloud(failure: _Failure) -> UserError | None:
    """Returns an error reported by Google Cloud; None if a traceback shows that fieldpool's code failed."""
    if "Traceback" in failure.text:
        return None
    if found := _NOT_STAGED.search(failure.text):
        return JobFailed(f"{found[0]} (--temp_location, --staging_location)")
    for cause in failure.chain:
        if type(cause).__name__ == "DataflowRuntimeException":
            if _OUT_OF_MEMORY.search(failure.text):
                return None
            return JobFailed(f"{cause}\nSee docs/dataflow.md, and the job's page above")
        if type(cause).__module__.startswith(("google.api_core.", "google.auth.", "google.cloud.")):
            return JobFailed(
                f"Google Cloud rejected the request: {cause}. Check --project and --region, that the Dataflow API is "
                "enabled, and your credentials: `gcloud auth application-default login`"
            )
    return None


def _out_of_memory(failure: _Failure) -> UserError | None:
    if not (any(isinstance(cause, MemoryError) for cause in failure.chain) or _OUT_OF_MEMORY.search(failure.text)):
        return None
    return OutOfMemory(
        f"{failure.target}: a process ran out of memory; use a machine with more memory, fewer --workers, or smaller "
        "vocabularies (`min_count` and `top_k` in the spec)"
    )


def _cannot_write(failure: _Failure) -> UserError | None:
    found = (cannot_write(failure.target, cause, failure.option) for cause in failure.chain)
    return next(filter(None, found), None)


def _refused_by_job_server(failure: _Failure) -> UserError | None:
    """Returns an error reported by a job server; None if a traceback shows that fieldpool's code failed."""
    if found := _NO_JOB_SERVER.search(failure.text):
        return JobFailed(f"the runner's job server did not start: {found[0]}. See docs/runners.md")
    if "Traceback" in failure.text:
        return None
    if found := _FAILED.search(failure.text):
        return JobFailed(f"{found[0]}\nSee docs/runners.md, and the runner's own log")
    lost = next((cause for cause in failure.chain if isinstance(cause, grpc.RpcError)), None)
    return lost and JobFailed(f"the connection to the job server was lost: {_details(lost)}. See the server's log")


# The most specific first: an error raised by fieldpool is more specific than the failure that a machine or a service
# reports because of it, and an error reported by the cloud than the permission or disk space that its text mentions.
_TRANSLATORS: tuple[Callable[[_Failure], BaseException | None], ...] = (
    _raised_here,
    _raised_in_a_worker,
    _no_package,
    _no_workers,
    _refused_by_cloud,
    _out_of_memory,
    _cannot_write,
    _refused_by_job_server,
)


def _details(error: grpc.RpcError) -> str:
    return error.details() if isinstance(error, grpc.Call) else str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
