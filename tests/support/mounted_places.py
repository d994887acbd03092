"""Runs commands that write to small or read-only file systems, which are mounted in a mount namespace.

As a program: `unshare -m python mounted_places.py FOLDER < cases.json`. All cases run in one process, because importing
TensorFlow takes seconds. Prints the outcome of each case as JSON.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """A command that writes to a mounted folder.

    Attributes:
        arguments: The arguments of `fieldpool`; `PLACE` in them is the mounted folder.
        size: The size of its file system, such as `64k`.
        read_only: Whether it is mounted read-only.
        is_temporary: Whether it is also the folder of temporary files.
    """

    arguments: Sequence[str]
    size: str = "64k"
    read_only: bool = False
    is_temporary: bool = False


@dataclass(frozen=True)
class Outcome:
    """The exit code of a command, what it printed to standard error, and the names in the folder afterwards."""

    code: int
    error: str
    left: list[str]


@functools.cache
def namespace() -> tuple[str, ...] | None:
    """Returns the command that starts a program in a mount namespace where it may mount; None if that is impossible."""
    for command in (("unshare", "-m"), ("unshare", "-Urm")):
        mount = [*command, "mount", "-t", "tmpfs", "none", "/mnt"]
        with contextlib.suppress(OSError):
            if subprocess.run(mount, capture_output=True).returncode == 0:
                return command
    return None


def outcomes(folder: Path, cases: Sequence[Case]) -> list[Outcome]:
    """Returns the outcome of each case; `namespace` must not be None."""
    command = [*(namespace() or ()), sys.executable, __file__, str(folder)]
    given = json.dumps([asdict(case) for case in cases])
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return [Outcome(**outcome) for outcome in json.loads(done.stdout)]


def _outcome(case: Case, place: Path) -> Outcome:
    from fieldpool.pipeline.cli import app
    from fieldpool.pipeline.terminal import console
    from fieldpool.pipeline.terminal.startup import UNTIL_EXIT

    place.mkdir()
    access = "ro" if case.read_only else "rw"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={case.size},{access}", "none", place], check=True)
    sys.argv = ["fieldpool", *(argument.replace("PLACE", str(place)) for argument in case.arguments)]
    if case.is_temporary:
        (place / "filled").write_bytes(b"x" * (place.stat().st_blksize * 15))  # Of the 16 blocks of 64k.
        tempfile.tempdir = str(place)
    console.err.file = errors = io.StringIO()
    code: object = 0
    try:
        with UNTIL_EXIT, contextlib.redirect_stdout(io.StringIO()):
            app.main()
    except SystemExit as end:
        code = end.code or 0
    tempfile.tempdir = None
    left = [path.relative_to(place).as_posix() for path in sorted(place.rglob("*")) if path.name != "filled"]
    return Outcome(int(str(code)), errors.getvalue(), left)


if __name__ == "__main__":
    folder, cases = Path(sys.argv[1]), [Case(**case) for case in json.load(sys.stdin)]
    found = [_outcome(case, folder / f"place-{number}") for number, case in enumerate(cases)]
    print(json.dumps([asdict(outcome) for outcome in found]))
