"""Rules that hold for every output: no other file is replaced, and one process at a time writes to a folder.

It is in this package because both `model` and `pipeline` use it. It imports only the standard library and, for remote
folders, TensorFlow.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from .errors import TargetExists
from .kinds import Kind, check_cloud_access, kind_of, names_in
from .writing import writing

# Added to errors about existing output.
REPLACE = "choose another one with --out, or replace it with --overwrite"


def check_folder_output(folder: str, kind: Kind, *, overwrite: bool, is_ours: bool = False) -> None:
    """Checks that a folder may be created, or replaced: only an earlier output of the same kind may be.

    Args:
        folder: The folder; it need not exist.
        kind: The kind of output that will be written to it.
        overwrite: Whether an earlier output may be replaced.
        is_ours: Whether the folder is such an output, although `kind_of` does not recognise it.

    Raises:
        UserError: it is on gs://, and Google Cloud cannot be used.
        TargetExists: it is a file, has other contents, or has an output and `overwrite` is false.
    """
    check_cloud_access(folder)
    check_not_a_file(folder)
    names = sorted(names_in(folder))
    if not names:
        return
    found = kind_of(folder)
    if found is not kind and not is_ours:
        is_what = f"is {found}, not {kind}" if found in _FOLDERS else f"is not {kind}"
        raise TargetExists(
            f"{folder}: exists already and {is_what} (it contains {', '.join(names[:3])}); choose another folder with "
            "--out"
        )
    if not overwrite:
        raise TargetExists(f"{folder}: exists already and is {kind}; {REPLACE}")


_FOLDERS = (Kind.RUN, Kind.UNFINISHED_RUN, Kind.MODEL, Kind.EXPORT, Kind.PREDICTIONS, Kind.ALL)


def check_not_a_file(folder: str) -> None:
    """Checks that the path of a folder is not that of a file.

    Raises:
        TargetExists: it is.
    """
    if "://" not in folder and os.path.lexists(folder) and not os.path.isdir(folder):
        raise TargetExists(f"{folder}: exists already and is a file; choose a folder with --out")


@contextlib.contextmanager
def locked_folder(folder: str) -> Iterator[None]:
    """Creates a folder if needed, and locks it as `locked` does; a new folder that remains empty is removed.

    Raises:
        TargetExists: it is a file, or another process is working in it.
        CannotWrite: it cannot be created.
    """
    check_not_a_file(folder)
    if "://" in folder:
        yield
        return
    is_new = not os.path.isdir(folder)
    with writing(folder):
        os.makedirs(folder, exist_ok=True)
    try:
        with locked(folder):
            yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # Not empty, or removed already.
                os.rmdir(folder)


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Locks an existing folder against other processes on this machine; the lock ends with the process, even if killed.

    Object stores and some network file systems have no locks: there it does nothing.

    Raises:
        TargetExists: another process has the lock.
        CannotWrite: there is no permission to open the folder.
    """
    if "://" in folder:
        yield
        return
    import fcntl

    in_use = f"{folder}: another process is working in it; wait until it has finished, or stop it"
    with writing(folder):
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # The other process has removed it.
            raise TargetExists(in_use) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TargetExists(in_use) from None
        except OSError:
            pass  # A file system without locks.
        # The process that had the lock may have replaced the folder between the two calls.
        if not os.path.isdir(folder) or not os.path.samestat(os.fstat(handle), os.stat(folder)):
            raise TargetExists(in_use)
        yield
    finally:
        os.close(handle)
