"""Output folders that are complete or absent: work is done in a folder inside the target, then moved into place.

States of a target after a process was killed, and what the next process does:

    file in the target    state                                     without --resume      with --resume
    .work-*/ (no marker)  work is incomplete                        removes the work      reuses its analysis
    .work-*/COMPLETE      the new run is complete, in .work-*/run/  removes the work      publishes the new run
    .work-*/OLD_MOVED     the old run was moved to .work-*/old/;    removes both runs     publishes the rest of
                          the target has parts of the new run                             the new run
    DONE                  the target is a complete run              an error; with --overwrite, replaces the run
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from apache_beam.io.filesystems import FileSystems

from ...transforms.errors import CannotResume, TargetExists
from ...transforms.kinds import Kind
from ...transforms.outputs import REPLACE, check_not_a_file, locked
from ...transforms.process.stopping import undone, uninterrupted
from ...transforms.run_files import (
    DONE_FILE,
    EXAMPLES_FOLDER,
    LEDGERS_FOLDER,
    PREDICTIONS_FOLDER,
    REJECTED_FOLDER,
    SPEC_FILE,
    STATISTICS_FOLDER,
    STATS_FILE,
    TRANSFORM_FOLDER,
    VECTORS_FOLDER,
    VOCABULARY_COUNTS_FOLDER,
)
from ...transforms.writing import UNFINISHED_PREFIX, writing
from ..sources.files import FileStamp
from .storage import children, is_object_store, make_folder, move, remove, write_atomically

WORK_PREFIX = ".work-"

# Temporary folders inside the work folder.
SHARDS_FOLDER, TFT_FOLDER, ANALYSIS_FOLDER = "shards-temp", "tft-temp", "analysis"

# The last file that an analysis writes to its folder.
ANALYSIS_FILE = "analysis.json"

# The contents of a run directory or a predictions folder, besides DONE.
_PARTS = (
    SPEC_FILE,
    STATS_FILE,
    STATISTICS_FOLDER,
    TRANSFORM_FOLDER,
    VOCABULARY_COUNTS_FOLDER,
    LEDGERS_FOLDER,
    VECTORS_FOLDER,
    EXAMPLES_FOLDER,
    PREDICTIONS_FOLDER,
    REJECTED_FOLDER,
)

_FINGERPRINT, _COMPLETE, _OLD_MOVED = "fingerprint.json", "COMPLETE", "OLD_MOVED"
_RESULT, _OLD = "run", "old"


@dataclass(frozen=True)
class Fingerprint:
    """The inputs of a run: equal fingerprints give equal runs. `files` are compared by size and modification time.

    `columns` are all columns of the files, also those that the spec does not read. `growth` has the older run
    and the date of `transform --grow`.
    """

    spec: dict[str, Any]
    files: list[FileStamp] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    growth: dict[str, Any] | None = None

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Returns the names of the inputs that differ from `other`, a fingerprint read from JSON."""
        mine = json.loads(json.dumps(asdict(self)))
        then, here = ({file["path"]: file for file in files} for files in (other.get("files", []), mine["files"]))
        changed = sorted(path for path in then.keys() | here.keys() if then.get(path) != here.get(path))
        return [
            *(kind for kind in ("spec", "columns", "versions", "growth") if mine[kind] != other.get(kind)),
            *changed,
        ]


class WorkFolder:
    """The work folder inside a target.

    Attributes:
        path: The folder, for temporary files.
        result: A folder in it, for the files that will be moved into the target.
    """

    def __init__(self, target: str, path: str) -> None:
        self._target, self.path = target, path
        self.result = FileSystems.join(path, _RESULT)

    @property
    def is_complete(self) -> bool:
        """Whether the work is complete, so that it only needs to be moved into place."""
        return FileSystems.exists(FileSystems.join(self.path, _COMPLETE))

    def publish(self) -> None:
        """Moves the complete result into place; an existing run is first moved out of the way, then removed.

        If the process is killed at any point, a second call continues. DONE is written last.
        """
        with uninterrupted():
            self._publish()

    def _publish(self) -> None:
        write_atomically(FileSystems.join(self.path, _COMPLETE), "")
        old, old_moved = FileSystems.join(self.path, _OLD), FileSystems.join(self.path, _OLD_MOVED)
        if not FileSystems.exists(old_moved):
            make_folder(old)
            for name in (DONE_FILE, *_PARTS):
                move(FileSystems.join(self._target, name), FileSystems.join(old, name))
            write_atomically(old_moved, "")
        for name in _PARTS:
            move(FileSystems.join(self.result, name), FileSystems.join(self._target, name))
        write_atomically(FileSystems.join(self._target, DONE_FILE), "")
        _remove_fingerprint(self.path)
        remove(self.path)


