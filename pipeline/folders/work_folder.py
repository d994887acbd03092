"""Complete or absent: work goes to a folder inside the target, and its result is moved into place when it is complete.

What a process that was killed leaves in a target, and what the next one does with it:

    found               it means                                     without --resume     with --resume
    .work-*/…           not complete: the target is no run           removes it           keeps what passes found
    .work-*/WHOLE       all is made, under .work-*/run/              removes it           moves it into place
    .work-*/OLD_ASIDE   the run to replace is in .work-*/old/,       removes both         moves the rest into place
                        parts in the target are of the new one
    DONE                a run, whatever else is there                with --overwrite, replaces it
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from apache_beam.io.filesystems import FileSystems

from ...model.run import (
    DONE_FILE,
    EXAMPLES_FOLDER,
    PREDICTIONS_FOLDER,
    REJECTED_FOLDER,
    SPEC_FILE,
    STATISTICS_FOLDER,
    STATS_FILE,
    TRANSFORM_FOLDER,
)
from ...transforms.errors import CannotResume, CannotWrite, TargetExists
from ..sources.files import FileStamp
from .storage import children, is_object_store, make_folder, move, remove, write_whole

WORK_PREFIX = ".work-"

# Inside the work, for what is needed on the way.
SHARDS_FOLDER, TFT_FOLDER = "shards-temp", "tft-temp"

# All that a run directory holds besides DONE, and one of predictions.
_PARTS = (
    SPEC_FILE,
    STATS_FILE,
    STATISTICS_FOLDER,
    TRANSFORM_FOLDER,
    EXAMPLES_FOLDER,
    PREDICTIONS_FOLDER,
    REJECTED_FOLDER,
)

_FINGERPRINT, _WHOLE, _OLD_ASIDE = "fingerprint.json", "WHOLE", "OLD_ASIDE"
_RESULT, _OLD = "run", "old"


@dataclass(frozen=True)
class Fingerprint:
    """What a run is made of: two with the same one make the same run. `files` are compared by size and time.

    `columns` are those of the files, whether the spec reads them or not.
    """

    spec: dict[str, Any]
    files: list[FileStamp] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Returns what is not as it was in `other`, a fingerprint as JSON."""
        mine = json.loads(json.dumps(asdict(self)))
        then, here = ({file["path"]: file for file in files} for files in (other.get("files", []), mine["files"]))
        changed = sorted(path for path in then.keys() | here.keys() if then.get(path) != here.get(path))
        return [*(kind for kind in ("spec", "columns", "versions") if mine[kind] != other.get(kind)), *changed]


class WorkFolder:
    """The folder of the work inside a target.

    Attributes:
        path: For what is needed on the way.
        result: A folder in it, for what will be moved into the target.
    """

    def __init__(self, target: str, path: str) -> None:
        self._target, self.path = target, path
        self.result = FileSystems.join(path, _RESULT)

    @property
    def is_whole(self) -> bool:
        """Whether the work is done and need only be moved."""
        return FileSystems.exists(FileSystems.join(self.path, _WHOLE))

    def publish(self) -> None:
        """Moves the whole work into place; a run that was there goes when this one can take its place.

        Killed at any point and called again, it goes on. DONE comes last.
        """
        write_whole(FileSystems.join(self.path, _WHOLE), "")
        old, aside = FileSystems.join(self.path, _OLD), FileSystems.join(self.path, _OLD_ASIDE)
        if not FileSystems.exists(aside):
            make_folder(old)
            for name in (DONE_FILE, *_PARTS):
                move(FileSystems.join(self._target, name), FileSystems.join(old, name))
            write_whole(aside, "")
        for name in _PARTS:
            move(FileSystems.join(self.result, name), FileSystems.join(self._target, name))
        write_whole(FileSystems.join(self._target, DONE_FILE), "")
        _forget(self.path)
        remove(self.path)


