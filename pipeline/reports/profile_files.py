"""The two files of a profile: the proposed spec, as YAML with the reasons as comments, and the page."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ...transforms.errors import TargetExists
from ...transforms.kinds import Kind, kind_of
from ...transforms.outputs import REPLACE, check_not_a_file, locked_folder
from ...transforms.writing import replacing

if TYPE_CHECKING:
    from ..proposal.spec_proposal import Proposal

SPEC_NAME, PAGE_NAME = "spec.yaml", "profile.html"

# Comments of a spec without a label.
_NO_LABEL = [
    "# No column has only the values 0 and 1, so there is no label yet. Add the column to predict, or run",
    "# `fieldpool profile` again with --label COLUMN.",
    "# label: {field: COLUMN}",
]


def check_profile_folder(folder: str, *, overwrite: bool) -> list[str]:
    """Returns the paths of spec and page in a folder.

    Raises:
        TargetExists: An earlier profile exists and `overwrite` is false; there is a spec without a page; the folder is
            a run; or it is a file.
    """
    check_not_a_file(folder)
    paths = [os.path.join(folder, name) for name in (SPEC_NAME, PAGE_NAME)]
    if kind_of(folder) in (Kind.RUN, Kind.UNFINISHED_RUN):  # Its spec.yaml belongs to its examples.
        raise TargetExists(f"{paths[0]}: exists already, and {folder} is a run; choose another folder with --out")
    for path in paths:
        if os.path.isdir(path):
            raise TargetExists(f"{path}: exists already and is a folder; choose another folder with --out")
    spec, page = map(os.path.lexists, paths)
    if spec and not page:  # Perhaps the only copy of a spec that was written by hand.
        raise TargetExists(f"{paths[0]}: exists already, without {PAGE_NAME}; choose another folder with --out")
    if page and not overwrite:
        raise TargetExists(f"{paths[0] if spec else paths[1]}: exists already; {REPLACE}")
    return paths


@contextlib.contextmanager
def profile_folder(folder: str, *, overwrite: bool = False) -> Iterator[Callable[[Sequence[str]], list[str]]]:
    """Locks the folder and yields a function that writes the texts of spec and page, and returns their paths.

    The folder is created if needed, and removed again if nothing is written. Each file is replaced atomically.

    Raises:
        TargetExists: see `check_profile_folder`; or another process is working there.
        CannotWrite: the folder cannot be written to; existing files are kept.
    """
    check_profile_folder(folder, overwrite=overwrite)
    with locked_folder(folder):
        paths = check_profile_folder(folder, overwrite=overwrite)  # Another process may have written to it.
        yield lambda texts: write_profile(paths, texts)


def write_profile(paths: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Writes the texts of spec and page, each file atomically; returns their paths.

    Raises:
        CannotWrite: the folder cannot be written to; existing files are kept.
    """
    with replacing(*reversed(paths)) as temporary:  # The page first: a spec without a page is never replaced.
        for path, text in zip(reversed(temporary), texts, strict=True):
            Path(path).write_text(text, encoding="utf-8")
    return list(paths)


def spec_text(proposal: Proposal) -> str:
    """Returns the proposed spec as YAML, with the reasons as comments."""
    lines = ["# Proposed by `fieldpool profile`. Review and correct it, then try it with `fieldpool explain`."]
    if "label" not in proposal.spec:
        lines += _NO_LABEL
    if "source" not in proposal.spec:
        doubts = {name: reason for name, reason in proposal.of_source.items() if "not certain" in reason}
        lines += [printable(f"# source.{name}: {reason}") for name, reason in doubts.items()]
    for section, value in proposal.spec.items():
        if section == "vocabularies" and not value:
            continue
        reasons = proposal.reasons.get(section, [])
        if section in ("fields", "vocabularies"):
            lines += ["", f"{section}:"]
            for name, settings in value.items():
                of_field = proposal.reasons.get(name, []) if section == "fields" else []
                lines += [printable(f"  # {'; '.join(of_field)}")] if of_field else []
                lines.append(f"  {inline(name)}: {inline(settings)}")
        elif section == "source":
            lines += [f"{section}:", *(_entry(name, setting, proposal.of_source) for name, setting in value.items())]
            others = {name: reason for name, reason in proposal.of_source.items() if name not in value}
            lines += [printable(f"  # {name}: {reason}") for name, reason in others.items()]
        else:
            lines.append(f"{section}: {inline(value)}" + (printable(f"  # {'; '.join(reasons)}") if reasons else ""))
    if proposal.left_out:
        left_out = (printable(f"#   {name}: {reason}") for name, reason in proposal.left_out.items())
        lines += ["", "# Columns left out:", *left_out]
    return "\n".join(lines) + "\n"


def _entry(name: str, setting: Any, reasons: Mapping[str, str]) -> str:
    """Returns a line of the section `source`."""
    return f"  {name}: {inline(setting)}" + (printable(f"  # {reasons[name]}") if name in reasons else "")


def printable(text: str) -> str:
    """Returns a text of printable characters on one line: names and values of files may have any."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def inline(value: Any) -> str:
    """Returns a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    # PyYAML ends a document that is a single scalar with three dots.
    return text.removesuffix("\n").removesuffix("\n...")
