"""No traceback: commands whose inputs are missing, broken or of another kind fail in words, and change nothing.

Here each circumstance is tried with one command. `make test-faults` tries each one with every command that takes such
an input, each command with one worker, two threads and two processes, and each circumstance with these, too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from circumstances import BROKEN, COMMANDS, WITH_WORKERS, WORKERS, once_each, pairwise
from mounted_places import Case, namespace, outcomes
from privileges import without_privileges
from served_model import SPEC, Served

Fieldpool = Callable[..., tuple[int, str, str]]


def contents(folder: Path) -> dict[str, Any]:
    """Returns the files and folders below a folder, with size and time of change."""
    found = {}
    for path in folder.rglob("*"):
        state = path.lstat()
        found[str(path.relative_to(folder))] = state.st_mode, path.is_file() and (state.st_size, state.st_mtime_ns)
    return found


def check_refused(fieldpool: Fieldpool, served: Served, folder: Path, command: str, name: str, workers: str) -> None:
    broken = BROKEN[name]
    good = {"DATA": served.data, "RUN": served.run, "MODEL": served.model, "EXPORT": served.export}
    paths: dict[str, Path] = {**good, "SPEC": folder / "spec.yaml", "OUT": folder / "out"}
    paths["SPEC"].write_text(yaml.safe_dump(SPEC))
    if broken.input == "OUT":
        broken.change(paths["OUT"])
        paths["OUT"] = Path(f"{paths['OUT']}{broken.suffix}")
    elif broken.input == "SPEC":
        broken.change(paths["SPEC"])
    else:
        target = folder / f"{broken.input.lower()}{broken.suffix or paths[broken.input].suffix}"
        copy = shutil.copytree if paths[broken.input].is_dir() else shutil.copy
        paths[broken.input] = Path(copy(paths[broken.input], target))
        broken.change(paths[broken.input])
    before, served_before = contents(folder), contents(served.run.parent)
    words = [str(paths.get(word, word)) for word in COMMANDS[command]]
    with without_privileges():
        code, out, err = fieldpool(*command.split()[:1], *words, *WORKERS[workers])
    assert code == 2, err
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) <= 6, err
    assert "Traceback" not in err
    assert err.replace("\n", "").isprintable()
    assert str(paths[broken.input]) in err
    assert contents(folder) == before
    assert contents(served.run.parent) == served_before


@pytest.mark.parametrize(("command", "name"), once_each())
def test_broken_input_is_refused_in_words(
    command: str, name: str, fieldpool: Fieldpool, served: Served, tmp_path: Path
) -> None:
    check_refused(fieldpool, served, tmp_path, command, name, "one worker")


@pytest.mark.faults
@pytest.mark.parametrize(("command", "name", "workers"), pairwise())
def test_broken_input_is_refused_in_words_by_every_command(
    command: str, name: str, workers: str, fieldpool: Fieldpool, served: Served, tmp_path: Path
) -> None:
    check_refused(fieldpool, served, tmp_path, command, name, workers)


@pytest.mark.faults
def test_place_that_cannot_be_written_to_is_reported_by_every_command(served: Served, tmp_path: Path) -> None:
    if namespace() is None:
        pytest.skip("this system allows no mount namespace (`unshare -m`, `unshare -Urm`), so no full disk to write to")
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(SPEC))
    paths = {"SPEC": spec, "DATA": served.data, "RUN": served.run, "MODEL": served.model, "EXPORT": served.export}
    cases = {
        (command, place, workers): Case(
            [*command.split()[:1], *(str({**paths, "OUT": "PLACE/out"}.get(w, w)) for w in words), *WORKERS[workers]],
            size="4k",
            read_only=place == "read-only",
        )
        for command, words in COMMANDS.items()
        for place in ("full", "read-only")
        for workers in (WORKERS if command in WITH_WORKERS and place == "full" else ["one worker"])
        if "OUT" in words
    }
    for case, outcome in zip(cases, outcomes(tmp_path, list(cases.values())), strict=True):
        assert (outcome.code, outcome.left) == (2, []), (case, outcome)
        assert outcome.error.startswith("error: "), (case, outcome)
        assert len(outcome.error.splitlines()) <= 6, (case, outcome)
