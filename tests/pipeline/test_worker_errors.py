"""Errors out of a pipeline: the user's own as they were raised, the machine's in words, ours untouched."""

from __future__ import annotations

import errno

import pytest

from fieldpool.pipeline.worker_errors import errors_of_users
from fieldpool.transforms.errors import CannotWrite, OutOfMemory, SourceError, TooManyRejected

# What Beam makes of an error in a worker process: a text.
REMOTE = """Error processing instruction 7. Original traceback is
Traceback (most recent call last):
  File "worker.py", line 1, in process
fieldpool.transforms.errors.TooManyRejected: 2 of 9 rows cannot be used:
  a.csv  3 [while running 'CheckRows']
"""


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (SourceError("a.csv: bad [while running 'Read']"), SourceError, "a.csv: bad"),
        (RuntimeError(REMOTE), TooManyRejected, "2 of 9 rows cannot be used:\n  a.csv  3"),
        (OSError(errno.ENOSPC, "No space left on device"), CannotWrite, "runs/x: cannot be written to: no space left"),
        (RuntimeError("UnknownError: x; No space left on device"), CannotWrite, "no space left on the disk"),
        (PermissionError(errno.EACCES, "Permission denied"), CannotWrite, "no permission to write there"),
        (MemoryError(), OutOfMemory, "runs/x: a process ran out of memory"),
        (RuntimeError("std::bad_alloc"), OutOfMemory, "`min_count` and `top_k`"),
    ],
)
def test_told_in_words(raised: Exception, kind: type[Exception], message: str) -> None:
    def work() -> None:
        try:
            raise raised
        except Exception as error:
            raise RuntimeError("Beam's own words") from error

    with pytest.raises(kind) as error, errors_of_users("runs/x"):
        work()
    assert message in str(error.value)
    assert "while running" not in str(error.value)


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), errors_of_users("runs/x"):
        _ = 1 / 0
