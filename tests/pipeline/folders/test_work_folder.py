"""Complete or absent: the contents of a target before, during and after work, and after a process was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fieldpool.pipeline.folders import work_folder as work_folders
from fieldpool.pipeline.folders.work_folder import Fingerprint, WorkFolder, work_folder
from fieldpool.pipeline.sources.files import FileStamp
from fieldpool.transforms.errors import CannotResume, TargetExists

ANOTHER = FileStamp("b.csv", 1, 1.0)
PRINT = Fingerprint({"key": "id"}, [FileStamp("a.csv", 10, 1.5)], versions={"fieldpool": "1"})


class Killed(BaseException):
    """Simulates SIGKILL: no cleanup runs."""


@contextlib.contextmanager
def killed_at(step: int) -> Iterator[None]:
    """Simulates a kill just before the `step`-th move, write or removal of a file."""
    left = step

    def counting(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left <= 0:
                raise Killed
            return function(*arguments)

        return call

    unlink = counting(os.unlink)

    def remove(path: str) -> None:
        for folder, _, names in os.walk(path):
            for name in sorted(names):
                unlink(os.path.join(folder, name))
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            unlink(path)

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
        for name in ("move", "write_atomically"):
            patch.setattr(work_folders, name, counting(getattr(work_folders, name)))
        patch.setattr(work_folders, "remove", remove)
        yield


def fill(work: WorkFolder, text: str) -> None:
    for name in ("spec.yaml", "stats.json"):
        Path(work.result, name).write_text(text)
    Path(work.result, "examples").mkdir()
    Path(work.result, "examples/train").write_text(text)


def make(target: Path, text: str = "new", **options: object) -> None:
    with work_folder(str(target), **options) as work:  # type: ignore[arg-type]
        if not work.is_complete:
            fill(work, text)
        work.publish()


def fail(target: Path, **options: bool) -> None:
    with work_folder(str(target), **options) as work:
        fill(work, "new")
        raise ZeroDivisionError


def contents(target: Path) -> dict[str, str]:
    return {str(path.relative_to(target)): path.read_text() for path in sorted(target.rglob("*")) if path.is_file()}


def run_of(text: str) -> dict[str, str]:
    return {"DONE": "", "examples/train": text, "spec.yaml": text, "stats.json": text}


def test_run_appears_only_when_published(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with work_folder(str(target)) as work:
        fill(work, "new")
        assert [path.name.startswith(".work-") for path in target.iterdir()] == [True]
        work.publish()
    assert contents(target) == run_of("new")


@pytest.mark.parametrize("existed", [True, False])
def test_error_leaves_the_target_unchanged(tmp_path: Path, existed: bool) -> None:
    target = tmp_path / "run"
    if existed:
        target.mkdir()
    with pytest.raises(ZeroDivisionError):
        fail(target)
    assert target.exists() == existed
    assert not existed or list(target.iterdir()) == []


def test_run_is_replaced_only_with_overwrite_and_only_by_a_complete_run(tmp_path: Path) -> None:
    target = tmp_path / "run"
    make(target, "old")
    with pytest.raises(TargetExists, match=r"exists already and is a run; .* replace it with --overwrite"):
        make(target)
    with pytest.raises(ZeroDivisionError):
        fail(target, overwrite=True)
    assert contents(target) == run_of("old")
    make(target, overwrite=True)
    assert contents(target) == run_of("new")


@pytest.mark.parametrize("overwrite", [True, False])
def test_overwrite_refuses_folders_that_are_not_runs(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(TargetExists, match="is not a run"):
        make(tmp_path, overwrite=overwrite)
    assert contents(tmp_path) == {"precious": ""}


def test_overwrite_keeps_other_files_in_a_run(tmp_path: Path) -> None:
    make(tmp_path / "run", "old")
    (tmp_path / "run/notes").write_text("mine")
    make(tmp_path / "run", overwrite=True)
    assert contents(tmp_path / "run") == run_of("new") | {"notes": "mine"}


def test_two_processes_cannot_use_one_target(tmp_path: Path) -> None:
    with work_folder(str(tmp_path / "run")), pytest.raises(TargetExists, match="another process is working in it"):
        make(tmp_path / "run")


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("step", range(1, 35))
def test_after_a_kill_at_any_step_the_next_call_makes_the_run(
    tmp_path: Path, step: int, old: bool, resume: bool
) -> None:
    target = tmp_path / "run"
    if old:
        make(target, "old")
    with killed_at(step):
        make(target, overwrite=old, fingerprint=PRINT)
    left = {name: text for name, text in contents(target).items() if not name.startswith(".work-")}
    if "DONE" in left:
        assert left in (run_of("old"), run_of("new"))
    make(target, overwrite="DONE" in left, resume=resume, fingerprint=PRINT)
    assert contents(target) == run_of("new")


@pytest.mark.parametrize("again", range(1, 20))
@pytest.mark.parametrize("step", [14, 16])
def test_after_a_second_kill_during_cleanup_the_next_call_makes_the_run(tmp_path: Path, step: int, again: int) -> None:
    target = tmp_path / "run"
    with killed_at(step):
        make(target, fingerprint=PRINT)
    with killed_at(again):
        make(target, fingerprint=PRINT)
    make(target, resume=True, overwrite=True, fingerprint=PRINT)
    assert contents(target) == run_of("new")


def killed_with(target: Path, names: list[str]) -> None:
    """Leaves the work folder of a killed process that had written the files `names`."""
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.suppress(Killed),
        work_folder(str(target), fingerprint=PRINT) as work,
    ):
        for name in names:
            Path(work.path, name).write_text("{}")
        patch.setattr(work_folders, "remove", lambda path: None)
        raise Killed


def test_resume_keeps_complete_results_and_removes_partial_ones(tmp_path: Path) -> None:
    killed_with(tmp_path / "run", ["analysis", "lengths.json", "lengths.json.unfinished", "shards-temp"])
    with work_folder(str(tmp_path / "run"), resume=True, fingerprint=PRINT) as work:
        assert {path.name for path in Path(work.path).iterdir()} == {
            "analysis",
            "fingerprint.json",
            "lengths.json",
            "run",
        }


def test_without_resume_work_starts_from_scratch(tmp_path: Path) -> None:
    killed_with(tmp_path / "run", ["lengths.json"])
    with work_folder(str(tmp_path / "run"), fingerprint=PRINT) as work:
        assert {path.name for path in Path(work.path).iterdir()} == {"fingerprint.json", "run"}


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (Fingerprint({"key": "x"}, PRINT.files, versions=PRINT.versions), "changed since: spec"),
        (Fingerprint(PRINT.spec, [FileStamp("a.csv", 11, 1.5)], versions=PRINT.versions), "changed since: a.csv"),
        (Fingerprint(PRINT.spec, [FileStamp("a.csv", 10, 2.5)], versions=PRINT.versions), "changed since: a.csv"),
        (
            Fingerprint(PRINT.spec, [*PRINT.files, ANOTHER], versions=PRINT.versions),
            "changed since: b.csv",
        ),
        (Fingerprint(PRINT.spec, PRINT.files, versions={"fieldpool": "2"}), "changed since: versions"),
    ],
)
def test_resume_refuses_other_inputs(tmp_path: Path, other: Fingerprint, named: str) -> None:
    killed_with(tmp_path / "run", [])
    with pytest.raises(CannotResume, match=named):
        make(tmp_path / "run", resume=True, fingerprint=other)
    make(tmp_path / "run", fingerprint=other)
    assert contents(tmp_path / "run") == run_of("new")


def test_resume_without_unfinished_work_starts_from_scratch(tmp_path: Path) -> None:
    make(tmp_path / "run", resume=True, fingerprint=PRINT)
    assert contents(tmp_path / "run") == run_of("new")
