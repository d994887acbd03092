"""How outputs are written: completely or not at all; a place that cannot be written to is an error in words.

It is in this package because both `model` and `pipeline` use it. It imports only the standard library and, for remote
folders, TensorFlow.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import CannotWrite, UserError
from .process.stopping import undone

# The start of the names of temporary files, which are beside the files that they replace.
UNFINISHED_PREFIX = ".unfinished-"

# The setting that chooses the folder of temporary files, for messages.
TEMPORARY = "the environment variable TMPDIR"

_REASONS = {
    errno.ENOSPC: "no space left on the disk; free some space, or choose another disk",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another disk",
    errno.EFBIG: "a file exceeds the size limit of this system or user; raise the limit (`ulimit -f`), or choose "
    "another disk",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "no permission to write there; choose another folder",
    errno.EPERM: "no permission to write there; choose another folder",
    errno.ENOENT: "its folder does not exist; create it, or choose another folder",
    errno.ENOTDIR: "a part of the path is a file; choose another folder",
    errno.ENAMETOOLONG: "the name is too long for the file system; choose a shorter one",
    errno.EIO: "the disk reported an input/output error; choose another disk",
}
# Not searched for in texts: there it is usually the message about a file that is read.
_ONLY_BY_NUMBER = (errno.ENOENT,)
# Reading never fails with these codes; the others may come from a file that is read.
_ONLY_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextlib.contextmanager
def writing(path: str, option: str = "--out") -> Iterator[None]:
    """Turns errors of the file system at `path` into CannotWrite; errors that name another path are not changed.

    Args:
        path: The file or folder that the block writes.
        option: What chooses the path, for the message; "" for nothing.

    Raises:
        CannotWrite: the path cannot be written to.
    """
    try:
        yield
    except Exception as error:
        found = cannot_write(path, error, option)
        if found is None:
            raise
        raise found from None


def cannot_write(path: str, error: BaseException, option: str = "--out") -> CannotWrite | None:
    """Returns the error to report if `error` says that `path` cannot be written to, else None. See `writing`."""
    if isinstance(error, UserError):
        return None
    # Libraries in C++, and errors from other processes, have the system's message in their text.
    text, code = str(error), error.errno if isinstance(error, OSError) else None
    code = code or next((c for c in _REASONS if c not in _ONLY_BY_NUMBER and os.strerror(c) in text), None)
    if code is None or not (code in _ONLY_WRITING or _is_at(path, error)):
        return _refused_remotely(path, error)
    if code not in _REASONS and not getattr(error, "filename", None):
        return None
    reason = _REASONS.get(code) or f"{os.strerror(code)}; choose another path"
    return CannotWrite(f"{path}: cannot be written to: {reason}{f' with {option}' if option else ''}")


def _is_at(path: str, error: BaseException) -> bool:
    """Returns whether an error names `path`, a path beside or below it, or a parent; or no path at all."""
    if not isinstance(error, OSError) or error.errno is None:
        return (os.path.dirname(path) or path) in str(error)
    if error.filename is None or isinstance(error.filename, int):
        return True
    named = os.fsdecode(error.filename)
    return os.path.dirname(path) in named or path.startswith(named)


def _refused_remotely(path: str, error: BaseException) -> CannotWrite | None:
    if "://" not in path:
        return None
    from tensorflow import errors  # Takes seconds to import.

    refusals = (
        errors.PermissionDeniedError,
        errors.UnauthenticatedError,
        errors.NotFoundError,
        errors.UnimplementedError,  # No file system for this kind of address.
        errors.FailedPreconditionError,
        errors.ResourceExhaustedError,
        errors.UnavailableError,
        errors.AbortedError,
        errors.DeadlineExceededError,
    )
    if not isinstance(error, refusals):
        return None
    reason = str(error).strip().splitlines()[0]
    return CannotWrite(f"{path}: cannot be written to: {reason}. Check the address and your permissions")


@contextlib.contextmanager
def replacing(*paths: str) -> Iterator[list[str]]:
    """Yields a temporary path for each local file, in its folder and with the same ending; then moves them to `paths`.

    If the block fails, the temporary files are removed and existing files are kept.

    Raises:
        CannotWrite: a file cannot be written.
    """
    shown = paths[0] if len(paths) == 1 else os.path.dirname(paths[0])
    temporary = [os.path.join(os.path.dirname(path), UNFINISHED_PREFIX + os.path.basename(path)) for path in paths]
    with writing(shown), undone(lambda: _remove(temporary)):
        yield temporary
        for source in temporary:
            sync(source)
        for source, target in zip(temporary, paths, strict=True):
            os.replace(source, target)
        sync(os.path.dirname(paths[0]) or ".")


def sync(path: str) -> None:
    """Waits until the contents of a file, or the names in a folder, are on the disk.

    Otherwise a file that was renamed just before a power failure may be empty.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(files: list[str]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            Path(file).unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(purpose: str) -> Iterator[str]:
    """Creates a folder for temporary files, and removes it at the end of the block.

    Args:
        purpose: A part of its name.

    Raises:
        CannotWrite: it cannot be created.
    """
    with writing(checked_temporary_folder(), TEMPORARY):
        folder = tempfile.TemporaryDirectory(prefix=f"fieldpool-{purpose}-")
    with folder as path:
        yield path


def checked_temporary_folder() -> str:
    """Returns the folder that temporary files are created in.

    Raises:
        CannotWrite: there is none that can be written to.
    """
    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:
        raise CannotWrite(
            f"no folder for temporary files can be written to: {error.strerror}; free some space, or choose one with "
            f"{TEMPORARY}"
        ) from None
