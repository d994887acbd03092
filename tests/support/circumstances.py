"""Broken inputs of commands: what each circumstance does to a file or folder, and which commands take such an input."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# The arguments of each command. Words in capitals are inputs and outputs.
COMMANDS: dict[str, list[str]] = {
    "explain": ["SPEC", "DATA"],
    "transform": ["SPEC", "DATA", "--out", "OUT"],
    "transform --using": ["--using", "RUN", "DATA", "--out", "OUT"],
    "check": ["RUN", "DATA"],
    "inspect": ["RUN"],
    "train": ["RUN", "--out", "OUT"],
    "evaluate": ["RUN", "MODEL"],
    "export": ["RUN", "MODEL", "--out", "OUT"],
    "predict": ["EXPORT", "DATA", "--out", "OUT"],
    "verify": ["RUN", "EXPORT", "DATA"],
    "profile": ["DATA", "--out", "OUT"],
    "report": ["RUN", "MODEL", "--out", "OUT"],
    "run": ["SPEC", "DATA", "--out", "OUT"],
    "demo": ["--rows", "1000", "--out", "OUT"],
    "start": ["DATA", "--out", "OUT"],
}
WITH_WORKERS = ("transform", "transform --using", "predict", "verify", "run")
WORKERS: dict[str, list[str]] = {
    "one worker": [],
    "two threads": ["--mode", "threads", "--workers", "2"],
    "two processes": ["--mode", "processes", "--workers", "2"],
}

Break = Callable[[Path], object]


@dataclass(frozen=True)
class Broken:
    """A circumstance.

    Attributes:
        input: The word in `COMMANDS` whose file or folder is broken.
        change: Breaks the file or folder, a copy of a good one; the output does not exist before.
        suffix: The end of its path: the format of data, a name inside the output.
        not_for: Commands that have no error then.
    """

    input: str
    change: Break
    suffix: str = ""
    not_for: Sequence[str] = ()


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _as_folder(path: Path) -> None:
    _remove(path)
    path.mkdir()


def _as_text(text: str) -> Break:
    def change(path: Path) -> None:
        _remove(path)
        path.write_text(text)

    return change


def _truncated(name: str = ".") -> Break:
    """Returns the function that keeps the first half of a file, or of the first file in a folder with this pattern."""

    def change(path: Path) -> None:
        file = path if name == "." else sorted(path.glob(name))[0]
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])

    return change


def _emptied(name: str) -> Break:
    return lambda path: sorted(path.glob(name))[0].write_bytes(b"")


def _without(name: str) -> Break:
    return lambda path: _remove(sorted(path.glob(name))[0])


def _replaced(name: str, text: str) -> Break:
    return lambda path: (path / name).write_text(text)


def _unreadable(path: Path) -> None:
    path.chmod(0)


def _table(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def _jsonl(path: Path) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in _table(path))


def _half_gzip(path: Path) -> None:
    content = gzip.compress(_jsonl(path).encode())
    path.write_bytes(content[: len(content) // 2])


def _wrong_types(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([row | {"age": "old", "id": str(row["id"])} for row in _table(path)]), path)


def _nested(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([row | {"tags": [{"name": "x"}]} for row in _table(path)]), path)


def _no_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 0), path)


def _only_header(path: Path) -> None:
    path.write_text(f"{','.join(pq.read_schema(path).names)}\n")


def _wrong_tfrecord(path: Path) -> None:
    _remove(path)
    path.write_bytes(b"\x10" + bytes(40))


def _notes(path: Path) -> None:
    path.mkdir()
    (path / "notes").write_text("notes")


# Commands that do not read this part of a run.
_WITHOUT_TRANSFORM = ("inspect",)
_WITHOUT_TRAIN = ("transform --using", "check", "evaluate", "export", "verify")
BROKEN: dict[str, Broken] = {
    "missing spec": Broken("SPEC", _remove),
    "empty spec": Broken("SPEC", _as_text("")),
    "truncated spec": Broken("SPEC", _truncated()),
    "folder as spec": Broken("SPEC", _as_folder),
    "data as spec": Broken("SPEC", lambda path: path.write_bytes(b"PAR1\x00\xff\xfe" * 9)),
    "list as spec": Broken("SPEC", _as_text("- label\n- fields\n")),
    "spec of wrong types": Broken("SPEC", _as_text("label: 1\nsplit: [a]\nfields: {user: {type: number}}\n")),
    "unreadable spec": Broken("SPEC", _unreadable),
    "missing data": Broken("DATA", _remove),
    "empty data": Broken("DATA", _as_text("")),
    "empty CSV": Broken("DATA", _as_text(""), ".csv"),
    "CSV with only a header": Broken("DATA", _only_header, ".csv"),
    "empty folder as data": Broken("DATA", _as_folder, "/"),
    "truncated Parquet": Broken("DATA", _truncated()),
    "truncated gzip": Broken("DATA", _half_gzip, ".jsonl.gz"),
    "text as Parquet": Broken("DATA", _as_text("id,click\n1,2\n")),
    "text as TFRecord": Broken("DATA", _wrong_tfrecord, ".tfrecord"),
    "data of an unknown kind": Broken("DATA", _as_text("PNG"), ".png"),
    "data without rows": Broken("DATA", _no_rows),
    "data of wrong types": Broken("DATA", _wrong_types, not_for=("check", "profile", "start")),
    "nested data": Broken("DATA", _nested, not_for=("profile", "start")),
    "unreadable data": Broken("DATA", _unreadable),
    "missing run": Broken("RUN", _remove),
    "empty folder as run": Broken("RUN", _as_folder),
    "file as run": Broken("RUN", _as_text("")),
    "unfinished run": Broken("RUN", _without("DONE")),
    "run without spec": Broken("RUN", _without("spec.yaml")),
    "run with an empty spec": Broken("RUN", _emptied("spec.yaml")),
    "run with a truncated spec": Broken("RUN", _truncated("spec.yaml")),
    "run with truncated counts": Broken("RUN", _truncated("stats.json"), not_for=("evaluate",)),
    "run with counts of wrong types": Broken("RUN", _replaced("stats.json", "[]"), not_for=("evaluate",)),
    "run without vocabularies": Broken("RUN", _without("transform/transform_fn/assets")),
    "run with a truncated transform": Broken(
        "RUN", _truncated("transform/transform_fn/saved_model.pb"), not_for=_WITHOUT_TRANSFORM
    ),
    "run with a truncated vocabulary": Broken("RUN", _truncated("transform/transform_fn/assets/user")),
    "run with truncated examples": Broken("RUN", _truncated("examples/train*"), not_for=_WITHOUT_TRAIN),
    "unreadable run": Broken("RUN", _unreadable),
    "missing model": Broken("MODEL", _remove),
    "empty folder as model": Broken("MODEL", _as_folder),
    "text as model": Broken("MODEL", _replaced("model.keras", "no model")),
    "empty model": Broken("MODEL", _emptied("model.keras")),
    "truncated model": Broken("MODEL", _truncated("model.keras")),
    "model with a truncated history": Broken("MODEL", _truncated("training.json"), not_for=("evaluate", "export")),
    "missing export": Broken("EXPORT", _remove),
    "empty folder as export": Broken("EXPORT", _as_folder),
    "file as export": Broken("EXPORT", _as_text("")),
    "empty export": Broken("EXPORT", _emptied("saved_model.pb")),
    "truncated export": Broken("EXPORT", _truncated("saved_model.pb")),
    "export without variables": Broken("EXPORT", _without("variables")),
    "export with truncated variables": Broken("EXPORT", _truncated("variables/variables.data*")),
    "export without vocabularies": Broken("EXPORT", _without("assets")),
    "export with a truncated vocabulary": Broken("EXPORT", _truncated("assets/user")),
    "export with a truncated spec": Broken("EXPORT", _truncated("assets.extra/spec.yaml")),
    "file as output": Broken("OUT", lambda path: path.write_text("notes")),
    "folder of other files as output": Broken("OUT", _notes, not_for=("profile", "run", "start")),
    "output below a file": Broken("OUT", lambda path: path.write_text("notes"), "/below"),
    "output without permission": Broken("OUT", lambda path: path.mkdir(0o500), "/below"),
}


def commands_with(name: str) -> list[str]:
    """Returns the commands that have an error in a circumstance."""
    broken = BROKEN[name]
    return [command for command, words in COMMANDS.items() if broken.input in words and command not in broken.not_for]


def once_each() -> list[tuple[str, str]]:
    """Returns a command for each circumstance, in turn of the commands."""
    uses = dict.fromkeys(COMMANDS, 0)
    found = []
    for name in BROKEN:
        command = min((c for c in commands_with(name) if c not in ("run", "demo", "start")), key=lambda c: uses[c])
        uses[command] += 1
        found.append((command, name))
    return found


def pairwise() -> list[tuple[str, str, str]]:
    """Returns commands, circumstances and workers so that each pair of them is in some row; always the same rows."""
    rows = [
        (command, name, workers)
        for name in BROKEN
        for command in commands_with(name)
        for workers in (WORKERS if command in WITH_WORKERS else ["one worker"])
    ]
    left = set(itertools.chain.from_iterable(map(_pairs, rows)))
    chosen = []
    while left:
        row = max(rows, key=lambda row: len(left & _pairs(row)))
        left -= _pairs(row)
        chosen.append(row)
    return chosen


def _pairs(row: Iterable[str]) -> set[tuple[str, str]]:
    return set(itertools.combinations(row, 2))