@contextlib.contextmanager
def work_folder(
    target: str, *, overwrite: bool = False, resume: bool = False, fingerprint: Fingerprint | None = None
) -> Iterator[WorkFolder]:
    """Makes the folder for the work, or takes up the one that a killed process left; an error removes it.

    Args:
        target: the run directory to make.
        overwrite: a run that is there may be replaced.
        resume: go on with the work that is there, if its fingerprint is this one.
        fingerprint: what the run is made of.

    Raises:
        CannotWrite: the target cannot be made.
        TargetExists: the target holds something that this may not replace, or another process is at work there.
        CannotResume: the work that is there belongs to other inputs.
    """
    made = not FileSystems.exists(target)
    try:
        make_folder(target)
    except FileNotFoundError:
        raise CannotWrite(f"{target}: cannot be made: no folder can be where this should be; choose another") from None
    with _alone(target):
        stale = [name for name in children(target) if name.startswith(WORK_PREFIX)]
        _refuse_others(target, stale, overwrite)
        if stale and is_object_store(target) and not (overwrite or resume):
            raise TargetExists(
                f"{target}: another process is at work in it, or was killed there ({stale[0]}/), which an object store "
                "cannot tell; if it was killed, begin anew with --overwrite, or go on with --resume (only `transform` "
                "can), or remove that folder"
            )
        work = _taken_up(target, stale, fingerprint) if resume and stale else None
        for name in stale:
            if work is None or FileSystems.join(target, name) != work.path:
                _clean(target, FileSystems.join(target, name))
        if work is None:
            work = WorkFolder(target, FileSystems.join(target, f"{WORK_PREFIX}{uuid.uuid4().hex[:8]}"))
            make_folder(work.result)
            if fingerprint is not None:
                write_whole(FileSystems.join(work.path, _FINGERPRINT), json.dumps(asdict(fingerprint)))
        try:
            yield work
        except BaseException:
            # Leaves the target as it was found; whole work that could not be moved is worth keeping.
            if not work.is_whole:
                remove(work.path)
                if made and not children(target):
                    remove(target)
            raise


@contextlib.contextmanager
def _alone(target: str) -> Iterator[None]:
    """Holds the target against other processes of this machine; the lock goes with the process, however it ends."""
    if "://" in target:
        yield
        return
    import fcntl

    handle = os.open(target, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TargetExists(
                f"{target}: another process is at work in it; wait until it is done, or stop it"
            ) from None
        except OSError:
            pass  # A file system without locks.
        yield
    finally:
        os.close(handle)


def _refuse_others(target: str, stale: list[str], overwrite: bool) -> None:
    """Raises TargetExists if there is something in the target that is not ours to replace."""
    there = [name for name in children(target) if name not in stale]
    foreign = [name for name in there if name not in (*_PARTS, DONE_FILE)]
    if foreign and DONE_FILE not in there:
        raise TargetExists(
            f"{target}: exists already and is no run (it holds {', '.join(foreign[:3])}); choose another folder"
        )
    if not there or overwrite:
        return
    if DONE_FILE in there:
        raise TargetExists(f"{target}: exists already; choose another folder, or replace this run with --overwrite")
    if not any(FileSystems.exists(FileSystems.join(target, name, _WHOLE)) for name in stale):
        raise TargetExists(
            f"{target}: exists already, parts of a run without {DONE_FILE}; choose another folder, or replace it "
            "with --overwrite"
        )


def _taken_up(target: str, stale: list[str], fingerprint: Fingerprint | None) -> WorkFolder | None:
    """Returns the work that a killed process left, less what is not whole."""
    differences: list[str] = []
    for name in stale:
        path = FileSystems.join(target, name)
        if not FileSystems.exists(FileSystems.join(path, _FINGERPRINT)):
            continue
        with FileSystems.open(FileSystems.join(path, _FINGERPRINT)) as file:
            differences = fingerprint.differences(json.loads(file.read())) if fingerprint else ["the source of rows"]
        if differences:
            continue
        work = WorkFolder(target, path)
        if not work.is_whole:
            for child in children(path):
                if child != _FINGERPRINT and not child.endswith(".json"):
                    remove(FileSystems.join(path, child))
            make_folder(work.result)
        return work
    if differences:
        raise CannotResume(
            f"{target}: what was begun there is of other inputs; changed since: {', '.join(differences[:5])}. "
            "Leave --resume out to begin anew"
        )
    return None


def _forget(path: str) -> None:
    """Makes work one that cannot be taken up, before parts of it go: whoever is killed then leaves no half of a run."""
    remove(FileSystems.join(path, _FINGERPRINT))


def _clean(target: str, path: str) -> None:
    """Removes a killed process's work, and the parts of it that had been moved into the target."""
    _forget(path)
    done = FileSystems.exists(FileSystems.join(target, DONE_FILE))
    if FileSystems.exists(FileSystems.join(path, _WHOLE)) and not done:
        for name in _PARTS:
            remove(FileSystems.join(target, name))
    remove(path)


def stage_of(target: str) -> str:
    """Returns what a transform into the local folder `target` is doing, by what it has written there so far."""
    work = next(Path(target).glob(f"{WORK_PREFIX}*"), None) if "://" not in target else None
    if work is None:
        return "Working"
    shards = [path.stat().st_size for path in (work / SHARDS_FOLDER).glob("*")]
    if shards:
        return f"Writing examples: {sum(shards) / 1e6:,.1f} MB in {len(shards)} shards"
    return "Counting vocabularies" if (work / TFT_FOLDER).exists() else "Measuring list lengths"
