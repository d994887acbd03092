"""Errors out of a pipeline as errors that a user can fix: Beam wraps what a worker raised, several times."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator

import grpc

from ...transforms.errors import CannotWrite, JobFailed, NoWorkers, OutOfMemory, UserError, WorkersDiffer
from .versions import PACKAGES

# How Beam tells an error: with the step that it happened in, and, from another process, as the text of a traceback.
_WHILE_RUNNING = re.compile(r" \[while running .*", re.DOTALL)
# In a text the error ends where Beam names the step, or where the next traceback begins, Python's or Java's.
_IN_TEXT = re.compile(
    r"\bfieldpool\.[\w.]+\.(\w+): (.*?)\s*(?: \[while running |\n\n|\nTraceback |\n\s+at |\Z)", re.DOTALL
)
# What a worker says that cannot unpickle our functions.
_NO_PACKAGE = re.compile(
    rf"No module named '(fieldpool(?:\.[\w.]+)?|{'|'.join([*PACKAGES.values(), 'isal', 'pydantic'])})'"
)
_NOT_REACHED = re.compile(r"StatusCode\.UNAVAILABLE.*?failed to connect to all addresses.*?ipv[46]:(\S+?): ", re.DOTALL)
_NO_JOB_SERVER = re.compile(r"Unable to fetch remote (job server jar|prism binary) .*|[^\n]*: 'java'")
_FAILED = re.compile(r"Pipeline \S+ failed in state \w+: .*", re.DOTALL)
_NOT_STAGED = re.compile(r"Could not upload to GCS path .*? write access to it\.", re.DOTALL)

_CANNOT_WRITE = {
    errno.ENOSPC: "no space left on the disk; free some, or choose another with --out",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another disk with --out",
    errno.EFBIG: "a file grew larger than this system or user may write; raise the limit (`ulimit -f`)",
    errno.EROFS: "the file system is read-only; choose another folder with --out",
    errno.EACCES: "no permission to write there; choose another folder with --out",
    errno.EPERM: "no permission to write there; choose another folder with --out",
    errno.ENOTDIR: "a part of the path is a file; choose another folder with --out",
    errno.EIO: "the disk answered with an error; choose another with --out",
}
_CANNOT_WRITE_TEXTS = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "File too large": errno.EFBIG,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
    "Not a directory": errno.ENOTDIR,
    "Input/output error": errno.EIO,
}
_OUT_OF_MEMORY = re.compile(r"MemoryError|bad_alloc|Cannot allocate memory|OOM when allocating|malloc of size")


@contextlib.contextmanager
def translate_worker_errors(target: str) -> Iterator[None]:
    """Re-raises a UserError or ^C that Beam wrapped, and turns known failures of system and cloud into UserErrors.

    Args:
        target: the folder that is written to.
    """
    try:
        yield
    except Exception as error:
        found = _translated(error, target)
        if found is None:
            raise
        raise found from None


def _translated(error: Exception, target: str) -> BaseException | None:
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, KeyboardInterrupt):
            return KeyboardInterrupt()
        if isinstance(cause, UserError):
            return type(cause)(_WHILE_RUNNING.sub("", str(cause)))
    kinds = _kinds()
    for cause in chain:
        for raised in _IN_TEXT.finditer(str(cause)):
            if raised[1] in kinds:
                return kinds[raised[1]](raised[2])
    text = "\n".join(map(str, chain))
    if found := _NO_PACKAGE.search(text):
        return WorkersDiffer(
            f"workers cannot import {found[1]}: fieldpool or what it needs is not installed there. Give them an image "
            "made with Dockerfile (Dataflow: --sdk_container_image, others: --environment_config) or the package "
            "(--setup_file), or install it where your workers start"
        )
    if found := _NOT_REACHED.search(text):
        return NoWorkers(
            f"no workers answer at {found[1]}; start them (docs/runners.md), or give another address with "
            "--environment_config"
        )
    if "Traceback" not in text and (refusal := _refused_by_cloud(chain, text)):
        return refusal
    if any(isinstance(cause, MemoryError) for cause in chain) or _OUT_OF_MEMORY.search(text):
        return OutOfMemory(
            f"{target}: a process ran out of memory; give the machine more, use fewer --workers, or keep vocabularies "
            "smaller with `min_count` and `top_k` in the spec"
        )
    refused = next(
        (cause.errno for cause in chain if isinstance(cause, OSError) and cause.errno in _CANNOT_WRITE), None
    )
    refused = refused or next((code for words, code in _CANNOT_WRITE_TEXTS.items() if words in text), None)
    if refused is not None:
        return CannotWrite(f"{target}: cannot be written to: {_CANNOT_WRITE[refused]}")
    return _refused_by_job_server(chain, text)


def _kinds(kind: type[UserError] = UserError) -> dict[str, type[UserError]]:
    """Returns all kinds of UserError that are imported, by name: those of `model` and `pipeline` too."""
    found = {kind.__name__: kind}
    for child in kind.__subclasses__():
        found |= _kinds(child)
    return found


def _refused_by_job_server(chain: list[BaseException], text: str) -> JobFailed | None:
    """Returns what a job server said; None where a traceback says that it was a function of ours."""
    if found := _NO_JOB_SERVER.search(text):
        return JobFailed(f"the runner's job server did not start: {found[0]}. See docs/runners.md")
    if "Traceback" in text:
        return None
    if found := _FAILED.search(text):
        return JobFailed(f"{found[0]}\nSee docs/runners.md, and the runner's own log")
    gone = next((cause for cause in chain if isinstance(cause, grpc.RpcError)), None)
    return gone and JobFailed(f"the job server does not answer any more: {_details(gone)}. See its own log")


def _refused_by_cloud(chain: list[BaseException], text: str) -> UserError | None:
    """Returns what Google Cloud said; None if it was not asked."""
    if found := _NOT_STAGED.search(text):
        return JobFailed(f"{found[0]} (--temp_location, --staging_location)")
    for cause in chain:
        if type(cause).__name__ == "DataflowRuntimeException" and _OUT_OF_MEMORY.search(text):
            return None
        if type(cause).__name__ == "DataflowRuntimeException":
            return JobFailed(f"{cause}\nSee docs/dataflow.md, and the job's page above")
        if type(cause).__module__.startswith("google."):
            return JobFailed(
                f"Google Cloud did not do as it was asked: {cause}. Check --project and --region, that the Dataflow "
                "API is enabled there, and who you are: `gcloud auth application-default login`"
            )
    return None


def _details(error: grpc.RpcError) -> str:
    return error.details() if isinstance(error, grpc.Call) else str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
