"""Checks of a command's arguments on the local disk, before TensorFlow and Beam are imported, which takes seconds.

The commands check the same again, also for remote paths; here, a user's mistake is reported at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...transforms.errors import FieldpoolWarning
from ...transforms.kinds import Kind, kind_of
from ...transforms.outputs import check_folder_output, check_not_a_file
from ...transforms.run_files import check_is_run, find_export

if TYPE_CHECKING:
    from ...transforms.spec import Spec


def check_run(path: str) -> None:
    """Raises NotARun if the path is not a run."""
    if not is_remote(path):
        check_is_run(path)


def check_export(path: str) -> None:
    """Raises NoExport if there is no exported model at the path."""
    if not is_remote(path):
        find_export(path)


def check_data(patterns: Sequence[str], spec: Spec | None = None) -> None:
    """Checks that files match the patterns and, with a spec, that they and its files of vectors have their columns.

    Raises:
        SourceError: no file matches, or a column is missing.
    """
    if spec is not None:
        _check_vectors(spec)
    if is_remote(*patterns):
        return
    from ..sources.files import find_files  # Imports Arrow.

    paths = [file.path for file in find_files(patterns)]
    if spec is None or spec.source.format == "detect":
        return
    from ...transforms.spec.inputs import raw_columns
    from ..sources.readers import check_input

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FieldpoolWarning)  # The command warns.
        check_input(paths, spec.source, raw_columns(spec))


def _check_vectors(spec: Spec) -> None:
    """Raises SourceError if a file of vectors is missing, or lacks a column."""
    from ...transforms.spec.inputs import vector_files

    files = vector_files(spec)
    if files and not is_remote(*files.values()):
        from ..vectors.vector_files import check_vector_files  # Imports Arrow.

        check_vector_files(spec)


def check_output(folder: str, kind: Kind, *, may_exist: bool) -> None:
    """Checks that a folder may be created.

    Args:
        folder: The folder.
        kind: What will be in it.
        may_exist: Whether an earlier output may be there.

    Raises:
        TargetExists: it is a file, or has something else.
    """
    if not is_remote(folder):
        check_not_a_file(folder)
        if kind_of(folder) not in (None, Kind.UNFINISHED_RUN):
            check_folder_output(folder, kind, overwrite=may_exist)


def is_remote(*paths: str) -> bool:
    """Returns whether a path is not on the local disk."""
    return any("://" in path for path in paths)