@contextlib.contextmanager
def work_folder(
    target: str,
    *,
    kind: Kind = Kind.RUN,
    overwrite: bool = False,
    resume: bool = False,
    fingerprint: Fingerprint | None = None,
) -> Iterator[WorkFolder]:
    """Creates the work folder, or resumes the one that a killed process left; an error removes it.

    Args:
        target: The output folder to create: a run directory, or a folder of predictions.
        kind: RUN or PREDICTIONS; only output of the same kind may be replaced.
        overwrite: Whether an existing output may be replaced.
        resume: Whether to continue unfinished work; its fingerprint must be equal.
        fingerprint: The inputs of the run; without it, the work cannot be resumed.

    Raises:
        CannotWrite: the target cannot be created.
        TargetExists: the target contains files that may not be replaced, or another process is working there.
        CannotResume: the unfinished work has other inputs.
    """
    check_not_a_file(target)
    is_new = not FileSystems.exists(target)
    with writing(target):
        make_folder(target)
    with locked(target):
        stale = [name for name in children(target) if name.startswith(WORK_PREFIX)]
        _check_replaceable(target, stale, kind, overwrite)
        if stale and is_object_store(target) and not (overwrite or resume):
            raise TargetExists(
                f"{target}: another process is working in it, or was killed there ({stale[0]}/); object stores have no "
                "locks that show which. If it was killed, start from scratch with --overwrite, continue with --resume "
                "(only `transform`), or remove that folder"
            )
        work = _resumed(target, stale, fingerprint) if resume and stale else None
        for name in stale:
            if work is None or FileSystems.join(target, name) != work.path:
                _clean(target, FileSystems.join(target, name))
        if work is None:
            work = WorkFolder(target, FileSystems.join(target, f"{WORK_PREFIX}{uuid.uuid4().hex[:8]}"))
            make_folder(work.result)
            if fingerprint is not None:
                write_atomically(FileSystems.join(work.path, _FINGERPRINT), json.dumps(asdict(fingerprint)))
        with undone(lambda: _undo(target, work, is_new)):
            yield work


def _undo(target: str, work: WorkFolder, is_new: bool) -> None:
    """Leaves the target as it was before; complete work that could not be moved is kept for --resume."""
    if not work.is_complete:
        remove(work.path)
        if is_new and not children(target):
            remove(target)


def _check_replaceable(target: str, stale: list[str], kind: Kind, overwrite: bool) -> None:
    """Raises TargetExists if the target contains files that may not be replaced."""
    existing = [name for name in children(target) if name not in stale and not name.startswith(UNFINISHED_PREFIX)]
    foreign = [name for name in existing if name not in (*_PARTS, DONE_FILE)]
    if foreign and DONE_FILE not in existing:
        raise TargetExists(
            f"{target}: exists already and is not {kind} (it contains {', '.join(foreign[:3])}); choose another folder"
        )
    found = Kind.PREDICTIONS if PREDICTIONS_FOLDER in existing else Kind.RUN
    if DONE_FILE in existing and found is not kind:
        raise TargetExists(f"{target}: exists already and is {found}, not {kind}; choose another folder")
    if not existing or overwrite:
        return
    if DONE_FILE in existing:
        raise TargetExists(f"{target}: exists already and is {kind}; {REPLACE}")
    if not any(FileSystems.exists(FileSystems.join(target, name, _COMPLETE)) for name in stale):
        raise TargetExists(
            f"{target}: exists already and contains an unfinished run (no {DONE_FILE} file); choose another folder, or "
            "replace it with --overwrite"
        )


def _resumed(target: str, stale: list[str], fingerprint: Fingerprint | None) -> WorkFolder | None:
    """Returns the work folder that a killed process left, without its incomplete parts."""
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
        if not work.is_complete:
            for child in children(path):
                if child not in (_FINGERPRINT, ANALYSIS_FOLDER) and not child.endswith(".json"):
                    remove(FileSystems.join(path, child))
            make_folder(work.result)
        return work
    if differences:
        raise CannotResume(
            f"{target}: the unfinished work there has other inputs; changed since: {', '.join(differences[:5])}. "
            "Run without --resume to start from scratch"
        )
    return None


def _remove_fingerprint(path: str) -> None:
    """Removes the fingerprint first, so that work which is only partly removed can never be resumed."""
    remove(FileSystems.join(path, _FINGERPRINT))


def _clean(target: str, path: str) -> None:
    """Removes a killed process's work, and the parts of it that had been moved into the target."""
    _remove_fingerprint(path)
    done = FileSystems.exists(FileSystems.join(target, DONE_FILE))
    if FileSystems.exists(FileSystems.join(path, _COMPLETE)) and not done:
        for name in _PARTS:
            remove(FileSystems.join(target, name))
    remove(path)


def stage_of(target: str) -> str:
    """Returns the current step of a transform into the local folder `target`, judged by the files written so far."""
    work = next(Path(target).glob(f"{WORK_PREFIX}*"), None) if "://" not in target else None
    if work is None:
        return "Working"
    shards = [path.stat().st_size for path in (work / SHARDS_FOLDER).glob("*")]
    if shards:
        return f"Writing examples: {sum(shards) / 1e6:,.1f} MB in {len(shards)} shards"
    return "Transforming rows" if (work / ANALYSIS_FOLDER / ANALYSIS_FILE).exists() else "Counting the train rows"
